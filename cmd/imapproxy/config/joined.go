package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// isJoined reports whether errors.Join has made an error. What fmt.Errorf makes of
// several %w has the same methods, but is one message.
func isJoined(err error) bool { return reflect.TypeOf(err) == reflect.TypeOf(errors.Join(err)) }

// Messages returns the message of each error that errors.Join has put into err,
// at any depth and in order; err's own where there is none. What wraps a join
// stands around each message.
func Messages(err error) []string {
	type part struct {
		err           error
		before, after string
	}
	var messages []string
	for left := []part{{err: err}}; len(left) > 0; {
		p := left[0]
		left = left[1:]
		join := p.err
		for join != nil && !isJoined(join) {
			join = errors.Unwrap(join)
		}
		before, after, found := "", "", false
		if join != nil {
			before, after, found = strings.Cut(p.err.Error(), join.Error())
		}
		if !found { // or its wrapping has a text of its own
			messages = append(messages, p.before+p.err.Error()+p.after)
			continue
		}
		var parts []part
		for _, e := range join.(interface{ Unwrap() []error }).Unwrap() {
			parts = append(parts, part{e, p.before + before, after + p.after})
		}
		left = append(parts, left...)
	}
	return messages
}

// Texts formats as fmt.Sprintf does, once for each message of an error among args
// that joins others, so that each can stand on a line.
func Texts(format string, args ...any) []string {
	for i, arg := range args {
		err, ok := arg.(error)
		if !ok {
			continue
		}
		messages := Messages(err)
		if len(messages) == 1 {
			continue
		}
		texts := make([]string, len(messages))
		for k, message := range messages {
			one := slices.Clone(args)
			one[i] = message
			texts[k] = fmt.Sprintf(format, one...)
		}
		return texts
	}
	return []string{fmt.Sprintf(format, args...)}
}

package load

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"

	"imapproxy/cmd/imaprig/rig"
)

// stepError is what went wrong in a session: during which step, and how, in words of a small set.
type stepError struct {
	step string // "connect", "TLS", "greeting" or a command
	kind string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// answerError is an answer of the server other than the one that was hoped for.
type answerError struct{ kind, line string }

func (e *answerError) Error() string { return fmt.Sprintf("%.*q", rig.MaxForeign, e.line) }

// failure returns an error with its step and its kind, and nil for nil.
func failure(during string, err error) error {
	if err == nil {
		return nil
	}
	if known := (*stepError)(nil); errors.As(err, &known) {
		return err
	}
	return &stepError{step: during, kind: during + ": " + causeOf(err), err: err}
}

// causeOf returns the kind of an error.
func causeOf(err error) string {
	if answer := (*answerError)(nil); errors.As(err, &answer) {
		return answer.kind
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "no descriptor left here"
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EADDRINUSE):
		return "no local port left here (--sources)"
	case rig.IsReset(err):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return "other"
}

// errorCount is a line of the report.
type errorCount struct {
	Kind  string `json:"kind"`
	Count int    `json:"count"`
	First string `json:"first"` // the first one's text
}

// maxErrorKinds bounds what a server can make us keep.
const maxErrorKinds = 50

// errorCounts counts errors by kind.
type errorCounts struct {
	mu    sync.Mutex // protects kinds
	kinds map[string]*errorCount
	total int
}

func (c *errorCounts) add(err error) {
	kind := "other"
	if known := (*stepError)(nil); errors.As(err, &known) {
		kind = known.kind
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	if c.kinds == nil {
		c.kinds = map[string]*errorCount{}
	}
	if c.kinds[kind] == nil && len(c.kinds) >= maxErrorKinds {
		kind = "other"
	}
	if c.kinds[kind] == nil {
		c.kinds[kind] = &errorCount{Kind: kind, First: err.Error()}
	}
	c.kinds[kind].Count++
}

func (c *errorCounts) sum() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// list returns the counts, the most frequent first.
func (c *errorCounts) list() []errorCount {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := []errorCount{}
	for _, e := range c.kinds {
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b errorCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count),
			cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

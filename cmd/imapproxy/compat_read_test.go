package main

import (
	"encoding/base64"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// This file reads the dialogues of testdata/compat.

var (
	compatHeaderLine = regexp.MustCompile(`^(conf|listen|main|life|auth|backend|verdict): (.+)$`)
	compatStepLine   = regexp.MustCompile(`^(?:([NO]) ` +
		`)?(C:|C-|S:|S~|S\*|A:|A~|A-|A#|A>|B:|B>|B~|B-|L~|TLS|EOF|DRAIN|FIN|CLOSE|SIGNAL)(?: (.*))?$`)
)

func readCompatDialogues(t *testing.T, file string) []*compatDialogue {
	t.Helper()
	var all []*compatDialogue
	inHeader := false
	for i, line := range strings.Split(mustRead(t, file), "\n") {
		name, begins := strings.CutPrefix(line, "== ")
		switch {
		case strings.HasPrefix(line, "#"):
		case begins:
			all = append(all, &compatDialogue{name: name, file: file, header: map[string][]string{}})
			inHeader = true
		case line == "":
			inHeader = false
		case len(all) == 0:
			t.Fatalf("%s:%d: a dialogue begins with == name", file, i+1)
		case inHeader:
			m := compatHeaderLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s:%d: %q is no header", file, i+1, line)
			}
			d := all[len(all)-1]
			d.header[m[1]] = append(d.header[m[1]], m[2])
		default:
			m := compatStepLine.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("%s:%d: %q is no step", file, i+1, line)
			}
			d := all[len(all)-1]
			d.steps = append(d.steps, compatStep{m[1], m[2], compatExpand(t, m[3]), i + 1})
		}
	}
	return all
}

var (
	compatBase64 = regexp.MustCompile(`<b64 ("[^>]*")>`)
	compatRepeat = regexp.MustCompile(`<([^>])\*(\d+)>`)
)

func compatExpand(t *testing.T, s string) string {
	t.Helper()
	s = compatRepeat.ReplaceAllStringFunc(s, func(m string) string {
		p := compatRepeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(p[2])
		return strings.Repeat(p[1], n)
	})
	return compatBase64.ReplaceAllStringFunc(s, func(m string) string {
		text, err := strconv.Unquote(compatBase64.FindStringSubmatch(m)[1])
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		return base64.StdEncoding.EncodeToString([]byte(text))
	})
}

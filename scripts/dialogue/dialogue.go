// Package dialogue reads the files of dialogues that tests play: who sends what
// to whom, and what has to come of it. Only tests use it. All such files have one
// format; which headers and verbs a file may have, and what they mean, is up to
// the test that plays it and stands there, next to its Format.
//
// A file holds dialogues one after the other:
//
//	# A comment: a line that begins with "#", anywhere.
//
//	== name of the dialogue
//	key: value
//	key: another value
//
//	C: a LOGIN joe <canary>
//	S- "a OK Logged in\r\n"
//	O EOF
//
// "== name" begins a dialogue; no two in a file have the same name. Headers, lines
// of "key: value", follow at once, any number or none; whether a key that is
// repeated has several values is up to the test. A blank line ends them, also where
// there are none. Then come the steps, at least one; blank lines between them mean
// nothing.
//
// A step is "VERB text": the text begins after one space, and every byte of it
// counts, spaces at its end too. Verbs that take no text stand alone on their
// line. If the format has sides, one of their words and a space may stand in front
// of the verb: then the step is for that side only.
//
// The text of a verb that ends in "-" is quoted as a string in Go is; the reader
// removes the quotes. That is for bytes that a line can't hold: control bytes, a
// line without its end, several lines at once.
//
// By convention C is the client, S the server that it speaks to, and the verb "X:"
// is a line that X sends or, where X is the peer that is tested, one that has to
// come; "X-" are bytes without a line's end, "X~" is a regular expression, and "="
// what has to be true at that point.
//
// In the values of headers and the texts of steps, before quotes are removed, these
// are replaced, in this order; whatever else stands in angle brackets stays:
//
//	<name>        what the format has under Macros, such as the password
//	<text*100>    the text a hundred times; it has no angle brackets
//	<b64 "text">  base64 of the text, which is quoted as in Go and has no ">"
package dialogue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Format is what the dialogues of a test may consist of.
type Format struct {
	Headers []string          // the keys
	Sides   []string          // words in front of a verb; may be empty
	Verbs   []string          // those with a text, which may be empty
	Bare    []string          // verbs without a text
	Macros  map[string]string // by their names without brackets; may be nil
}

// Dialogue is one dialogue of a file.
type Dialogue struct {
	Name    string
	File    string // without folder and ending: "login" for testdata/dialogues/login.txt
	Headers map[string][]string
	Steps   []Step
}

// Step is a line of a dialogue.
type Step struct {
	Side string // "" if all sides make the step
	Verb string
	Text string // without quotes, macros replaced
	At   string // file and line, for messages
}

// Header returns the key's last value, "" if there is none.
func (d *Dialogue) Header(key string) string {
	values := d.Headers[key]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// Path returns "file/name", which is unique in a folder.
func (d *Dialogue) Path() string { return d.File + "/" + d.Name }

// Run plays each dialogue of the files that match the pattern in a subtest
// "file/name"; the test fails if there are fewer files than least.
func (f *Format) Run(t *testing.T, pattern string, least int, play func(*testing.T, *Dialogue)) {
	t.Helper()
	for _, file := range matching(t, pattern, least) {
		t.Run(base(file), func(t *testing.T) {
			for _, d := range f.read(t, file) {
				t.Run(d.Name, func(t *testing.T) { play(t, d) })
			}
		})
	}
}

// Read returns the dialogues of the files that match the pattern; the test fails
// if there are fewer files than least, or anything is wrong with one.
func (f *Format) Read(tb testing.TB, pattern string, least int) []*Dialogue {
	tb.Helper()
	var all []*Dialogue
	for _, file := range matching(tb, pattern, least) {
		all = append(all, f.read(tb, file)...)
	}
	return all
}

func matching(tb testing.TB, pattern string, least int) []string {
	tb.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < least {
		tb.Fatalf("%s: %d files of dialogues, want at least %d; error %v", pattern, len(files), least, err)
	}
	return files
}

func (f *Format) read(tb testing.TB, file string) []*Dialogue {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	all, err := f.Parse(file, string(text))
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// base returns the file's name without folder and ending.
func base(file string) string {
	return strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
}

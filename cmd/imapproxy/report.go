package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// severity tells what stops the program from what it only says.
type severity string

const (
	isError   severity = "error"
	isWarning severity = "warning"
)

// finding is one thing to say about a configuration file.
type finding struct {
	Severity severity
	File     string
	Line     int    // 1 for the first line
	Key      string // the key's full name
	Text     string // what is wrong with it
	Remedy   string // what to do about it
}

func (f finding) id() string { return fmt.Sprintf("%d %s", f.Line, f.Key) }

// String gives the line that people read: FILE:LINE: error: KEY: TEXT; REMEDY.
func (f finding) String() string {
	line := fmt.Sprintf("%s:%d: %s: ", f.File, f.Line, f.Severity)
	if f.Key != "" {
		line += f.Key + ": "
	}
	line += f.Text
	if f.Remedy != "" {
		line += "; " + f.Remedy
	}
	return line
}

// report collects findings, so that all of them can be told at once.
type report struct {
	findings []finding
	settled  map[string]bool // see settle
}

// settle ends a round of checks: keys that have an error keep to it, and later
// rounds, which would only find its consequences, say nothing more about them.
func (r *report) settle() {
	r.settled = map[string]bool{}
	for _, f := range r.of(isError) {
		r.settled[f.id()] = true
	}
}

// fork returns an empty report that keeps to what is settled in r, for a
// reading whose own errors decide.
func (r *report) fork() *report { return &report{settled: r.settled} }

// merge adds the findings of another report.
func (r *report) merge(other *report) { r.findings = append(r.findings, other.findings...) }

func (r *report) add(s severity, at place, key, text, remedy string) {
	f := finding{s, at.File, at.line(key), at.key(key), text, remedy}
	if !r.settled[f.id()] {
		r.findings = append(r.findings, f)
	}
}

// errorf adds an error about the key of a section; key "" is the section itself.
func (r *report) errorf(at place, key, remedy, format string, args ...any) {
	r.add(isError, at, key, fmt.Sprintf(format, args...), remedy)
}

// warnf adds a warning about the key of a section.
func (r *report) warnf(at place, key, remedy, format string, args ...any) {
	r.add(isWarning, at, key, fmt.Sprintf(format, args...), remedy)
}

// failed says whether there is an error.
func (r *report) failed() bool {
	return slices.ContainsFunc(r.findings, func(f finding) bool { return f.Severity == isError })
}

// sorted gives the findings in the order of the file.
func (r *report) sorted() []finding {
	all := slices.Clone(r.findings)
	slices.SortFunc(all, func(a, b finding) int {
		return cmp.Or(a.Line-b.Line, strings.Compare(a.Key, b.Key), strings.Compare(a.Text, b.Text))
	})
	return all
}

// of gives the findings of one severity in the order of the file.
func (r *report) of(s severity) []finding {
	return slices.DeleteFunc(r.sorted(), func(f finding) bool { return f.Severity != s })
}

// print writes all findings, one a line. What comes from the file is shown with
// its control characters escaped.
func (r *report) print(w io.Writer) {
	for _, f := range r.sorted() {
		_, _ = fmt.Fprintln(w, printable(f.String()))
	}
}

// printable escapes what could change a terminal or forge a line.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x20 || r == 0x7F || (r >= 0x80 && r < 0xA0) || (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// place says where a section stands in the file, and where its keys do.
type place struct {
	File  string         // as given by the user
	Name  string         // the section's name in messages, "" at the top
	Head  int            // the line of the section, 1 when it is not written
	Lines map[string]int // the lines of the keys that are written
}

// line gives the line of a key, or of the section when the key is not written.
func (p place) line(key string) int {
	if n, ok := p.Lines[key]; ok {
		return n
	}
	return max(p.Head, 1)
}

// has says whether a key is written.
func (p place) has(key string) bool {
	_, ok := p.Lines[key]
	return ok
}

// key gives the full name of a key.
func (p place) key(key string) string {
	switch {
	case p.Name == "":
		return key
	case key == "":
		return p.Name
	}
	return p.Name + "." + key
}

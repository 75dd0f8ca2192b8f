package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"imapproxy/backend/printable"
)

// Severity is how serious a finding is.
type Severity string

// The severities: an error stops the program, a warning does not.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Finding is one thing to say about a configuration file.
type Finding struct {
	Severity Severity
	File     string
	Line     int    // 1 for the first line
	Key      string // the key's full name
	Text     string // what is wrong with it
	Remedy   string // what to do about it
}

func (f Finding) id() string { return fmt.Sprintf("%d %s", f.Line, f.Key) }

// String returns the line that people read: FILE:LINE: error: KEY: TEXT; REMEDY.
func (f Finding) String() string {
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

// Report collects findings, so that all of them can be told at once.
type Report struct {
	findings []Finding
	settled  map[string]bool // see settle
}

// settle ends a round of checks: keys that have an error keep to it, and later
// rounds, which would only find its consequences, say nothing more about them.
func (r *Report) settle() {
	r.settled = map[string]bool{}
	for _, f := range r.Of(Error) {
		r.settled[f.id()] = true
	}
}

// Fork returns an empty report that keeps to what is settled in r, for a
// reading whose own errors decide.
func (r *Report) Fork() *Report { return &Report{settled: r.settled} }

// Merge adds the findings of another report.
func (r *Report) Merge(other *Report) { r.findings = append(r.findings, other.findings...) }

func (r *Report) add(s Severity, at Place, key, text, remedy string) {
	f := Finding{s, at.File, at.line(key), at.key(key), text, remedy}
	if !r.settled[f.id()] {
		r.findings = append(r.findings, f)
	}
}

// Errorf adds an error about the key of a section; key "" is the section itself.
// An error among args that joins others makes a finding of each.
func (r *Report) Errorf(at Place, key, remedy, format string, args ...any) {
	for _, text := range Texts(format, args...) {
		r.add(Error, at, key, text, remedy)
	}
}

// Warnf adds a warning about the key of a section.
func (r *Report) Warnf(at Place, key, remedy, format string, args ...any) {
	r.add(Warning, at, key, fmt.Sprintf(format, args...), remedy)
}

// Failed reports whether there is an error.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.findings, func(f Finding) bool { return f.Severity == Error })
}

// Sorted returns the findings in the order of the file.
func (r *Report) Sorted() []Finding {
	all := slices.Clone(r.findings)
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(a.Line-b.Line, strings.Compare(a.Key, b.Key), compareTexts(a.Text, b.Text))
	})
	return all
}

// compareTexts is strings.Compare, but that numbers are compared by their value:
// line 9 of a map comes before line 10.
func compareTexts(a, b string) int {
	const digits = "0123456789"
	for a != "" && b != "" {
		restA, restB := strings.TrimLeft(a, digits), strings.TrimLeft(b, digits)
		numberA, numberB := a[:len(a)-len(restA)], b[:len(b)-len(restB)]
		if numberA == "" || numberB == "" {
			if a[0] != b[0] {
				return cmp.Compare(a[0], b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		if order := cmp.Or(len(numberA)-len(numberB), strings.Compare(numberA, numberB)); order != 0 {
			return order
		}
		a, b = restA, restB
	}
	return len(a) - len(b)
}

// Of returns the findings of one severity in the order of the file.
func (r *Report) Of(s Severity) []Finding {
	return slices.DeleteFunc(r.Sorted(), func(f Finding) bool { return f.Severity != s })
}

// Print writes all findings, one a line. What comes from the file is shown with
// its control characters escaped.
func (r *Report) Print(w io.Writer) {
	for _, f := range r.Sorted() {
		_, _ = fmt.Fprintln(w, printable.Escape(f.String()))
	}
}

// Place is where a section stands in the file, and where its keys do.
type Place struct {
	File  string         // as given by the user
	Name  string         // the section's name in messages, "" at the top
	Head  int            // the line of the section, 1 when it is not written
	Lines map[string]int // the lines of the keys that are written
}

// line returns the line of a key, or of the section when the key is not written.
func (p Place) line(key string) int {
	if n, ok := p.Lines[key]; ok {
		return n
	}
	return max(p.Head, 1)
}

// Has reports whether a key is written.
func (p Place) Has(key string) bool {
	_, ok := p.Lines[key]
	return ok
}

// key returns the full name of a key.
func (p Place) key(key string) string {
	switch {
	case p.Name == "":
		return key
	case key == "":
		return p.Name
	}
	return p.Name + "." + key
}

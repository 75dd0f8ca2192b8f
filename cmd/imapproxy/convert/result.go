// Package convert turns the configuration of another IMAP proxy into one of
// imapproxy: nginx's mail{} (Nginx) and perdition's (Perdition). It reads files
// and returns texts; it writes nothing and asks no server. Each directive or
// option of the source gets one Finding, so that nothing is dropped in silence.
package convert

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Status is what became of a directive.
type Status string

// The statuses, from the least to the most important.
const (
	NotNeeded Status = "not needed"
	Ignored   Status = "ignored"   // because the caller says so
	Stays     Status = "stays"     // with the program that is converted from
	Converted Status = "converted" // and means the same
	Differs   Status = "differs"   // converted, with a difference that Text names
	Refused   Status = "refused"   // can't be honoured; the conversion has failed
)

// refusedCommands is the difference that every conversion makes.
const refusedCommands = "after the login UNAUTHENTICATE, COMPRESS, STARTTLS, LOGIN and AUTHENTICATE are refused, " +
	"and not passed on: see listener.policy"

// statusOrder ranks the statuses: a directive that several servers inherit gets
// the most important of what they say of it.
var statusOrder = []Status{NotNeeded, Ignored, Stays, Converted, Differs, Refused}

// Finding is what became of one directive, option or map line.
type Finding struct {
	File   string // as the source names it
	Line   int    // 1 for the first line; 0 for a whole file or a command line
	Status Status
	Source string // the directive as it is written, shortened, without secrets
	Text   string // what it became, what differs, or why it is refused and what to do
}

// String returns the finding's line: FILE:LINE: STATUS: SOURCE: TEXT.
func (f Finding) String() string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	line := place + ": " + string(f.Status) + ": "
	if f.Source != "" {
		line += f.Source + ": "
	}
	return line + f.Text
}

// Result is a conversion: the configuration with the files that belong to it,
// and what became of each line of the source.
type Result struct {
	Config   string // TOML; "" when there is nothing that could run
	Maps     []File // map files that Config names
	Findings []Finding
	// Old answers as the old proxy would, for a comparison; nil when it can't be
	// told without asking a server.
	Old func(user string) Answer
}

// File is a file to write next to the configuration.
type File struct {
	Name string // without a folder
	Text string
}

// Answer is where a proxy sends a user.
type Answer struct {
	Backends []string // host:port; any of them, in turn
	User     string   // the name for the backend's login
	Refused  string   // why there is no backend; "" when there is one
}

// Origin returns the directive that a line of Config came from, with its place, as
// the line's comment or the one above it says; "" when there is none.
func (r *Result) Origin(line int) string {
	lines := strings.Split(r.Config, "\n")
	if line < 1 || line > len(lines) {
		return ""
	}
	if at := strings.LastIndex(lines[line-1], "  # "); at >= 0 {
		return lines[line-1][at+len("  # "):]
	}
	if line > 1 && strings.HasPrefix(lines[line-2], "# ") {
		return strings.TrimPrefix(lines[line-2], "# ")
	}
	return ""
}

// Failed reports whether something was refused.
func (r *Result) Failed() bool { return r.Count(Refused) > 0 || r.Config == "" }

// Count returns the number of findings of a status.
func (r *Result) Count(s Status) int {
	n := 0
	for _, f := range r.Findings {
		if f.Status == s {
			n++
		}
	}
	return n
}

// Summary counts the findings in one line.
func (r *Result) Summary() string {
	text := fmt.Sprintf("%d converted, %d converted with a difference, %d not needed, %d refused",
		r.Count(Converted), r.Count(Differs), r.Count(NotNeeded), r.Count(Refused))
	if n := r.Count(Ignored); n > 0 {
		text += fmt.Sprintf("; %d ignored", n)
	}
	if n := r.Count(Stays); n > 0 {
		text += fmt.Sprintf("; %d to stay where they are", n)
	}
	return text
}

// Print writes one line for each finding and the summary. clean makes a line
// safe for a terminal.
func (r *Result) Print(w io.Writer, clean func(string) string) error {
	var b strings.Builder
	for _, f := range r.Findings {
		b.WriteString(clean(f.String()) + "\n")
	}
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// rank orders the statuses by importance.
func rank(s Status) int { return slices.Index(statusOrder, s) }

// maxShown is how much of a directive a report shows.
const maxShown = 72

// shorten cuts a text for a report or a comment.
func shorten(text string) string {
	if len(text) <= maxShown {
		return text
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// within makes a relative name absolute, from a folder.
func within(folder, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(folder, name)
}

// maxFileBytes bounds a file that is read: a wrong name, such as a mailbox,
// gets a message instead of the machine's memory.
const maxFileBytes = 64 << 20

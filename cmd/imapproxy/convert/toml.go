package convert

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// setting is one line of the configuration: a key, its value as TOML, and the
// comment that says where it came from.
type setting struct {
	key   string
	value string
	from  string
}

// is reports whether the setting is there.
func (s setting) is() bool { return s.key != "" }

// document builds a configuration file.
type document struct{ b strings.Builder }

// commentWidth is where the head comment is wrapped.
const commentWidth = 96

// comment adds comment lines.
func (d *document) comment(text string) {
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > commentWidth && line != "#" {
			d.b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	d.b.WriteString(line + "\n")
}

// section adds a section with its settings, its comments in one column. A
// section without settings is left out. Without a header the settings stand at
// the top.
func (d *document) section(header string, settings []setting) {
	if len(settings) == 0 {
		return
	}
	d.b.WriteString("\n")
	if header != "" {
		d.b.WriteString(header + "\n")
	}
	width := 0
	for _, s := range settings {
		if n := s.width(); s.from != "" && n <= longSetting {
			width = max(width, n)
		}
	}
	for _, s := range settings {
		line := s.key + " = " + s.value
		switch {
		case s.from != "" && s.width() > longSetting:
			d.comment(oneLine(s.from))
		case s.from != "":
			line += strings.Repeat(" ", width-s.width()) + "  # " + oneLine(s.from)
		}
		d.b.WriteString(line + "\n")
	}
}

// longSetting is where a setting's comment goes above it.
const longSetting = 56

// width is how many characters the setting has.
func (s setting) width() int { return utf8.RuneCountInString(s.key + " = " + s.value) }

// oneLine keeps a comment to its line: TOML forbids control characters there.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7F {
			return ' '
		}
		return r
	}, text)
}

// text writes a TOML string.
func text(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r < 0x20 || r == 0x7F:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// bareWord is a TOML key that needs no quotes.
var bareWord = regexp.MustCompile("^[A-Za-z0-9_-]+$")

// bareKey writes a TOML key.
func bareKey(s string) string {
	if bareWord.MatchString(s) {
		return s
	}
	return text(s)
}

// list writes a TOML list of strings.
func list(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = text(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// span writes a duration as a person does: 24h, 1h30m, 90s.
func span(d time.Duration) string { return text(short(d)) }

// short is a duration without the units that are zero.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// number writes a whole number.
func number(n int) string { return strconv.Itoa(n) }

// clampSpan brings a duration within bounds, and says so when it had to.
func clampSpan(d time.Duration, b spanBounds) (time.Duration, string) {
	switch {
	case d < b.Least:
		return b.Least, fmt.Sprintf("raised from %s to %s, the least imapproxy takes", short(d), short(b.Least))
	case d > b.Most:
		return b.Most, fmt.Sprintf("lowered from %s to %s, the most imapproxy takes", short(d), short(b.Most))
	}
	return d, ""
}

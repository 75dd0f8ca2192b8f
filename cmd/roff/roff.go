// Package roff writes manual pages (man(7)) from the texts of the help.
package roff

import (
	"fmt"
	"regexp"
	"strings"
)

// Page is a manual page under way.
type Page struct{ text strings.Builder }

// New begins a page, for example of imapproxy in section 8. summary is what
// whatis(1) shows. No word is divided at the end of a line: names of keys are looked for.
func New(name, section, version, summary string) *Page {
	p := &Page{}
	fmt.Fprintf(&p.text, ".TH %s %s \"\" \"imapproxy %s\"\n.nh\n.ad l\n.SH NAME\n%s \\- %s\n",
		strings.ToUpper(name), section, escape(version), escape(name), escape(summary))
	return p
}

// Section begins a section.
func (p *Page) Section(title string) { fmt.Fprintf(&p.text, ".SH %s\n", quote(strings.ToUpper(title))) }

// Part begins a part of a section.
func (p *Page) Part(title string) { fmt.Fprintf(&p.text, ".SS %s\n", quote(title)) }

// Text adds paragraphs, which empty lines divide. A paragraph of rows, each a
// term, two spaces or more, and what it means, is a table: each row becomes an item. One
// whose lines are all indented keeps its lines.
func (p *Page) Text(text string) {
	for _, paragraph := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		rows := tableRows(paragraph)
		switch {
		case rows != nil:
			for _, row := range rows {
				p.Item(row[0], row[1])
			}
		case isIndented(paragraph):
			p.text.WriteString(".PP\n")
			p.Verbatim(paragraph)
		default:
			p.text.WriteString(".PP\n" + lines(strings.TrimSpace(paragraph)))
		}
	}
}

// tableRow is a row of a table: a term, which may hold single spaces, and what it means.
var tableRow = regexp.MustCompile(`^(\S+(?: \S+)*) {2,}(\S.*)$`)

// tableRows returns the rows of a paragraph, each a term and its meaning; nil when it is not a
// table. An indented line goes on with the row before.
func tableRows(paragraph string) (rows [][2]string) {
	for line := range strings.SplitSeq(paragraph, "\n") {
		row := tableRow.FindStringSubmatch(line)
		switch {
		case row != nil:
			rows = append(rows, [2]string{row[1], row[2]})
		case len(rows) > 0 && strings.HasPrefix(line, "  "):
			rows[len(rows)-1][1] += "\n" + strings.TrimSpace(line)
		default:
			return nil
		}
	}
	if len(rows) < 2 {
		return nil
	}
	return rows
}

func isIndented(paragraph string) bool {
	for line := range strings.SplitSeq(paragraph, "\n") {
		if !strings.HasPrefix(line, "  ") {
			return false
		}
	}
	return true
}

// Verbatim adds lines as they are.
func (p *Page) Verbatim(text string) {
	p.text.WriteString(".nf\n" + lines(strings.TrimRight(text, "\n")) + ".fi\n")
}

// Item adds a term and what it means.
func (p *Page) Item(term, meaning string) {
	p.term(term)
	p.text.WriteString(lines(meaning))
}

// term begins an item.
func (p *Page) term(term string) { fmt.Fprintf(&p.text, ".TP\n.B %s\n", quote(term)) }

// String gives the page.
func (p *Page) String() string { return p.text.String() }

// lines escapes each line.
func lines(text string) string { return guarded(escape(text)) }

// guarded ends each line, and guards one that begins with a dot or a quote: it would be
// a request.
func guarded(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text + "\n") {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
}

// quote makes one argument of a text.
func quote(text string) string { return `"` + strings.ReplaceAll(escape(text), `"`, `""`) + `"` }

package roff

import (
	"regexp"
	"strings"
)

// Markdown adds a page of docs without its title. It knows what those pages have:
// headings of two levels, paragraphs, lists of one level, tables, code in fences or
// indented, and in a line `code`, **emphasis** and [links](to).
func (p *Page) Markdown(text string) {
	m := markdown{page: p, lines: strings.Split(text, "\n")}
	for len(m.lines) > 0 {
		m.block()
	}
}

// markdown is a page on its way to man(7).
type markdown struct {
	page  *Page
	lines []string // that are left
}

var (
	bullet = regexp.MustCompile(`^(-|[0-9]+\.) +(.*)$`)
	link   = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)
	span   = regexp.MustCompile("`([^`]*)`|\\*\\*([^*]*)\\*\\*")
)

// block takes what comes next.
func (m *markdown) block() {
	line := m.lines[0]
	switch {
	case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "# "):
		m.lines = m.lines[1:]
	case strings.HasPrefix(line, "## "):
		m.lines = m.lines[1:]
		m.page.Section(plain(line[3:]))
	case strings.HasPrefix(line, "### "):
		m.lines = m.lines[1:]
		m.page.Part(plain(line[4:]))
	case strings.HasPrefix(line, "```"):
		m.lines = m.lines[1:]
		m.verbatim(m.take(func(line string) bool { return !strings.HasPrefix(line, "```") }))
		m.lines = m.lines[min(1, len(m.lines)):]
	case strings.HasPrefix(line, "    "):
		m.verbatim(m.take(func(line string) bool { return strings.HasPrefix(line, "    ") }))
	case strings.HasPrefix(line, "|"):
		m.table(m.take(func(line string) bool { return strings.HasPrefix(line, "|") }))
	case bullet.MatchString(line):
		m.item()
	default:
		m.page.text.WriteString(".PP\n" + inline(m.take(isText)))
	}
}

// take takes lines from the front for as long as they are good.
func (m *markdown) take(good func(line string) bool) []string {
	n := 0
	for n < len(m.lines) && good(m.lines[n]) {
		n++
	}
	taken := m.lines[:n]
	m.lines = m.lines[n:]
	return taken
}

// isText reports a line of a paragraph.
func isText(line string) bool {
	return line != "" && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "```") && !bullet.MatchString(line)
}

// verbatim adds code, indented by its own four spaces or by as many.
func (m *markdown) verbatim(code []string) {
	text := ""
	for _, line := range code {
		text += strings.TrimPrefix(line, "    ") + "\n"
	}
	m.page.text.WriteString(".PP\n.RS 4\n")
	m.page.Verbatim(text)
	m.page.text.WriteString(".RE\n")
}

// item adds one of a list, whose further lines are indented.
func (m *markdown) item() {
	parts := bullet.FindStringSubmatch(m.lines[0])
	m.lines = m.lines[1:]
	mark := parts[1]
	if mark == "-" {
		mark = `\(bu`
	}
	more := m.take(func(line string) bool { return strings.HasPrefix(line, "  ") })
	m.page.text.WriteString(".IP " + mark + " 3\n" + inline(append([]string{parts[2]}, more...)))
}

// table adds each row as a term, the first cell, and what stands in the others; from the
// third column on with the column's heading.
func (m *markdown) table(rows []string) {
	var heading []string
	for i, row := range rows {
		row = strings.ReplaceAll(strings.Trim(row, "| "), `\|`, "\x00")
		cells := strings.Split(row, "|")
		for k := range cells {
			cells[k] = strings.ReplaceAll(strings.TrimSpace(cells[k]), "\x00", "|")
		}
		switch i {
		case 0:
			heading = cells
		case 1: // the rule below the heading
		default:
			m.page.term(plain(cells[0]))
			m.page.text.WriteString(inline(meaning(heading, cells[1:])))
		}
	}
}

// meaning joins the cells after the first.
func meaning(heading, cells []string) []string {
	text := ""
	for i, cell := range cells {
		switch {
		case i == 0 && len(cells) == 1:
			text = cell
		case i == 0:
			text = heading[1] + ": " + cell
		default:
			text += "; " + heading[i+1] + ": " + cell
		}
	}
	return []string{text}
}

// plain drops what marks code and emphasis.
func plain(text string) string { return span.ReplaceAllString(unlink(text), "$1$2") }

// unlink keeps of a link its text, and where it leads on the web.
func unlink(text string) string {
	return link.ReplaceAllStringFunc(text, func(whole string) string {
		parts := link.FindStringSubmatch(whole)
		if strings.Contains(parts[2], "://") {
			return parts[1] + " (" + parts[2] + ")"
		}
		return parts[1]
	})
}

// inline writes lines of text with code and emphasis in bold. They are one paragraph:
// a mark may end in the next line.
func inline(text []string) string {
	for i := range text {
		text[i] = strings.TrimSpace(text[i])
	}
	whole := unlink(strings.Join(text, "\n"))
	var b strings.Builder
	at := 0
	for _, m := range span.FindAllStringSubmatchIndex(whole, -1) {
		b.WriteString(escape(whole[at:m[0]]))
		from, to := m[2], m[3]
		if from < 0 {
			from, to = m[4], m[5]
		}
		b.WriteString(`\fB` + escape(whole[from:to]) + `\fR`)
		at = m[1]
	}
	b.WriteString(escape(whole[at:]))
	return guarded(b.String())
}

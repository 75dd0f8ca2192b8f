package bench

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/imaprig/term"
)

func (r *result) tables() []*term.Table {
	targets := term.NewTable("load", "target", "our median", "the peer's", "ratio (of the rounds)", "")
	targets.Title = "Targets"
	for i := range r.Rows {
		for _, v := range r.Rows[i].verdicts() {
			targets.Add(v.row, v.target, v.ours, v.peer, v.ratio, v.met)
		}
	}
	tables := []*term.Table{targets, r.losses(), r.meanings()}
	tables = slices.DeleteFunc(tables, (*term.Table).Empty)
	for _, title := range []string{tableMedians, tableLogins, tableLiterals, tableHandshakes, tablePool, tableScale} {
		if t := r.medians(title); !t.Empty() {
			tables = append(tables, t)
		}
	}
	if len(r.Scale) > 0 {
		scale := term.NewTable("finding", "value", "target", "")
		scale.Title = "Many sessions on one machine"
		for _, f := range r.Scale {
			scale.Add(f.Name, f.Text(), f.Limit, strings.Replace(f.Verdict(), "MISSED", "NOT MET", 1))
		}
		tables = append(tables, scale)
	}
	return tables
}

// losesBy is the least ratio that counts as a difference: rounds differ by more than a few percent.
const losesBy = 1.05

// losses returns the table of what other proxies are better at.
func (r *result) losses() *term.Table {
	t := term.NewTable("load", "figure", "ours", "better", "by")
	t.Title = "Where others are better"
	for i := range r.Rows {
		m := &r.Rows[i]
		for _, ours := range m.row.proxies {
			if ours == m.row.own() || ours == proxyCompat {
				m.addLosses(t, ours)
			}
		}
	}
	return t
}

// addLosses adds what others are better at than one of our proxies.
func (m *measurement) addLosses(t *term.Table, ours string) {
	for k, f := range m.row.figures {
		if f.name == p99Before || f.name == p99Rise {
			continue // the one is another row's, the other is small where the former is large
		}
		value, _ := m.median(ours, k)
		for _, name := range m.row.proxies {
			theirs, _ := m.median(name, k)
			by := f.better(theirs, value)
			if name != proxyDirect && !strings.HasPrefix(name, proxyOwn) && by >= losesBy {
				t.Add(m.Name, f.name, ours+" "+f.text(value), name+" "+f.text(theirs), fmt.Sprintf("%.2f times", by))
			}
		}
	}
}

// meanings returns the table of who should look at which row.
func (r *result) meanings() *term.Table {
	t := term.NewTable("load", "matters to, or says")
	t.Title = "Which row says what"
	for i := range r.Rows {
		if row := r.Rows[i].row; row.says != "" {
			t.Add(row.name, row.says)
		}
	}
	return t
}

// medians returns the table of that title: its rows' figures, with a column for each of their proxies.
func (r *result) medians(title string) *term.Table {
	var rows []*measurement
	names := everyProxy()
	if title != tableMedians {
		names = nil
	}
	for i := range r.Rows {
		if m := &r.Rows[i]; cmp.Or(m.row.table, tableMedians) == title {
			rows = append(rows, m)
			for _, name := range m.row.proxies {
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	t := term.NewTable(append([]string{"load", "figure"}, names...)...)
	t.Title = title
	for _, m := range rows {
		m.addMedians(t, names)
	}
	return t
}

// addMedians adds a row's figures by proxy.
func (m *measurement) addMedians(t *term.Table, names []string) {
	for i, f := range m.row.figures {
		line := []string{m.Name, f.name}
		for _, name := range names {
			cell := "-"
			if v, have := m.median(name, i); have && (v > 0 || f.none) {
				cell = f.text(v)
			}
			line = append(line, cell)
		}
		t.AddRow(line)
	}
}

// remarks returns what a reader must know in addition to the tables.
func (r *result) remarks() []string {
	lines := []string{fmt.Sprintf("%s: %s; %d rounds, %g s a measurement, %.0f s in all.",
		r.Began.UTC().Format("2006-01-02 15:04 MST"), r.Machine, r.Rounds, r.Duration, r.Seconds)}
	for _, p := range r.Proxies {
		line := p.Name + ": " + p.Version
		if p.Settings != "" {
			line += "; " + p.Settings
		}
		lines = append(lines, line+".")
	}
	for _, text := range r.NotRun {
		lines = append(lines, "Not measured: "+text)
	}
	for _, text := range r.Errors {
		lines = append(lines, "Errors in "+text)
	}
	return lines
}

// text returns the result for a terminal.
func (r *result) text() string {
	var b strings.Builder
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "%s\n\n%s\n", t.Title, t)
	}
	fmt.Fprintln(&b, strings.Join(r.remarks(), "\n"))
	return b.String()
}

// markdown returns the result for the page.
func (r *result) markdown() string {
	var b strings.Builder
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "### %s\n\n%s\n", t.Title, t.Markdown())
	}
	for _, line := range r.remarks() {
		fmt.Fprintf(&b, "- %s\n", term.MarkdownText(line))
	}
	return b.String()
}

// Where a page holds the table.
const (
	pageBegin = "<!-- bench: begin -->"
	pageEnd   = "<!-- bench: end -->"
)

// mayUpdatePage returns an error, before the run, when the page can't be written after it; "" is no page.
func mayUpdatePage(path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	if _, err := replaced(string(text), ""); err != nil {
		return fmt.Errorf("--out %s: %w", path, err)
	}
	return rig.CheckWritable(path)
}

// updatePage replaces the text between the two lines of the page.
func updatePage(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	page, err := replaced(string(text), table)
	if err != nil {
		return fmt.Errorf("write the table into %s: %w", path, err)
	}
	return os.WriteFile(path, []byte(page), 0o644)
}

func replaced(page, table string) (string, error) {
	head, rest, began := strings.Cut(page, pageBegin)
	_, tail, ended := strings.Cut(rest, pageEnd)
	if !began || !ended {
		return "", errors.New("the page has no lines " + pageBegin + " and " + pageEnd +
			" for the table to stand between")
	}
	return head + pageBegin + "\n\n" + table + "\n" + pageEnd + tail, nil
}

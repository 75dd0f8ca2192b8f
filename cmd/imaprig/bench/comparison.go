package bench

import (
	"errors"
	"fmt"
	"os"
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
	tables := []*term.Table{targets}
	if t := r.medians("All medians", "", proxyOwn, proxyNginx, proxyNginx64, proxyHAProxy, proxyDirect); !t.Empty() {
		tables = append(tables, t)
	}
	if t := r.medians("Backend connections from the pool", proxyPool, poolProxies()...); !t.Empty() {
		tables = append(tables, t)
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

// medians returns those of the rows whose targets apply to ours.
func (r *result) medians(title, ours string, names ...string) *term.Table {
	t := term.NewTable(append([]string{"load", "figure"}, names...)...)
	t.Title = title
	for i := range r.Rows {
		if r.Rows[i].row.ours == ours {
			r.Rows[i].addMedians(t, names)
		}
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

package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/imaprig/term"
)

// textTable is a table whose first row is its heading.
type textTable struct {
	title string
	rows  [][]string
}

func (r *result) tables() []textTable {
	targets := textTable{"Targets", [][]string{{"load", "target", "our median", "the peer's", "ratio (of the rounds)", ""}}}
	for i := range r.Rows {
		for _, v := range r.Rows[i].verdicts() {
			targets.rows = append(targets.rows, []string{v.row, v.target, v.ours, v.peer, v.ratio, v.met})
		}
	}
	tables := []textTable{targets}
	if t := r.medians("All medians", "", proxyOwn, proxyNginx, proxyNginx64, proxyHAProxy, proxyDirect); len(t.rows) > 1 {
		tables = append(tables, t)
	}
	if t := r.medians("Backend connections from the pool", proxyPool, poolProxies()...); len(t.rows) > 1 {
		tables = append(tables, t)
	}
	if len(r.Scale) > 0 {
		scale := textTable{"Many sessions on one machine", [][]string{{"finding", "value", "target", ""}}}
		for _, f := range r.Scale {
			scale.rows = append(scale.rows, []string{f.Name, f.Text(), f.Limit, strings.Replace(f.Verdict(), "MISSED", "NOT MET", 1)})
		}
		tables = append(tables, scale)
	}
	return tables
}

// medians are those of the rows whose targets are of ours.
func (r *result) medians(title, ours string, names ...string) textTable {
	t := textTable{title, [][]string{append([]string{"load", "figure"}, names...)}}
	for i := range r.Rows {
		if r.Rows[i].row.ours == ours {
			t.rows = append(t.rows, r.Rows[i].medians(names)...)
		}
	}
	return t
}

// medians are a row's figures by proxy.
func (m *measurement) medians(names []string) (rows [][]string) {
	for i, f := range m.row.figures {
		line := []string{m.Name, f.name}
		for _, name := range names {
			cell := "-"
			if v, have := m.median(name, i); have && (v > 0 || f.none) {
				cell = f.text(v)
			}
			line = append(line, cell)
		}
		rows = append(rows, line)
	}
	return rows
}

// remarks are what a reader must know beside the tables.
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

// text is for a terminal.
func (r *result) text() string {
	var b strings.Builder
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "%s\n\n", t.title)
		term.WriteTable(&b, func(w io.Writer) {
			for _, row := range t.rows {
				fmt.Fprintln(w, strings.Join(row, "\t"))
			}
		})
		fmt.Fprintln(&b)
	}
	fmt.Fprintln(&b, strings.Join(r.remarks(), "\n"))
	return b.String()
}

// markdown is for the page.
func (r *result) markdown() string {
	var b strings.Builder
	cells := strings.NewReplacer("|", "/", "\n", " ")
	for _, t := range r.tables() {
		fmt.Fprintf(&b, "### %s\n\n", t.title)
		for i, row := range t.rows {
			for _, cell := range row {
				fmt.Fprintf(&b, "| %s ", cells.Replace(cell))
			}
			b.WriteString("|\n")
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
		b.WriteString("\n")
	}
	for _, line := range r.remarks() {
		fmt.Fprintf(&b, "- %s\n", cells.Replace(line))
	}
	return b.String()
}

// Where a page holds the table.
const (
	pageBegin = "<!-- bench: begin -->"
	pageEnd   = "<!-- bench: end -->"
)

// mayUpdatePage finds out before the run that the page can't be written behind it. "" is none.
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
	return rig.MayWrite(path)
}

// updatePage replaces what stands between the lines.
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
		return "", errors.New("the page has no lines " + pageBegin + " and " + pageEnd + " for the table to stand between")
	}
	return head + pageBegin + "\n\n" + table + "\n" + pageEnd + tail, nil
}

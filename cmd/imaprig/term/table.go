package term

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table is rows of cells under a heading.
type Table struct {
	Title string // which String and Markdown leave out
	rows  [][]string
}

// NewTable returns a table that has a heading and no rows.
func NewTable(heading ...string) *Table {
	return &Table{rows: [][]string{heading}}
}

// Add adds a row. A cell of any kind is shown as fmt.Print shows it.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = fmt.Sprint(c)
	}
	t.AddRow(row)
}

// AddRow adds a row of texts.
func (t *Table) AddRow(row []string) { t.rows = append(t.rows, row) }

// Empty reports whether it has no rows.
func (t *Table) Empty() bool { return len(t.rows) == 1 }

// String returns it for a terminal: its columns are aligned, two spaces apart.
func (t *Table) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // into memory
	return b.String()
}

// Markdown returns it for a page.
func (t *Table) Markdown() string {
	var b strings.Builder
	for i, row := range t.rows {
		for _, cell := range row {
			fmt.Fprintf(&b, "| %s ", MarkdownText(cell))
		}
		b.WriteString("|\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// MarkdownText returns a text that can stand in a cell or in an item of a list.
func MarkdownText(text string) string { return strings.NewReplacer("|", "/", "\n", " ").Replace(text) }

package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"imapproxy/backend/printable"
)

// table prints aligned columns for people.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, header ...string) *table {
	t := &table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(header...)
	return t
}

// row prints one line; an empty cell is "-". What could change the terminal or
// the columns is escaped.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = cmp.Or(printable.Escape(c), "-")
	}
	_, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t"))
}

// end prints the table.
func (t *table) end() { _ = t.w.Flush() }

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch day := int64(24 * 3600); {
	case s >= day:
		return fmt.Sprintf("%dd%02dh", s/day, s%day/3600)
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	case s >= 60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

// size writes a number of bytes with its unit.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f := float64(n)
	i := 0
	for f >= 999.5 && i < len(units)-1 {
		f /= 1000
		i++
	}
	if i > 0 && f < 9.95 {
		return fmt.Sprintf("%.1f%s", f, units[i])
	}
	return fmt.Sprintf("%.0f%s", f, units[i])
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

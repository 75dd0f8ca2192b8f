package term

import (
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable lets print write cells with tabs between them.
func WriteTable(w io.Writer, print func(w io.Writer)) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	print(t)
	_ = t.Flush() // into memory
}

// Printable keeps what a server said from steering a terminal.
func Printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, text)
}

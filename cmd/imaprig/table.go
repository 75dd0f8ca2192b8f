package main

import (
	"io"
	"strings"
	"text/tabwriter"
)

// textTable lets print write cells with tabs between them.
func textTable(w io.Writer, print func(w io.Writer)) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	print(t)
	_ = t.Flush() // into memory
}

// printable keeps what a server said from steering a terminal.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return '?'
		}
		return c
	}, text)
}

package cli

import "strings"

// helpColumns is the width of what is printed for people, in characters.
const helpColumns = 100

// Wrap returns first, a space and the words of text, on lines of at most 100 characters where the words are not longer.
// The lines after the first begin with indent spaces. The last line has no end.
func Wrap(first, text string, indent int) string {
	var b strings.Builder
	b.WriteString(first)
	column := len(first)
	for _, word := range strings.Fields(text) {
		if column+1+len(word) > helpColumns {
			b.WriteString("\n" + strings.Repeat(" ", indent-1))
			column = indent - 1
		}
		b.WriteString(" " + word)
		column += 1 + len(word)
	}
	return b.String()
}

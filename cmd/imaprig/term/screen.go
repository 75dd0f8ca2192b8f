// Package term prints for people: what is drawn again and again on a terminal, and tables.
package term

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/term"
)

// Screen draws a text over the one before when it is a terminal.
type Screen struct {
	w        io.Writer
	terminal *os.File // nil when it is none
}

// NewScreen returns a screen that writes to w.
func NewScreen(w io.Writer) Screen {
	if IsTerminal(w) {
		return Screen{w, w.(*os.File)}
	}
	return Screen{w, nil}
}

// IsTerminal reports whether w is one.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Draw shows the text.
func (s Screen) Draw(text []byte) error {
	if s.terminal != nil {
		width, height, err := term.GetSize(int(s.terminal.Fd()))
		if err != nil {
			return err
		}
		text = fit(text, width, height)
	}
	_, err := s.w.Write(text)
	return err
}

// fit truncates text (ASCII) to the terminal and adds what redraws it in place: home, each line cleared to its end,
// then the rest of the screen.
func fit(text []byte, width, height int) []byte {
	out := []byte("\x1b[H")
	for i, line := range bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n")) {
		if i == height-1 {
			break
		}
		out = append(out, line[:min(len(line), width)]...)
		out = append(out, "\x1b[K\r\n"...)
	}
	return append(out, "\x1b[J"...)
}

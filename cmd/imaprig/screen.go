package main

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/term"
)

// screen draws a text over the one before when it is a terminal.
type screen struct {
	w        io.Writer
	terminal *os.File // nil when it is none
}

func newScreen(w io.Writer) screen {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return screen{w, f}
	}
	return screen{w, nil}
}

func (s screen) draw(text []byte) error {
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

// fit cuts text (ASCII) to the terminal and adds what redraws it in place: home, each line cleared to its end, then
// the rest of the screen.
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

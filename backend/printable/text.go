// Package printable makes text from outside fit for a log, for a line to a client
// and for a terminal: one line, whole characters, and nothing that moves the
// cursor or turns the direction of writing. Its functions differ only in what
// takes the place of a character that is not printable.
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// is reports whether a character may stay; utf8.RuneError stands for a byte that
// is no character.
func is(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }

// Text returns s with a "?" for each character that is not printable, cut to most
// bytes; 0 is no bound.
func Text(s string, most int) string {
	return cut(strings.Map(func(r rune) rune {
		if is(r) {
			return r
		}
		return '?'
	}, s), most)
}

// Only returns s without the characters that are not printable, cut to most
// bytes; 0 is no bound.
func Only(s string, most int) string {
	return cut(strings.Map(func(r rune) rune {
		if is(r) {
			return r
		}
		return -1
	}, s), most)
}

// Escape returns s with JSON's escape, as \u202e, for each character that is not
// printable, which loses nothing of valid UTF-8.
func Escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// Quote returns the first 64 bytes of s as a Go string in quotes, with "..." after
// it if that is not all.
func Quote(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

func cut(s string, most int) string {
	if most > 0 && len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}

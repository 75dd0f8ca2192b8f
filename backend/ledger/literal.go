package ledger

import (
	"bytes"
	"errors"
	"math"
)

// Literal is what braces at the end of a line announce: {5}, {5+} or {5-} (RFC
// 9051 section 4.3, RFC 7888).
type Literal struct {
	Before []byte // the line up to the "{"
	Digits []byte // what stands between the braces, less the mark
	Mark   byte   // '+' or '-'; 0 without one: the sender waits for "+"
}

// CutLiteral returns the last braces of a line that ends in "}". Whether they are
// a literal's is for the caller to judge: clients, backends and the ledger differ
// in what may stand before the braces and in the marks they take.
func CutLiteral(line []byte) (Literal, bool) {
	t, closed := bytes.CutSuffix(line, []byte("}"))
	open := bytes.LastIndexByte(t, '{')
	if !closed || open < 0 {
		return Literal{}, false
	}
	l := Literal{Before: t[:open], Digits: t[open+1:]}
	if n := len(l.Digits); n > 0 && (l.Digits[n-1] == '+' || l.Digits[n-1] == '-') {
		l.Mark, l.Digits = l.Digits[n-1], l.Digits[:n-1]
	}
	return l, true
}

// The errors of Literal.Size.
var (
	ErrNoNumber = errors.New("the braces hold no number")
	ErrTooLarge = errors.New("a literal of 2^63 bytes or more, or of over 19 digits")
)

// maxLiteralDigits bounds a literal's length, which is below 2^63 (RFC 9051
// number64) and so has 19 digits at most.
const maxLiteralDigits = 19

// Size returns the announced length in bytes.
func (l Literal) Size() (int64, error) {
	var n uint64
	for i, b := range l.Digits {
		if b < '0' || b > '9' {
			return 0, ErrNoNumber
		}
		if i < maxLiteralDigits {
			n = n*10 + uint64(b-'0')
		}
	}
	switch {
	case len(l.Digits) == 0:
		return 0, ErrNoNumber
	case len(l.Digits) > maxLiteralDigits || n > math.MaxInt64:
		return 0, ErrTooLarge
	}
	return int64(n), nil
}

package ledger

import (
	"errors"
	"math"
	"testing"
)

// TestCutLiteral has the announcements that its callers judge.
func TestCutLiteral(t *testing.T) {
	for line, want := range map[string]struct {
		before string
		mark   byte
		size   int64
		err    error
	}{
		"a {5}":                   {"a ", 0, 5, nil},
		"{5+}":                    {"", '+', 5, nil},
		"a ~{5-}":                 {"a ~", '-', 5, nil},
		"{1} {2}":                 {"{1} ", 0, 2, nil},
		"{0000000000000000005}":   {"", 0, 5, nil},
		"{00000000000000000005}":  {"", 0, 0, ErrTooLarge},
		"{9223372036854775807}":   {"", 0, math.MaxInt64, nil},
		"{9223372036854775808}":   {"", 0, 0, ErrTooLarge},
		"{99999999999999999999+}": {"", '+', 0, ErrTooLarge},
		"{}":                      {"", 0, 0, ErrNoNumber},
		"{+}":                     {"", '+', 0, ErrNoNumber},
		"{1++}":                   {"", '+', 0, ErrNoNumber},
		"{ 1}":                    {"", 0, 0, ErrNoNumber},
	} {
		l, found := CutLiteral([]byte(line))
		n, err := l.Size()
		if !found || string(l.Before) != want.before || l.Mark != want.mark || n != want.size ||
			!errors.Is(err, want.err) {
			t.Errorf("%q: %q, mark %q, %d, %v", line, l.Before, l.Mark, n, err)
		}
	}
	for _, line := range []string{"", "}", "a}", "{5", "{5} ", "{5}x"} {
		if _, found := CutLiteral([]byte(line)); found {
			t.Errorf("%q: found", line)
		}
	}
}

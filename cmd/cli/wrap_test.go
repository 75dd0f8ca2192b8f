package cli

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	long := strings.Repeat("x", helpColumns)
	tests := []struct {
		name, first, text string
		want              string
	}{
		{"short", "VERDICT:", "all is well.", "VERDICT: all is well."},
		{"spaces and lines become one space", " ", "a\n  b", "  a b"},
		{"no words", "  name", " ", "  name"},
		{"a line that is full", "", strings.Repeat("12345678 ", 11) + "z", strings.Repeat(" 12345678", 11) + "\n    z"},
		{"a word without room", "a", long + " b", "a\n    " + long + "\n    b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Wrap(tt.first, tt.text, 4); got != tt.want {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

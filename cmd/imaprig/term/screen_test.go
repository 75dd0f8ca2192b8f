package term

import "testing"

func TestFit(t *testing.T) {
	tests := []struct {
		name, text    string
		width, height int
		want          string
	}{
		{"fits", "ab\ncd\n\n", 80, 24, "\x1b[Hab\x1b[K\r\ncd\x1b[K\r\n\x1b[J"},
		{"too wide", "abcdef\n", 3, 24, "\x1b[Habc\x1b[K\r\n\x1b[J"},
		{"too high", "a\nb\nc\n", 80, 3, "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(fit([]byte(tt.text), tt.width, tt.height)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

package load

import (
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "8k": 8192, "64M": 64 << 20, "2MiB": 2 << 20, "": 0, "0": 0,
		"65m": 0, "1kk": 0, "k": 0, "-1": 0} {
		if n, err := parseSize(text); n != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v; want %d", text, n, err, want)
		}
	}
}

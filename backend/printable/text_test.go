package printable

import (
	"strings"
	"testing"
)

// TestText is what a log and a client's line get.
func TestText(t *testing.T) {
	for s, want := range map[string]string{
		"plain text": "plain text", "": "", "gr\u00fc\u00df Gott": "gr\u00fc\u00df Gott",
		"a\r\nb\tc\x00d\x1be\x7ff": "a??b?c?d?e?f", "\x80\xff": "??", "\u0085\u009b": "??",
		"\u202eabc\u2066\u2028\u200b": "?abc???", "\ufffd": "?",
		strings.Repeat("x", 300):      strings.Repeat("x", 256),
		strings.Repeat("\u20ac", 100): strings.Repeat("\u20ac", 85), // 256 bytes would cut one
	} {
		if got := Text(s, 256); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

// TestOnly drops what Text replaces.
func TestOnly(t *testing.T) {
	if got := Only("a\x1b\u202eb\xff\ufffdc\u20ac", 5); got != "abc" {
		t.Errorf("got %q", got)
	}
	if got := Only("a\nb", 0); got != "ab" {
		t.Errorf("got %q", got)
	}
}

// TestEscape loses nothing.
func TestEscape(t *testing.T) {
	const want = `a\u001b\u009b\u200b\u202e\udb40\udc41` + "\u00e9\U0001f600"
	if got := Escape("a\x1b\u009b\u200b\u202e\U000e0041\u00e9\U0001f600"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestQuote is short.
func TestQuote(t *testing.T) {
	for s, want := range map[string]string{
		"a\n\u202e": `"a\n\u202e"`, strings.Repeat("x", 64): `"` + strings.Repeat("x", 64) + `"`,
		strings.Repeat("x", 65): `"` + strings.Repeat("x", 64) + `"...`,
	} {
		if got := Quote(s); got != want {
			t.Errorf("%q: got %s", s, got)
		}
	}
}

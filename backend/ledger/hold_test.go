package ledger

import (
	"strings"
	"testing"
)

// What goes to the backend where LOGOUT is held, in however many pieces the
// client's bytes come.
func TestForward(t *testing.T) {
	tests := []struct {
		said, forwarded, tag string
		held                 bool
	}{
		{"a LOGOUT\r\n", "", "a", true},
		{"a logout\n", "", "a", true},
		{"a NOOP\r\nb LOGOUT\r\nc NOOP\r\n", "a NOOP\r\n", "b", true},
		{"a LOGOUTX\r\n", "a LOGOUTX\r\n", "", false},
		{"a LOGOUT now\r\n", "a LOGOUT now\r\n", "", false},
		{"a LOGOUT \r\n", "a LOGOUT \r\n", "", false},
		{"a  LOGOUT\r\n", "a  LOGOUT\r\n", "", false},
		{" LOGOUT\r\n", " LOGOUT\r\n", "", false},
		{"LOGOUT\r\n", "LOGOUT\r\n", "", false},
		{"+ LOGOUT\r\n", "+ LOGOUT\r\n", "", false},
		{strings.Repeat("t", MaxTag) + " LOGOUT\r\n", "", strings.Repeat("t", MaxTag), true},
		{strings.Repeat("t", MaxTag+1) + " LOGOUT\r\n", strings.Repeat("t", MaxTag+1) + " LOGOUT\r\n", "", false},
		// an empty line is a doubt
		{"a APPEND x {11+}\r\nb LOGOUT\r\n\r\n\r\nc LOGOUT\r\n", "a APPEND x {11+}\r\nb LOGOUT\r\n\r\n\r\nc LOGOUT\r\n",
			"", false},
		{"a APPEND x {10+}\r\nb LOGOUT\r\n\r\nc LOGOUT\r\n", "a APPEND x {10+}\r\nb LOGOUT\r\n\r\n", "c", true},
		{"a LOG", "", "", false},   // still open
		{"a LOGIN", "", "", false}, // so is this
		{"a LOGIN x", "a LOGIN x", "", false},
		{"a \"LOGOUT\r\n", "a \"LOGOUT\r\n", "", false},
	}
	for _, test := range tests {
		for size := 1; size <= len(test.said); size++ {
			var l Ledger
			l.HoldLogout()
			got := ""
			for rest := test.said; rest != ""; {
				n := min(size, len(rest))
				got += string(l.Forward([]byte(rest[:n])))
				rest = rest[n:]
			}
			tag, held := l.HeldLogout()
			if test.held && got != test.forwarded || !test.held && !strings.HasPrefix(test.forwarded, got) ||
				tag != test.tag || held != test.held {
				t.Errorf("%q by %d: forwarded %q, held %v %q; want %q, %v %q", test.said, size, got, held, tag,
					test.forwarded, test.held, test.tag)
			}
			if len(test.forwarded) > 0 && !test.held && got != test.forwarded { // all of it, but what is open yet
				t.Errorf("%q by %d: forwarded %q", test.said, size, got)
			}
		}
	}
}

// Forwarding changes nothing of what the ledger knows.
func FuzzForward(f *testing.F) {
	f.Add("a NOOP\r\nb LOGOUT\r\n", 3)
	f.Add("a APPEND x {3+}\r\nabc\r\nb SELECT x\r\n", 1)
	f.Fuzz(func(t *testing.T, said string, size int) {
		if size < 1 || size > 64 {
			return
		}
		var held, plain Ledger
		held.HoldLogout()
		got := ""
		for rest := said; rest != ""; {
			n := min(size, len(rest))
			got += string(held.Forward([]byte(rest[:n])))
			rest = rest[n:]
		}
		if !strings.HasPrefix(said, got) {
			t.Fatalf("forwarded %q of %q", got, said)
		}
		plain.Client([]byte(got))
		held.filter = nil
		if held.Outstanding() != plain.Outstanding() || held.Doubt() != plain.Doubt() ||
			held.LastCommand() != plain.LastCommand() {
			t.Fatalf("%q: %d %q %q, without holding %d %q %q", said, held.Outstanding(), held.Doubt(),
				held.LastCommand(),
				plain.Outstanding(), plain.Doubt(), plain.LastCommand())
		}
		if plain.LoggedOut() && plain.Doubt() == "" {
			t.Fatalf("%q: LOGOUT has been forwarded in %q", said, got)
		}
	})
}

package imapproxy

import (
	"fmt"
	"testing"
	"time"

	"imapproxy/backend"
)

// TestBackendThatDoesNotClose names a backend that does not close its
// connections: once an hour, and not before there are enough endings.
func TestBackendThatDoesNotClose(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock), withTarget(func(t *backend.Target) { t.Limits.Logout = time.Second }),
		withScript(func(c *backendConn) {
			if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") && c.number%10 != 0 {
				c.untilLogout()
			} // one in ten hears LOGOUT and does nothing
		}))
	sessions := func(n, warnings int) {
		t.Helper()
		for range n {
			r.login("plain", "joe").close()
		}
		r.restful()
		lines := r.log.lines(t, doesNotClose)
		if len(lines) != warnings {
			t.Fatalf("%d warnings, want %d\n%s", len(lines), warnings, r.log.text())
		}
	}
	sessions(resetEndings-1, 0)
	sessions(1, 1)
	l := r.log.lines(t, doesNotClose)[0]
	if got := fmt.Sprint(l["target"], l["backend"], l["endings"], l["resets"]); got != fmt.Sprint("one",
		r.backend.address(), 20, 2) {
		t.Errorf("the warning names %s", got)
	}
	sessions(resetEndings, 1)
	clock.advance(resetWindow)
	sessions(resetEndings, 2)
	if got := counts(t, r.server.Metrics(), "imapproxy_backend_endings_total", "ending"); got["reset"] != 6 ||
		got["logout"] != 54 {
		t.Errorf("the endings are counted as %v, want 6 resets and 54 after LOGOUT", got)
	}
}

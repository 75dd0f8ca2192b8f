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
	r.counted("reset", 6, "logout", 54)
}

// counted checks how the backend connections ended: words and their numbers.
func (r *rig) counted(want ...any) {
	r.t.Helper()
	got := counts(r.t, r.server.Metrics(), "imapproxy_backend_endings_total", "ending")
	if len(got) != len(want)/2 {
		r.t.Errorf("the endings are counted as %v, want %v", got, want)
	}
	for i := 0; i < len(want); i += 2 {
		if got[want[i].(string)] != want[i+1] {
			r.t.Errorf("the endings are counted as %v, want %v", got, want)
		}
	}
}

// TestBackendThatCouldNotBeAsked does not accuse a backend of the resets that a
// message broken off asks for: LOGOUT may not stand in it.
func TestBackendThatCouldNotBeAsked(t *testing.T) {
	r := newRig(t)
	for range 2 * resetEndings {
		c := r.login("plain", "joe")
		c.send("a APPEND x {1000}")
		c.expect(`\+ .*`)
		c.write("Subject: broken off\r\n")
		c.close()
		if l := r.endsWith(c, endClientClosed); l.str("backend_end") != "cut" {
			t.Errorf("the backend's connection ended as %q", l.str("backend_end"))
		}
	}
	if r.login("plain", "joe").close(); len(r.log.lines(t, doesNotClose)) != 0 {
		t.Errorf("a backend that was not asked to close is said not to do it\n%s", r.log.text())
	}
	r.restful()
	r.counted("cut", 2*resetEndings, "logout", 1)
}

// TestCutsHideNoResets keeps connections that were cut out of the share: they neither
// accuse a backend nor acquit one.
func TestCutsHideNoResets(t *testing.T) {
	var w resetWatch
	who, now := watched{"one", "127.0.0.1:143"}, time.Unix(1_000_000, 0)
	for range 10 * resetEndings {
		if _, _, warn := w.note(who, backend.EndCut, now); warn {
			t.Fatal("a warning about connections that were cut")
		}
	}
	for i := range resetEndings {
		ending := backend.EndLogout
		if i%5 == 0 {
			ending = backend.EndReset
		}
		total, resets, warn := w.note(who, ending, now)
		if warn != (i == resetEndings-1) {
			t.Errorf("after %d of %d endings the warning is %v", resets, total, warn)
		}
	}
}

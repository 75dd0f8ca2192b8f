package imapproxy

import (
	"testing"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/login"
)

// hurryBound is well under the limits that the tests give the endings.
const hurryBound = 3 * time.Second

// TestCloseHurriesEndings cuts sessions that are in their farewell already:
// clients that do not close, and a backend that does not.
func TestCloseHurriesEndings(t *testing.T) {
	r := newRig(t, withLimits(func(l *Limits) { l.Farewell = time.Minute }),
		withTarget(func(b *backend.Target) { b.Limits.Logout = time.Minute }),
		withScript(func(c *backendConn) {
			if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
				c.line() // LOGOUT, which it does not answer
			}
		}))
	logged, greeted := r.login("plain", "joe"), r.dial("plain")
	r.server.sessions.each(func(s *session) { s.drain(endShutdown) })
	logged.expect(`\* BYE .*`)
	greeted.expect(`\* BYE .*`)
	begun := time.Now()
	r.server.Close()
	if took := time.Since(begun); took > hurryBound {
		t.Errorf("Close took %v", took)
	}
	r.endsWith(logged, endShutdown)
}

// TestRefusingBackendIsEndedAside does not let the client, or the next
// address, wait for a backend that says BYE and stays.
func TestRefusingBackendIsEndedAside(t *testing.T) {
	stays := startBackend(t, func(c *backendConn) { c.send("* BYE too busy") })
	r := newRig(t, withTarget(func(b *backend.Target) { b.Limits.Logout = 20 * time.Second }))
	t.Cleanup(stays.stop)
	r.target.Addresses = []string{stays.address(), r.backend.address()}
	begun := time.Now()
	c := r.login("plain", "joe")
	if took := time.Since(begun); took > hurryBound {
		t.Errorf("the login took %v", took)
	}
	if n := len(r.log.lines(t, "an address of this target failed; a later one answered")); n != 1 {
		t.Errorf("%d lines about the address that failed", n)
	}
	stays.stop()
	c.close()
}

// TestUnroutedUserWaitsAsLong refuses a user without a backend as late as the
// backend refuses a wrong password, and in the same words.
func TestUnroutedUserWaitsAsLong(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	r.server.refusals.learn(login.Answer{Text: "no user joe", Texts: login.TextsAll}, 701*time.Millisecond)
	c := r.dial("plain")
	c.send("a LOGIN nobody %s", canary)
	clock.awaitTimer(t, timerRefusal, 701*time.Millisecond)
	if n := len(r.log.lines(t, "login refused")); n != 0 {
		t.Error("refused before a backend would have")
	}
	clock.advance(701 * time.Millisecond)
	c.expect("a NO " + loginRefused)
	c.close()
}

func TestUsualRefusal(t *testing.T) {
	var u usualRefusal
	const plain = "NO " + loginRefused
	for _, c := range []struct {
		code string
		took time.Duration // 0: nothing is learnt

		want     string
		wantTook time.Duration
	}{
		{"", 0, noSuchLogin, firstRefusalLatency},
		{"", 80 * time.Millisecond, plain, 80 * time.Millisecond},
		{"EXPIRED", 160 * time.Millisecond, plain, 90 * time.Millisecond},
		{"AUTHENTICATIONFAILED", 90 * time.Millisecond, noSuchLogin, 90 * time.Millisecond},
	} {
		if c.took > 0 {
			u.learn(login.Answer{Code: c.code}, c.took)
		}
		if text, took := u.usual(); text != c.want || took != c.wantTook {
			t.Errorf("after %q: %q after %v, want %q after %v", c.code, text, took, c.want, c.wantTook)
		}
	}
}

// TestMasterLoginNamesBoth tells in the log who logged in, and as whom.
func TestMasterLoginNamesBoth(t *testing.T) {
	r := newRig(t)
	c := r.dial("plain")
	c.send("a AUTHENTICATE PLAIN %s", coded("bob\x00master\x00"+canary))
	c.expect(`a OK .*`)
	if v := r.server.List()[0]; v.User != "master" || v.AuthzID != "bob" {
		t.Errorf("listed as %q for %q", v.User, v.AuthzID)
	}
	c.send("b LOGOUT")
	c.until("b")
	if l := r.endsWith(c, endLogout); l.str("user") != "master" || l.str("authzid") != "bob" {
		t.Errorf("the log has %q for %q", l.str("user"), l.str("authzid"))
	}
}

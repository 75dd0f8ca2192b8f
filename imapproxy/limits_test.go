package imapproxy

import (
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// TestLoginLimit runs into the limit on the time to log in, in every phase
// before the relay. Traffic does not extend it.
func TestLoginLimit(t *testing.T) {
	for _, test := range []struct {
		name  string
		begin func(r *rig) *testClient
		bye   bool
	}{
		{"greeted", func(r *rig) *testClient { return r.dial("plain") }, true},
		{"mid-line", func(r *rig) *testClient { c := r.dial("plain"); c.write("a NO"); return c }, true},
		{"mid-literal", func(r *rig) *testClient {
			c := r.dial("plain")
			c.send("a LOGIN {3}")
			c.expect(`\+ .*`)
			c.write("j")
			return c
		}, true},
		{"in SASL", func(r *rig) *testClient {
			c := r.dial("plain")
			c.send("a AUTHENTICATE LOGIN")
			c.expect(`\+ .*`)
			return c
		}, true},
		{"in a handshake", func(r *rig) *testClient {
			c := r.connectRaw("tls")
			c.write("\x16\x03\x01\x02\x00")
			return c
		}, false},
		{"in TLS", func(r *rig) *testClient { return r.dial("tls") }, true},
		{"being authenticated", func(r *rig) *testClient {
			c := r.dial("plain")
			c.send("a LOGIN slow %s", canary)
			r.await("the question", func() bool { return r.fakeAuth().waiting.Load() == 1 })
			return c
		}, true},
		{"being routed", func(r *rig) *testClient {
			c := r.dial("plain")
			c.send("a LOGIN slow-route %s", canary)
			r.await("the question", func() bool { return r.router.(*fakeRouter).waiting.Load() == 1 })
			return c
		}, true},
		{"the backend logs in", func(r *rig) *testClient {
			c := r.dial("plain")
			c.send("a LOGIN hang %s", canary)
			r.await("the backend's login", func() bool { return len(r.backend.logins()) == 1 })
			return c
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := newFakeClock()
			r := newRig(t, withClock(clock), withTarget(longLimits))
			c := test.begin(r)
			clock.awaitTimer(t, timerLogin, r.settings.Limits.Login)
			clock.advance(r.settings.Limits.Login - time.Second)
			if n := len(r.log.ends(t, c.port, c.logged)); n != 0 {
				t.Fatal("ended before the limit")
			}
			clock.advance(time.Second)
			if test.bye {
				c.expectBye("Not logged in within the time allowed")
			} else if got, _ := c.rest(); strings.Contains(got, "BYE") {
				t.Errorf("BYE within a handshake: %q", got)
			}
			c.close()
			r.endsWith(c, endLoginTimeout)
			r.restful()
		})
	}
}

// longLimits keeps a backend's limits out of the way.
func longLimits(t *backend.Target) {
	t.Limits.Greeting, t.Limits.Login = time.Hour, time.Hour
}

// TestLoginLimitAndTraffic keeps a client busy up to the limit.
func TestLoginLimitAndTraffic(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock), withLimits(func(l *Limits) { l.FailedLogins = 99 }))
	c := r.dial("plain")
	for range 9 {
		clock.advance(r.settings.Limits.Login / 10)
		c.send("a NOOP")
		c.expect("a OK .*")
		c.send("b LOGIN joe wrong")
		c.expect("b NO .*")
	}
	clock.advance(r.settings.Limits.Login / 10)
	c.expectBye("Not logged in .*")
	r.endsWith(c, endLoginTimeout)
}

// TestLoginLimitIsOver logs in, and stays for longer than the limit.
func TestLoginLimitIsOver(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	c := r.login("plain", "joe")
	r.await("the login limit's timer stopped", func() bool { return clock.pending(timerLogin) == 0 })
	clock.advance(10 * time.Minute)
	c.send("a NOOP")
	c.expect("a OK .*")
}

// TestWait answers a refusal late when the authenticator says so, and watches
// the client meanwhile.
func TestWait(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	c := r.dial("plain")
	c.send("a LOGIN wait x")
	clock.awaitTimer(t, timerRefusal, 3*time.Second)
	c.send("b NOOP")
	if c.in.Buffered() > 0 {
		t.Error("answered at once")
	}
	clock.advance(3 * time.Second)
	c.expect(`a NO \[AUTHENTICATIONFAILED\] .*`)
	c.expect("b OK .*")

	c.send("c LOGIN wait x")
	clock.awaitTimer(t, timerRefusal, 3*time.Second)
	c.close()
	r.endsWith(c, endClientClosed)
}

// TestBackendLimits runs into each limit of a backend's connection: the client
// reads NO, and may try again.
func TestBackendLimits(t *testing.T) {
	for _, test := range []struct {
		name   string
		script backendScript
		timer  string
		limit  func(l *backend.Limits) time.Duration
	}{
		{"no greeting", func(*backendConn) {}, timerGreeting,
			func(l *backend.Limits) time.Duration { return l.Greeting }},
		{"half a greeting", func(c *backendConn) { c.write("* OK [CAPA") }, timerGreeting,
			func(l *backend.Limits) time.Duration { return l.Greeting }},
		{"no answer to CAPABILITY", func(c *backendConn) { c.send("* OK hello") }, timerCapability,
			func(l *backend.Limits) time.Duration { return l.Login }},
		{"no answer to the login",
			func(c *backendConn) { c.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello") },
			timerBackend, func(l *backend.Limits) time.Duration { return l.Login }},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := newFakeClock()
			r := newRig(t, withClock(clock), withScript(test.script))
			c := r.dial("plain")
			for _, tag := range []string{"a", "b"} {
				c.send("%s LOGIN joe %s", tag, canary)
				limit := test.limit(&r.target.Limits)
				clock.awaitTimer(t, test.timer, limit)
				clock.advance(limit)
				c.expect(tag + ` NO \[UNAVAILABLE\] .*`)
				clock.advance(2 * time.Second) // the backend is not asked for a second
			}
			c.send("c NOOP")
			c.expect("c OK .*")
			c.close()
			l := r.endsWith(c, endClientClosed)
			if !strings.Contains(l.str("error"), "timeout") {
				t.Errorf("the log has the error %q", l.str("error"))
			}
			r.restful()
			for _, b := range r.backend.all() {
				if b.ended() == "own" {
					t.Errorf("the proxy has not closed connection %d", b.number)
				}
			}
		})
	}
}

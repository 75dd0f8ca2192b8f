package imapproxy

import (
	"strings"
	"testing"
	"time"
)

// TestBackendEnds ends the backend's side: the client reads what the backend
// has said and BYE, or a reset where it is in the middle of something.
func TestBackendEnds(t *testing.T) {
	for _, test := range []struct {
		name   string
		script func(c *backendConn)
		reason endReason
		want   string // what the client reads before the end
		cut    bool   // the end is a reset, without BYE
	}{
		{"closes", (*backendConn).close, endBackendClosed, "", false},
		{"resets", (*backendConn).reset, endBackendAborted, "", false},
		{"says BYE and closes", func(c *backendConn) { c.send("* BYE going down"); c.close() }, endBackendClosed,
			"* BYE going down\r\n", false},
		{"says something and closes", func(c *backendConn) { c.send("* 3 EXISTS"); c.close() }, endBackendClosed,
			"* 3 EXISTS\r\n", false},
		{"half-closes", func(c *backendConn) { c.send("* 3 EXISTS"); _ = c.raw.CloseWrite() }, endBackendClosed,
			"* 3 EXISTS\r\n", false},
		{"closes mid-literal", func(c *backendConn) { c.send("* 1 FETCH (BODY[] {100}\r\nabc"); c.close() },
			endBackendClosed, "", true},
		{"closes mid-line", func(c *backendConn) { c.write("* 1 FET"); c.close() }, endBackendClosed, "", true},
		{"closes between literal and line", func(c *backendConn) { c.write("* 1 FETCH (BODY[] {3}\r\nabc"); c.close() },
			endBackendClosed, "", true},
	} {
		for _, listener := range []string{"plain", "tls"} {
			t.Run(test.name+" "+listener, func(t *testing.T) {
				gate := make(chan struct{})
				r := newRig(t, withScript(func(c *backendConn) {
					if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
						<-gate
						test.script(c)
					}
				}))
				c := r.login(listener, "joe")
				close(gate)
				if test.cut {
					if got := c.expectReset(); strings.Contains(got, "BYE") {
						t.Errorf("BYE in the middle of something: %q", got)
					}
				} else {
					got, err := c.rest()
					own := "* BYE [UNAVAILABLE] The mail server closed the connection; connect again\r\n"
					if strings.Contains(test.want, "BYE") {
						own = ""
					}
					if err != nil || got != test.want+own {
						t.Errorf("the client reads %q and %v, want %q", got, err, test.want+own)
					}
				}
				c.close()
				r.endsWith(c, test.reason)
				r.restful()
			})
		}
	}
}

// TestClientEnds ends the client's side in the relay, by each way, while
// nothing is asked, in IDLE, with commands unanswered and inside a literal.
func TestClientEnds(t *testing.T) {
	for _, state := range []struct {
		name   string
		begin  string
		answer string // what the client waits for
		after  string // what the backend gets in the end, after a close in order
	}{
		{"idle", "", "", "X9 LOGOUT\r\n"},
		{"in IDLE", "i IDLE\r\n", `\+ .*`, "i IDLE\r\nDONE\r\nX9 LOGOUT\r\n"},
		{"mid-literal", "a APPEND x {10}\r\n", `\+ .*`, "a APPEND x {10}\r\n"},
		{"mid-line", "a SELECT INB", "", "a SELECT INB"},
		{"in a command's name", "a NOO", "", "X9 LOGOUT\r\n"}, // which the backend has not got
	} {
		for _, way := range leaving {
			t.Run(state.name+" "+way.name, func(t *testing.T) {
				r := newRig(t)
				c := r.login(way.listener, "joe")
				c.write(state.begin)
				if state.answer != "" {
					c.expect(state.answer)
				}
				r.await("all at the backend", func() bool {
					return len(r.backend.conn(0).relayed()) >= len(state.begin) ||
						!strings.HasPrefix(state.after, state.begin)
				})
				way.leave(c)
				l := r.endsWith(c, way.reason)
				r.restful()
				if got := r.backend.conn(0).relayed(); got != state.after {
					t.Errorf("the backend gets %q, want %q", got, state.after)
				}
				want := "logout"
				if !strings.Contains(state.after, "LOGOUT") {
					want = "cut"
				}
				if l.str("backend_end") != want {
					t.Errorf("the backend's connection ended as %q, want %q", l.str("backend_end"), want)
				}
			})
		}
	}
}

// TestClientLeavesAfterLogout does not wait for the answer to LOGOUT.
func TestClientLeavesAfterLogout(t *testing.T) {
	r := newRig(t)
	c := r.login("plain", "joe")
	c.send("a LOGOUT")
	c.close()
	r.endsWith(c, endLogout)
	r.restful()
	if got := r.backend.conn(0).relayed(); got != "a LOGOUT\r\n" {
		t.Errorf("the backend gets %q", got)
	}
}

// TestBackendClosesOnLogout closes without an answer to LOGOUT, as some do:
// that is what the client has asked for.
func TestBackendClosesOnLogout(t *testing.T) {
	r := newRig(t, withScript(func(c *backendConn) {
		if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
			_, _ = c.line()
			c.close()
		}
	}))
	c := r.login("plain", "joe")
	c.send("a LOGOUT")
	c.expectEOF()
	r.endsWith(c, endLogout)
}

// TestIdleLimit is silent for the limit: the session ends, but not in IDLE,
// and not before.
func TestIdleLimit(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	limit := r.settings.Limits.Idle
	silent, idling, busy := r.login("plain", "joe"), r.login("plain", "ann"), r.login("tls", "eve")
	idling.send("i IDLE")
	idling.expect(`\+ .*`)
	for range 4 {
		clock.advance(limit / 5)
		busy.send("a NOOP")
		busy.expect("a OK .*")
	}
	clock.awaitTimer(t, timerSweep, sweepEvery)
	if r.server.Sessions() != 3 {
		t.Fatal("a session ended before the limit")
	}
	r.passTime(limit/5 + time.Minute)
	silent.expectBye("Autologout.*")
	if l := r.endsWith(silent, endIdleTimeout); l.str("backend_end") != "logout" {
		t.Errorf("the backend's connection ended as %q", l.str("backend_end"))
	}
	r.passTime(2 * limit)
	busy.expectBye("Autologout.*")
	r.endsWith(busy, endIdleTimeout)
	if r.server.Sessions() != 1 {
		t.Error("IDLE has been ended")
	}
	idling.send("DONE")
	idling.expect("i OK .*")
	r.passTime(limit + time.Minute)
	idling.expectBye("Autologout.*")
	r.endsWith(idling, endIdleTimeout)
}

// passTime advances step by step; in each the server looks at its sessions.
func (r *rig) passTime(d time.Duration) {
	r.t.Helper()
	clock := r.clock.(*fakeClock)
	for step := 30 * time.Second; d > 0; d -= step {
		clock.awaitTimer(r.t, timerSweep, sweepEvery)
		clock.advance(min(step, d))
	}
	clock.awaitTimer(r.t, timerSweep, sweepEvery)
}

// TestResetAfterSplicedBytes resets the backend's connection while more of a large
// literal waits than one read takes: whichever call meets the reset, it is the
// reason.
func TestResetAfterSplicedBytes(t *testing.T) {
	stalled.run(t)
	s := newStage(t, matrixCell{Phase: "relay_large_s2c_plain_plain", Reason: "b_rst", Client: "CUT", Backend: "X"})
	s.phase.enter(s)
	r := &s.session().relay
	func() {
		r.mu.Lock() // the relay finds all of it at once
		defer r.mu.Unlock()
		s.b.write(strings.Repeat("m", 3*loopBuffer))
		s.begin()
		s.b.reset()
	}()
	s.finishCell()
}

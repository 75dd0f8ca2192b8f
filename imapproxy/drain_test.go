package imapproxy

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// drainBeside starts a drain and gives what it returns, for which drained waits.
// The test's own context would cut a drain that is the last to see the end.
func (r *rig) drainBeside(ctx context.Context) <-chan error {
	over := make(chan error, 1)
	go func() { over <- r.server.Drain(ctx) }()
	return over
}

// draining starts a drain and waits until nothing listens.
func (r *rig) draining(ctx context.Context) <-chan error {
	over := r.drainBeside(ctx)
	r.await("the listeners closed", func() bool {
		for _, a := range r.addresses {
			conn, err := net.Dial("tcp", a)
			if err == nil {
				_ = conn.Close()
				return false
			}
		}
		return true
	})
	return over
}

const byeShutdown = `\[UNAVAILABLE\] The server is shutting down; connect again`

// drained waits for the drain and checks what it returns.
func (r *rig) drained(over <-chan error) error {
	r.t.Helper()
	select {
	case err := <-over:
		return err
	case <-time.After(patience):
		r.t.Fatal("Drain does not return")
		return nil
	}
}

// TestDrainBeforeLogin tells clients that have not logged in BYE at once.
func TestDrainBeforeLogin(t *testing.T) {
	r := newRig(t)
	greeted, inTLS, midLine, inSASL := r.dial("plain"), r.dial("tls"), r.dial("plain"), r.dial("plain")
	midLine.write("a NO")
	inSASL.send("a AUTHENTICATE LOGIN")
	inSASL.expect(`\+ .*`)
	asking := r.dial("plain")
	asking.send("a LOGIN slow %s", canary)
	r.await("the question", func() bool { return r.fakeAuth().waiting.Load() == 1 })
	handshake := r.connectRaw("tls")
	r.await("all sessions", func() bool { return r.server.Sessions() == 6 })

	over := r.draining(context.Background())
	for _, c := range []*testClient{greeted, inTLS, midLine, inSASL} {
		c.expectBye(byeShutdown)
		r.endsWith(c, endShutdown)
	}
	asking.expect(`a NO \[UNAVAILABLE\] .*`)
	asking.expectBye(byeShutdown)
	r.endsWith(asking, endShutdown)
	if got, _ := handshake.rest(); strings.Contains(got, "BYE") {
		t.Errorf("BYE within a handshake: %q", got)
	}
	handshake.close()
	r.endsWith(handshake, endShutdown)
	if err := r.drained(over); err != nil {
		t.Errorf("Drain: %v", err)
	}
}

// TestDrainRelays ends relays where a line may stand: at once when nothing
// goes on, after the command that goes on otherwise.
func TestDrainRelays(t *testing.T) {
	gate := make(chan struct{})
	r := newRig(t, withScript(func(c *backendConn) {
		if !c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
			return
		}
		if c.logins[0].user != "fetching" {
			c.serve()
			return
		}
		_, _ = c.line()
		c.write("* 1 FETCH (BODY[] {6}\r\nabc")
		<-gate
		c.write("def)\r\na OK FETCH completed\r\n")
		c.untilLogout()
	}))
	silent := r.login("plain", "silent")
	idling := r.login("tls", "idling")
	idling.send("i IDLE")
	idling.expect(`\+ .*`)
	appending := r.login("plain", "appending")
	appending.send("a APPEND x {10}")
	appending.expect(`\+ .*`)
	appending.write("12345")
	fetching := r.login("plain", "fetching")
	fetching.send("a FETCH 1 BODY[]")
	fetching.expect(`\* 1 FETCH .*`)
	r.await("the literal's beginning", func() bool { return strings.HasSuffix(r.backend.conn(2).relayed(), "12345") })

	over := r.draining(context.Background())
	silent.expectBye(byeShutdown)
	idling.expectBye(byeShutdown)
	r.endsWith(silent, endShutdown)
	r.endsWith(idling, endShutdown)
	if n := r.server.Sessions(); n != 2 {
		t.Errorf("%d sessions are left, want the two in a literal", n)
	}
	appending.write("67890\r\n")
	appending.expect("a OK APPEND completed")
	appending.expectBye(byeShutdown)
	close(gate)
	fetching.expect(`abcdef\)`)
	fetching.expect("a OK FETCH completed")
	fetching.expectBye(byeShutdown)
	if err := r.drained(over); err != nil {
		t.Errorf("Drain: %v", err)
	}
	r.restful()
	for i, want := range []string{
		"X9 LOGOUT\r\n", "i IDLE\r\nDONE\r\nX9 LOGOUT\r\n", "a APPEND x {10}\r\n1234567890\r\nX9 LOGOUT\r\n",
		"a FETCH 1 BODY[]\r\nX9 LOGOUT\r\n",
	} {
		if got := r.backend.conn(i).relayed(); got != want {
			t.Errorf("backend connection %d gets %q, want %q", i, got, want)
		}
	}
}

// midLiteral is a client that has sent half a literal.
func (r *rig) midLiteral() *testClient {
	r.t.Helper()
	c := r.login("plain", "joe")
	c.send("a APPEND x {10}")
	c.expect(`\+ .*`)
	c.write("12345")
	r.await("the literal's beginning", func() bool { return strings.HasSuffix(r.backend.conn(0).relayed(), "12345") })
	return c
}

// TestDrainLimit cuts what has not come to a safe point in time, or at once
// when the second signal comes.
func TestDrainLimit(t *testing.T) {
	for _, way := range []string{"limit", "second signal", "Close"} {
		t.Run(way, func(t *testing.T) {
			clock := newFakeClock()
			r := newRig(t, withClock(clock))
			c := r.midLiteral()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			over := r.draining(ctx)
			if n := r.server.Sessions(); n != 1 {
				t.Fatal("the session did not get its time")
			}
			switch way {
			case "limit":
				clock.awaitTimer(t, timerDrain, r.settings.Limits.Drain)
				clock.advance(r.settings.Limits.Drain)
			case "second signal":
				cancel()
			case "Close":
				r.server.Close()
			}
			c.expectBye(byeShutdown)
			l := r.endsWith(c, endShutdown)
			if l.str("backend_end") != "cut" {
				t.Errorf("the backend's connection ended as %q in the middle of a literal", l.str("backend_end"))
			}
			err := r.drained(over)
			var cut *CutError
			switch {
			case way == "Close" && err != nil:
				t.Errorf("Drain: %v", err)
			case way != "Close" && (!errors.As(err, &cut) || cut.Sessions != 1):
				t.Errorf("Drain: %v, want a CutError for 1 session", err)
			}
			r.restful()
			if got := r.backend.conn(0); got.ended() != "RST" || strings.Contains(got.relayed(), "LOGOUT") {
				t.Errorf("the backend gets %q and then %s", got.relayed(), got.ended())
			}
		})
	}
}

// TestCloseMidLiteralDown resets a client that is in the middle of a message:
// neither BYE nor a FIN may make it look whole.
func TestCloseMidLiteralDown(t *testing.T) {
	for _, listener := range []string{"plain", "tls"} {
		t.Run(listener, func(t *testing.T) {
			r := newRig(t, withScript(func(c *backendConn) {
				if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
					c.write("* 1 FETCH (BODY[] {6}\r\nabc")
					c.untilLogout()
				}
			}))
			c := r.login(listener, "joe")
			c.expect(`\* 1 FETCH .*`)
			if _, err := c.in.Peek(3); err != nil {
				t.Fatal(err)
			}
			r.server.Close()
			if got := c.expectReset(); strings.Contains(got, "BYE") {
				t.Errorf("the client reads %q", got)
			}
			r.endsWith(c, endShutdown)
		})
	}
}

// TestDrainOfNothing returns at once, and so does a second one; Serve lets
// no client in any more.
func TestDrainOfNothing(t *testing.T) {
	r := newRig(t)
	r.address("plain")
	for range 2 {
		if err := r.drained(r.draining(context.Background())); err != nil {
			t.Errorf("Drain: %v", err)
		}
	}
	ln := listen(t)
	if err := r.server.Serve(ln, "plain"); !errors.Is(err, ErrClosed) {
		t.Errorf("Serve after Drain: %v", err)
	}
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener given to Serve after Drain: %v", err)
	}
}

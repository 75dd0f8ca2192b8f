package imapproxy

import (
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// brokeListener has no descriptors for some calls.
type brokeListener struct {
	net.Listener
	failures atomic.Int64 // still to come
}

// Accept implements net.Listener.
func (l *brokeListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// TestAcceptWithoutDescriptors pauses longer each time, and goes on.
func TestAcceptWithoutDescriptors(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	ln := &brokeListener{Listener: listen(t)}
	ln.failures.Store(9)
	r.addresses["plain"] = ln.Addr().String()
	r.serve(ln, "plain")
	for i, pause := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1000, 1000} {
		pause *= time.Millisecond
		clock.awaitTimer(t, timerAccept, pause)
		if n := len(r.log.lines(t, "accept failed; clients wait in the backlog")); n != i+1 {
			t.Fatalf("%d warnings after %d failures", n, i+1)
		}
		clock.advance(pause)
	}
	c := r.login("plain", "joe")
	c.send("a NOOP")
	c.expect("a OK .*")
}

// TestAcceptPauseEnds does not wait a pause out when the server ends.
func TestAcceptPauseEnds(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	ln := &brokeListener{Listener: listen(t)}
	ln.failures.Store(1 << 30)
	r.serve(ln, "plain")
	clock.awaitTimer(t, timerAccept, 10*time.Millisecond)
	r.server.Close()
	r.serving.Wait() // Serve has returned, by the clock of no one
}

// TestSessionLimit turns a client away with BYE in the greeting's place, and
// lets one in again once there is room.
func TestSessionLimit(t *testing.T) {
	r := newRig(t, withLimits(func(l *Limits) { l.Sessions = 2 }))
	first, second := r.dial("plain"), r.login("tls", "joe")
	third := r.connect("plain")
	third.expectBye(`\[UNAVAILABLE\] Too many connections; try again later`)
	r.endsWith(third, endOverload)
	fourth := r.connectRaw("tls")
	if got, _ := fourth.rest(); got != "" {
		t.Errorf("plain text on a TLS listener: %q", got)
	}
	fourth.close()
	r.endsWith(fourth, endOverload)
	first.close()
	r.endsWith(first, endClientClosed)
	r.await("room", func() bool { return r.server.Sessions() == 1 })
	r.dial("plain")
	second.send("a NOOP")
	second.expect("a OK .*")
}

// TestReload gives a new generation to those who come, and leaves it to the
// others.
func TestReload(t *testing.T) {
	r := newRig(t)
	before := r.dial("plain")
	next := *r.settings
	next.Hostname = "next.example.test"
	next.Limits.FailedLogins = 1
	r.server.Reload(&next)
	after := r.connect("plain")
	after.expect(`.* next\.example\.test imapproxy ready`)
	after.send("a LOGIN joe wrong")
	after.expect("a NO .*")
	after.expectBye(".*")
	for _, tag := range []string{"a", "b"} {
		before.send("%s LOGIN joe wrong", tag)
		before.expect(tag + " NO .*")
	}
	before.send("c LOGIN joe %s", canary)
	before.expect("c OK .*")
}

package imapproxy

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/backend/wire"
)

// brokeListener has no descriptors for the first clients.
type brokeListener struct {
	*wire.Listener
	failures atomic.Int64
}

// Accept returns a client.
func (l *brokeListener) Accept() (wire.Descriptor, error) {
	if l.failures.Add(-1) >= 0 {
		return wire.Descriptor{}, os.NewSyscallError("accept4", syscall.EMFILE)
	}
	return l.Listener.Accept()
}

// serveBroke accepts clients of a listener in one loop, as long as there are descriptors for them.
func (r *rig) serveBroke(failures int64) *acceptor {
	r.t.Helper()
	r.server.started.Do(r.server.startWork)
	ln := listen(r.t)
	socket, err := wire.NewListener(ln)
	if err != nil {
		r.t.Fatal(err)
	}
	r.addresses["plain"] = ln.Addr().String()
	broke := &brokeListener{Listener: socket}
	broke.failures.Store(failures)
	a := &acceptor{server: r.server, name: "plain", socket: socket, clients: broke}
	x := &loopAcceptor{acceptor: a, loop: r.server.loops.all[0]}
	a.loops = []*loopAcceptor{x}
	x.loop.do(func() { err = x.loop.Listen(socket, x) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _, _ = ln.Close(), socket.Close() })
	return a
}

// TestAcceptWithoutDescriptors pauses longer each time, and goes on.
func TestAcceptWithoutDescriptors(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	r.serveBroke(9)
	c := r.connectRaw("plain")
	for i, pause := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1000, 1000} {
		pause *= time.Millisecond
		clock.awaitTimer(t, timerAccept, pause)
		if n := len(r.log.lines(t, "accept failed; clients wait in the backlog")); n != i+1 {
			t.Fatalf("%d warnings after %d failures", n, i+1)
		}
		clock.advance(pause)
	}
	c.expect(`\* OK .*`)
	c.send("a NOOP")
	c.expect("a OK .*")
}

// deafListener stands in the place of an acceptor.
type deafListener struct{}

// Note accepts no one.
func (deafListener) Note(wire.Events) {}

// TestAcceptTriesAgain: a loop that can't wait for clients after a pause does so after the next one.
func TestAcceptTriesAgain(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	a := r.serveBroke(1)
	c := r.connectRaw("plain")
	clock.awaitTimer(t, timerAccept, firstPause)
	l := a.loops[0].loop
	l.do(func() {
		if err := l.Listen(a.socket, deafListener{}); err != nil { // the kernel takes it once
			t.Error(err)
		}
	})
	clock.advance(firstPause)
	clock.awaitTimer(t, timerAccept, 2*firstPause)
	clock.advance(2 * firstPause)
	c.expect(`\* OK .*`)
}

// TestListenerLeavesInAPause does not listen again after the pause: another socket may have the number by then.
func TestListenerLeavesInAPause(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	a := r.serveBroke(100)
	r.connectRaw("plain")
	clock.awaitTimer(t, timerAccept, firstPause)
	a.stop()
	if n := clock.pending(timerAccept); n != 0 {
		t.Errorf("%d timers are left", n)
	}
}

// TestQueuedClientsHaveTheOptions: those who wait when the listening socket gets its options have not inherited them,
// those who come later have.
func TestQueuedClientsHaveTheOptions(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	next := *r.settings
	next.TCP = quickTCP
	r.server.Reload(&next)
	r.serveBroke(1)
	var queued []*testClient
	for range 3 + runtime.GOMAXPROCS(0) { // each loop may have accepted one
		queued = append(queued, r.connectRaw("plain"))
	}
	clock.awaitTimer(t, timerAccept, firstPause)
	clock.advance(firstPause)
	for _, c := range queued {
		c.expect(`\* OK .*`)
	}
	for range 2 + runtime.GOMAXPROCS(0) {
		r.dial("plain")
	}
	r.server.sessions.each(func(s *session) {
		raw, err := s.client.raw.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			if want := int(quickTCP.UserTimeout.Milliseconds()); err != nil || n != want {
				t.Errorf("TCP_USER_TIMEOUT is %d, %v, want %d", n, err, want)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
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

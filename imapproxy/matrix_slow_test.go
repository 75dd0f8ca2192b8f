package imapproxy

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/backend/wire"
)

// maxSlowPeer is what a peer that does not read may cost: this process's memory
// and the kernel's queues of both sockets. What has been sent and is not
// acknowledged does not count: the peer has offered room for it, which bounds it,
// and a kernel whose buffer is full may yet drop it and leave it unacknowledged.
const maxSlowPeer = 256 << 10

// usualTCP are the program's defaults.
var usualTCP = wire.TCPOptions{KeepAliveIdle: time.Minute, KeepAliveInterval: 10 * time.Second, KeepAliveCount: 6,
	UserTimeout: 2 * time.Minute}

func withTCP(o wire.TCPOptions) option {
	return func(r *rig) { r.settings.TCP, r.target.TCP = o, o }
}

// streaming is a backend that answers FETCH without end, and NOOP at once.
func streaming(c *backendConn) {
	if !c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
		return
	}
	if c.logins[0].user != "stream" {
		c.serve()
		return
	}
	_, _ = c.line()
	c.write("* 1 FETCH (BODY[] {1000000000000}\r\n")
	for {
		if _, err := c.raw.Write(zeros[:]); err != nil {
			return
		}
	}
}

// zeros are one for all, so that they are not counted as a session's memory.
var zeros [64 << 10]byte

// clientBuffer is what the client's kernel may take on its own: by default it
// grows to 6 MiB, and a client that has read 4 MiB has kept up with 10.
const clientBuffer = 128 << 10

// TestClientThatNeverReads takes megabytes at full speed, so that the kernel's
// buffers grow, then reads no more: such a session costs 256 KiB at most, its
// backend stands still, and another session stays as fast as before. One that
// kept up with a large message for long costs 1 MiB at most.
func TestClientThatNeverReads(t *testing.T) {
	notQuick(t)
	const sessions = 8
	for _, test := range []struct {
		name, listener string
		reads          int64
		most           int
	}{
		{"plain", "plain", 4 << 20, maxSlowPeer},
		{"tls", "tls", 8 << 20, maxSlowPeer},
		{"plain, after 64 MiB", "plain", 64 << 20, 1 << 20},
	} {
		listener := test.listener
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, withScript(streaming), withTCP(usualTCP))
			quick := r.login(listener, "quick")
			before := heldMemory()
			var slow []*testClient
			for range sessions {
				c := r.login(listener, "stream")
				if err := c.raw.SetReadBuffer(clientBuffer); err != nil {
					t.Fatal(err)
				}
				c.send("a FETCH 1 BODY[]")
				c.deadline()
				if _, err := io.CopyN(io.Discard, c.in, test.reads); err != nil {
					t.Fatal(err)
				}
				c.conn, c.in = nil, nil // a TLS client's own memory is not the proxy's
				slow = append(slow, c)
			}
			stuck := r.awaitStuck(sessions)
			memory := (heldMemory() - before) / sessions
			queues := 0
			for _, n := range stuck {
				queues += n / sessions
			}
			if memory+queues > test.most || slices.Max(stuck) > test.most {
				t.Errorf("a client that does not read costs %d bytes of memory and %d in the kernel, %d at most",
					memory, queues, test.most)
			}
			t.Logf("memory %d bytes, in the kernel %d", memory, stuck)
			r.staysFast(quick)
			for _, c := range slow {
				c.reset()
				r.endsWith(c, endClientAborted)
			}
			quick.close()
			r.endsWith(quick, endClientClosed)
		})
	}
}

// staysFast wants answers at once; the machine may be busy, so the best of
// several counts.
func (r *rig) staysFast(c *testClient) {
	r.t.Helper()
	best := time.Hour
	for range 50 {
		begun := time.Now()
		c.send("q NOOP")
		c.expect("q OK .*")
		best = min(best, time.Since(begun))
	}
	if best > 20*time.Millisecond {
		r.t.Errorf("another session waits %v for an answer", best)
	}
}

// awaitStuck waits until nothing moves in the sessions that are in FETCH, and
// gives what the kernel holds for each: unsent to the client, unread from the
// backend.
func (r *rig) awaitStuck(want int) []int {
	r.t.Helper()
	var stuck []*session
	var last []int64
	since := time.Now()
	r.await("the slow sessions to stand still", func() bool {
		var moved []int64
		stuck = stuck[:0]
		r.server.sessions.each(func(s *session) {
			if s.status.user != "stream" || !s.relaying.Load() {
				return
			}
			moved = append(moved, s.relay.down.bytes.Load()+s.relay.up.bytes.Load())
			stuck = append(stuck, s)
		})
		slices.Sort(moved)
		if !slices.Equal(moved, last) {
			last, since = moved, time.Now()
		}
		return len(moved) == want && time.Since(since) > 300*time.Millisecond
	})
	var held []int
	for _, s := range stuck {
		held = append(held, queued(r.t, &s.client.raw)+queued(r.t, s.backend.Raw()))
	}
	return held
}

// queued returns the bytes that a socket's kernel has not sent yet, and those that
// have come and are unread.
func queued(t testing.TB, w *wire.Wire) int {
	t.Helper()
	rc, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	unread, unsent := 0, 0
	var failed error
	err = rc.Control(func(fd uintptr) {
		if unread, failed = unix.IoctlGetInt(int(fd), unix.SIOCINQ); failed != nil {
			return
		}
		var info *unix.TCPInfo
		if info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); failed == nil {
			unsent = int(info.Notsent_bytes)
		}
	})
	if err := errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return unread + unsent
}

// heldMemory is the memory in use.
func heldMemory() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestBackendThatNeverReads stops only its own client, and is left as soon as
// that client has gone: it is noticed though nothing can be read from it.
func TestBackendThatNeverReads(t *testing.T) {
	over := make(chan struct{})
	r := newRig(t, withTCP(usualTCP), withScript(func(c *backendConn) {
		if !c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
			return
		}
		if c.logins[0].user != "stream" {
			c.serve()
			return
		}
		line, _ := c.line()
		c.send("+ go on %s", line[:1])
		_ = c.literal(4 << 20)
		<-over
	}))
	t.Cleanup(func() { close(over) })
	quick := r.login("plain", "quick")
	c := r.login("plain", "stream")
	c.send("a APPEND x {1000000000}")
	c.expect(`\+ .*`)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for {
			if _, err := c.raw.Write(zeros[:]); err != nil {
				return
			}
		}
	}()
	t.Logf("in the kernel %d bytes", r.awaitStuck(1)) // the client's window is the kernel's own, for clients far away
	r.staysFast(quick)
	c.reset()
	<-written
	r.endsWith(c, endClientAborted)
}

// TestHalfCloseByBackendAndSlowClient ends a session whose backend has closed
// and whose client does not read, at the limit on silence and not before.
func TestHalfCloseByBackendAndSlowClient(t *testing.T) {
	s := newStage(t, matrixCell{Phase: "half_closed_by_backend", Reason: "timeout"})
	s.halfClosedByBackend()
	s.clock.advance(s.clock.until(timerHalfCloseIdle) - time.Second)
	if s.ses.interrupter.why() != "" {
		t.Errorf("ended before the limit, as %q", s.ses.interrupter.why())
	}
	s.await("the limit", func() bool {
		s.clock.advance(s.clock.until(timerHalfCloseIdle)) // anew, where the kernel has taken some more meanwhile
		return s.ses.interrupter.why() == endHalfClose
	})
	s.endsWith(s.c, endHalfClose)
}

// until returns how long the first timer of that name still runs; 0 if there is none.
func (c *fakeClock) until(name string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		if t.name == name {
			return t.at.Sub(c.now)
		}
	}
	return 0
}

// TestHeartbeat says a line in IDLE at each interval of silence, where a line
// may stand, and nowhere else.
func TestHeartbeat(t *testing.T) {
	const line = `\* OK Still here`
	for _, on := range []bool{true, false} {
		s := newStage(t, matrixCell{Phase: "idle_command", Reason: "heartbeat"}, withLimits(func(l *Limits) {
			if on {
				l.Heartbeat = 10 * time.Second
			}
		}))
		s.inIdle()
		if !on {
			s.pass(time.Minute)
			s.b.send("* 4 EXISTS")
			s.c.expect(`\* 4 EXISTS`) // and nothing before it
			s.leaveIdle()
			continue
		}
		s.pass(8 * time.Second)
		s.b.send("* 2 EXISTS")
		s.c.expect(`\* 2 EXISTS`) // silence counts from here
		s.await("the line written", func() bool { return s.ses.relay.down.bytes.Load() > 0 })
		s.pass(12 * time.Second)
		s.c.expect(line)
		s.pass(12 * time.Second)
		s.c.expect(line)
		s.b.write("* 3 EXI") // no line may stand here
		s.await("half a line", func() bool { _, err := s.c.in.Peek(7); return err == nil })
		s.pass(time.Minute)
		s.b.write("STS\r\n")
		s.c.expect(`\* 3 EXISTS`)
		s.leaveIdle()
		s.pass(time.Minute) // no heartbeat outside IDLE
		if s.c.in.Buffered() > 0 {
			t.Error("a heartbeat outside IDLE")
		}
	}
}

func (s *stage) leaveIdle() {
	s.t.Helper()
	s.c.send("DONE")
	s.hears("DONE\r\n")
	s.b.send("i OK")
	s.c.expect("i OK")
}

// pass lets time pass, with the sweeps that belong to it.
func (s *stage) pass(d time.Duration) {
	s.t.Helper()
	for ; d > 0; d -= sweepEvery {
		s.clock.awaitTimer(s.t, timerSweep, sweepEvery)
		s.clock.advance(sweepEvery)
		s.clock.awaitTimer(s.t, timerSweep, sweepEvery)
	}
}

// TestBackendThatNeverGreets costs one greeting limit; then the address is
// not asked, the next login fails at once, and after the pause one attempt
// goes through while others still fail.
func TestBackendThatNeverGreets(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock), withScript(func(c *backendConn) {
		if c.number > 0 {
			mailbox(c)
		}
	}))
	first := r.dial("plain")
	first.send("a LOGIN joe %s", canary)
	clock.awaitTimer(t, timerGreeting, r.target.Limits.Greeting)
	clock.advance(r.target.Limits.Greeting)
	first.expect(`a NO \[UNAVAILABLE\] .*`)

	second := r.dial("plain")
	second.send("a LOGIN ann %s", canary)
	second.expect(`a NO \[UNAVAILABLE\] .*`)
	if n := len(r.backend.all()); n != 1 {
		t.Errorf("%d connections during the pause, want 1", n)
	}
	if l := r.log.lines(t, "login not possible"); len(l) != 2 || !strings.Contains(l[1].str("error"), "backed_off") {
		t.Errorf("the log has %v, want backed_off", l)
	}
	clock.advance(time.Second)
	second.send("b LOGIN ann %s", canary)
	second.expect("b OK .*")
	first.send("b LOGIN joe %s", canary)
	first.expect("b OK .*")
	if n := len(r.backend.all()); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// TestOneAttemptAfterThePause lets one login through when the pause is over;
// the others fail at once until it is decided.
func TestOneAttemptAfterThePause(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock), withScript(func(*backendConn) {}))
	attempt := func(tag string, c *testClient) {
		c.send("%s LOGIN joe %s", tag, canary)
	}
	first, second := r.dial("plain"), r.dial("plain")
	attempt("a", first)
	clock.awaitTimer(t, timerGreeting, r.target.Limits.Greeting)
	clock.advance(r.target.Limits.Greeting)
	first.expect("a NO .*")
	clock.advance(time.Second)
	attempt("b", first)
	r.backend.conn(1)
	attempt("b", second)
	second.expect(`b NO \[UNAVAILABLE\] .*`)
	if n := len(r.backend.all()); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
	clock.awaitTimer(t, timerGreeting, r.target.Limits.Greeting)
	clock.advance(r.target.Limits.Greeting)
	first.expect("b NO .*")
}

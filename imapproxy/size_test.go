package imapproxy

import (
	"crypto/tls"
	"io"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"imapproxy/backend"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// What an idle session holds: these two, their entries in a map each and in a
// loop, and strings that name the user and the backend. Their sizes are those of
// Go's allocator, less the 8 bytes that it needs, so a byte more can cost 128.
const (
	sessionSize = 1024 - 8
	connSize    = 512 - 8
)

// TestIdleSessionSize states what an idle session is made of. It has no
// goroutine, no buffer and no timer: see TestIdleSessionHoldsNothing.
func TestIdleSessionSize(t *testing.T) {
	if n := unsafe.Sizeof(session{}); n > sessionSize {
		t.Errorf("a session takes %d bytes, %d at most", n, sessionSize)
	}
	if n := unsafe.Sizeof(backend.Conn{}); n > connSize {
		t.Errorf("a backend connection takes %d bytes, %d at most", n, connSize)
	}
}

// TestIdleSessionHoldsNothing looks at sessions in IDLE: no goroutine is theirs, no timer but
// the loop's, which says when they are looked at next, and no buffer.
func TestIdleSessionHoldsNothing(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	r.address("plain")
	r.address("tls")
	r.await("the server's periodic work", func() bool {
		return clock.pending(timerSweep) == 1 && clock.pending(timerCensus) == 1 && clock.pending(timerPools) == 1
	})
	timers := clock.count()
	for i := range 20 {
		c := r.login([]string{"plain", "tls"}[i%2], "joe")
		c.send("i IDLE")
		c.expect(`\+ .*`)
	}
	r.await("the logins' goroutines to be over", func() bool {
		all := allStacks()
		return !strings.Contains(all, "(*registry).run") && !strings.Contains(all, "(*session)")
	})
	if n := clock.count() - timers; n != 20 {
		t.Errorf("20 sessions have %d timers, one each when they are looked at next", n)
	}
	r.server.sessions.each(func(s *session) {
		settled(s)
		s.relay.mu.Lock() // the session's end comes after it
		defer s.relay.mu.Unlock()
		if s.client.in != nil || s.client.raw.Unsent() || s.backend.Raw().Unsent() || s.backend.Ahead() ||
			s.relay.up.pipe != nil || s.relay.down.pipe != nil {
			t.Errorf("session %s holds a buffer", s.id)
		}
		for _, w := range []*wire.Wire{&s.client.raw, s.backend.Raw()} {
			if !reflect.ValueOf(w).Elem().FieldByName("waits").IsNil() {
				t.Errorf("session %s keeps what only calls that wait need", s.id)
			}
		}
		if s.login != nil {
			t.Errorf("session %s keeps what only its login needs", s.id)
		}
	})
}

// TestSettlesDown looks at a session with TLS that lasts, is given much, and falls silent again.
func TestSettlesDown(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	c := r.login("tls", "joe")
	s := r.sessionOf(c)
	want := func(settled bool, when string) {
		t.Helper()
		var is bool
		var kept int
		s.loop.do(func() { is, kept = s.relay.settled, keptByTLS(s.client.tls) })
		if is != settled || settled != (kept == 0) {
			t.Errorf("%s: settled is %v, and TLS keeps %d bytes", when, is, kept)
		}
	}
	want(false, "after the login")
	clock.advance(lasting)
	want(true, "after a while")
	for range 2 {
		c.send("b LIST %s", strings.Repeat("x", largeRecord))
		c.expect("b .*")
		want(false, "after something large")
		clock.advance(lasting)
		want(true, "after another while")
	}
}

// keptByTLS returns how large the memory is that a TLS connection reads into.
func keptByTLS(c *tls.Conn) (n int) {
	for _, name := range []string{"rawInput", "hand"} {
		n += reflect.ValueOf(c).Elem().FieldByName(name).FieldByName("buf").Cap()
	}
	return n
}

func allStacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// slowClock makes each step of a relay take a while, in which a fast backend has
// more to read ready.
type slowClock struct {
	timing.System
	slow atomic.Bool
}

// Now implements timing.Clock.
func (c *slowClock) Now() time.Time {
	if c.slow.Load() {
		time.Sleep(300 * time.Microsecond)
	}
	return c.System.Now()
}

// TestBusySessionsLeaveTurns has sessions whose backends always have more to
// read, and whose clients take all of it: another one, in the same loops, gets
// its turn.
func TestBusySessionsLeaveTurns(t *testing.T) {
	for _, listener := range []string{"plain", "tls"} {
		t.Run(listener, func(t *testing.T) {
			clock := &slowClock{}
			r := newRig(t, withScript(streaming), withClock(clock))
			var quick []*testClient
			for range runtime.GOMAXPROCS(0) {
				quick = append(quick, r.login(listener, "quick"))
			}
			clock.slow.Store(true)
			var readers sync.WaitGroup
			for range 2 * runtime.GOMAXPROCS(0) {
				c := r.login(listener, "stream")
				c.send("a FETCH 1 BODY[]")
				c.deadline()
				readers.Go(func() { _, _ = io.Copy(io.Discard, c.in) })
			}
			for _, c := range quick {
				for range 10 {
					c.send("q NOOP")
					c.expect("q OK .*")
				}
			}
			r.server.Close()
			readers.Wait()
		})
	}
}

package imapproxy

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend/loop"
	"imapproxy/backend/timing"
)

// Timers of package backend. Those of a connection have the names of its phases.
const (
	timerConnect    = "backend_connect"
	timerTLS        = "backend_tls"
	timerGreeting   = "backend_greeting"
	timerCapability = "backend_capability"
	timerBackend    = "backend_login"
	timerReset      = "backend_reset"
	timerCheck      = "backend_check"
	timerPoolWait   = "pool_wait"
)

// fakeClock stands still until it is advanced. It holds sessions up, see heldPrefix.
type fakeClock struct {
	server *Server // whose loops have timers, too; nil for none

	mu     sync.Mutex // protects what follows
	now    time.Time
	timers []*fakeTimer
	held   chan struct{} // closed by release
}

// fakeTimer implements timing.Timer.
type fakeTimer struct {
	clock *fakeClock
	name  string
	at    time.Time
	d     time.Duration
	f     func()
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), held: make(chan struct{})}
}

// Now implements timing.Clock.
func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc implements timing.Clock.
func (c *fakeClock) AfterFunc(name string, d time.Duration, f func()) timing.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{c, name, c.now.Add(d), d, f}
	c.timers = append(c.timers, t)
	return t
}

// release lets the sessions begin that are held up.
func (c *fakeClock) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.held:
	default:
		close(c.held)
	}
}

// Stop implements timing.Timer.
func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	i := slices.Index(t.clock.timers, t)
	if i >= 0 {
		t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	}
	return i >= 0
}

// advance moves the time on, and then makes the calls that are due, in order, and has
// the loops do what is: who is woken by one and asks for the time finds the whole of d
// gone by, however soon he asks.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	end := c.now
	c.mu.Unlock()
	for {
		f := c.nextDue(end)
		if f == nil {
			break
		}
		f()
	}
	c.eachLoop(func(*sessionLoop) {})
	c.eachLoop(func(*sessionLoop) {}) // what was due in the round of the first one is done
}

// eachLoop runs f in each loop.
func (c *fakeClock) eachLoop(f func(l *sessionLoop)) {
	if c.server == nil {
		return
	}
	c.server.started.Do(c.server.startWork)
	for _, l := range c.server.loops.all {
		l.do(func() { f(l) })
	}
}

// keepEndings has the limits of endings, which no test fires, come by the machine's time, until over is
// closed.
func (c *fakeClock) keepEndings(over <-chan struct{}) {
	seen := map[*loop.Timer]time.Time{} // when a timer ends by the machine's time
	for {
		select {
		case <-over:
			return
		case <-time.After(5 * time.Millisecond):
		}
		c.eachLoop(func(l *sessionLoop) {
			for _, t := range l.Timers() {
				c.keepEnding(l, t, seen)
			}
		})
	}
}

func (c *fakeClock) keepEnding(l *sessionLoop, t *loop.Timer, seen map[*loop.Timer]time.Time) {
	if t.Name != timerFarewell && t.Name != "backend_ending" {
		delete(seen, t)
		return
	}
	end := time.Now().Add(t.At().Sub(l.Now()))
	if before, found := seen[t]; !found || end.Before(before) {
		seen[t] = end
	}
	if time.Now().After(seen[t]) {
		delete(seen, t)
		l.Stop(t)
		t.Do.Run()
	}
}

// fire makes the calls of the timers of that name without moving the time, and
// returns how many there were.
func (c *fakeClock) fire(name string) (n int) {
	for f := c.takeTimer(name); f != nil; f = c.takeTimer(name) {
		f()
		n++
	}
	c.eachLoop(func(l *sessionLoop) {
		for _, t := range l.Timers() {
			if t.Name == name {
				l.Stop(t)
				t.Do.Run()
				n++
			}
		}
	})
	return n
}

func (c *fakeClock) takeTimer(name string) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.timers, func(t *fakeTimer) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	f := c.timers[i].f
	c.timers = slices.Delete(c.timers, i, i+1)
	return f
}

// nextDue takes the first timer that is due by end; nil: there is none.
func (c *fakeClock) nextDue(end time.Time) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first *fakeTimer
	for _, t := range c.timers {
		if !t.at.After(end) && (first == nil || t.at.Before(first.at)) {
			first = t
		}
	}
	if first == nil {
		return nil
	}
	c.timers = slices.DeleteFunc(c.timers, func(t *fakeTimer) bool { return t == first })
	return first.f
}

// pending returns how many timers of that name run.
func (c *fakeClock) pending(name string) int { return len(c.started(name)) }

// started returns the durations that the running timers of that name were
// started with.
func (c *fakeClock) started(name string) []time.Duration {
	c.mu.Lock()
	var all []time.Duration
	for _, t := range c.timers {
		if t.name == name {
			all = append(all, t.d)
		}
	}
	now := c.now
	c.mu.Unlock()
	c.eachLoop(func(l *sessionLoop) {
		for _, t := range l.Timers() {
			if t.Name == name {
				all = append(all, t.At().Sub(now))
			}
		}
	})
	return all
}

// awaitTimer waits until a timer of that name runs, and fails unless one was
// started with d.
func (c *fakeClock) awaitTimer(t testing.TB, name string, d time.Duration) {
	t.Helper()
	var all []time.Duration
	await(t, "a timer "+name, func() bool { all = c.started(name); return len(all) > 0 })
	if !slices.Contains(all, d) {
		t.Errorf("the timers %s were started with %v, none with %v", name, all, d)
	}
}

// underWay counts the goroutines and the loops' tasks. Coroutines that wait for a task of a loop are none.
func (r *rig) underWay() int {
	n := 0
	for _, stack := range strings.Split(allStacks(), "\n\n") {
		if head, _, _ := strings.Cut(stack, "\n"); !strings.Contains(head, "[coroutine") {
			n++
		}
	}
	for _, l := range r.server.loops.all {
		l.do(func() { n += l.Tasks() })
	}
	return n
}

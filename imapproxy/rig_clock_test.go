package imapproxy

import (
	"slices"
	"sync"
	"testing"
	"time"

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

// fakeClock stands still until it is advanced. With a panic to throw it throws
// it once, at the next Now. It can hold up whoever starts a certain timer.
type fakeClock struct {
	mu     sync.Mutex // protects all
	now    time.Time
	timers []*fakeTimer
	bomb   any
	held   string // whoever starts a timer of this name waits for free
	free   chan struct{}
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
	return &fakeClock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// Now implements timing.Clock.
func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := c.bomb; b != nil {
		c.bomb = nil
		panic(b)
	}
	return c.now
}

// AfterFunc implements timing.Clock.
func (c *fakeClock) AfterFunc(name string, d time.Duration, f func()) timing.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{c, name, c.now.Add(d), d, f}
	c.timers = append(c.timers, t)
	if free := c.free; free != nil && name == c.held {
		c.mu.Unlock()
		<-free
		c.mu.Lock()
	}
	return t
}

// holdAt holds up whoever starts a timer of that name, until release.
func (c *fakeClock) holdAt(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held, c.free = name, make(chan struct{})
}

// release lets them go on.
func (c *fakeClock) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.free != nil {
		close(c.free)
		c.free = nil
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

// advance moves the time on, and then makes the calls that are due, in order: who
// is woken by one and asks for the time finds the whole of d gone by, however
// soon he asks.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	end := c.now
	c.mu.Unlock()
	for {
		f := c.nextDue(end)
		if f == nil {
			return
		}
		f()
	}
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
	defer c.mu.Unlock()
	var all []time.Duration
	for _, t := range c.timers {
		if t.name == name {
			all = append(all, t.d)
		}
	}
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

// arm throws a panic at the next Now.
func (c *fakeClock) arm(bomb any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bomb = bomb
}

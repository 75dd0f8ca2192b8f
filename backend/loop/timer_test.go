package loop

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend/timing"
)

// pollLimit is how long a test waits for what must come.
const pollLimit = 3 * time.Minute

// stillClock stands still until advance.
type stillClock struct {
	mu     sync.Mutex // protects what follows
	now    time.Time
	alarms []*stillAlarm
	asked  func() // is called once, after Now has looked; nil for nothing
}

type stillAlarm struct {
	clock *stillClock
	at    time.Time
	f     func()
}

func newStillClock() *stillClock { return &stillClock{now: time.Unix(1e9, 0)} }

// Now implements timing.Clock.
func (c *stillClock) Now() time.Time {
	now, asked := c.look()
	if asked != nil {
		asked()
	}
	return now
}

func (c *stillClock) look() (now time.Time, asked func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, c.asked = c.asked, nil
	return c.now, asked
}

// AfterFunc implements timing.Clock.
func (c *stillClock) AfterFunc(_ string, d time.Duration, f func()) timing.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &stillAlarm{c, c.now.Add(d), f}
	c.alarms = append(c.alarms, a)
	return a
}

// Stop implements timing.Timer.
func (a *stillAlarm) Stop() bool {
	a.clock.mu.Lock()
	defer a.clock.mu.Unlock()
	i := slices.Index(a.clock.alarms, a)
	if i >= 0 {
		a.clock.alarms = slices.Delete(a.clock.alarms, i, i+1)
	}
	return i >= 0
}

func (c *stillClock) advance(d time.Duration) {
	for _, f := range c.due(d) {
		f()
	}
}

// due moves the time on and returns what is due.
func (c *stillClock) due(d time.Duration) (due []func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.alarms = slices.DeleteFunc(c.alarms, func(a *stillAlarm) bool {
		if a.at.After(c.now) {
			return false
		}
		due = append(due, a.f)
		return true
	})
	return due
}

// byHand returns a loop that goes round only when the test says so.
func byHand(tb testing.TB) (*Loop, *stillClock) {
	tb.Helper()
	clock := newStillClock()
	l, err := New(clock)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if n := l.Tasks(); n != 0 {
			tb.Errorf("%d tasks are not over", n)
		}
		l.End()
		if l.Round() {
			tb.Error("it goes on after its end")
		}
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l, clock
}

// turn runs rounds that do not wait, enough for what one leads to.
func turn(l *Loop) {
	for range 4 {
		l.Post(Func(func() {}))
		l.Round()
	}
}

// until runs rounds until something is so.
func until(tb testing.TB, l *Loop, what string, so func() bool) {
	tb.Helper()
	for end := time.Now().Add(pollLimit); !so(); runtime.Gosched() {
		if time.Now().After(end) {
			tb.Fatal("not reached: ", what)
		}
		turn(l)
	}
}

// TestTimers sets the timers a to e, changes them, and lets 10 s pass second by second.
func TestTimers(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(l *Loop, at func(name string, seconds int), stop func(string))
		want string // who has run, by seconds
	}{
		{"in their order", func(_ *Loop, at func(string, int), _ func(string)) { at("a", 3); at("b", 1); at("c", 2) },
			" b c a"},
		{"stopped", func(_ *Loop, at func(string, int), stop func(string)) {
			at("a", 1)
			at("b", 2)
			stop("a")
			stop("c")
		}, "  b"},
		{"set anew", func(_ *Loop, at func(string, int), _ func(string)) {
			at("a", 1)
			at("b", 3)
			at("a", 4)
			at("b", 2)
		}, "  b  a"},
		{"in the past", func(_ *Loop, at func(string, int), _ func(string)) { at("a", -1); at("b", 0) }, "ab"},
		{"stopped in the round in which it is due", func(l *Loop, at func(string, int), stop func(string)) {
			at("a", 1)
			at("b", 1)
			l.Set(&Timer{Do: Func(func() { stop("a"); stop("b") })}, l.Now().Add(time.Second/2))
		}, " "},
		{"set anew in the round in which it is due", func(l *Loop, at func(string, int), stop func(string)) {
			at("a", 1)
			l.Set(&Timer{Do: Func(func() { at("a", 2) })}, l.Now().Add(time.Second/2))
		}, "  a"},
		{"set again after it has run", func(l *Loop, at func(string, int), _ func(string)) {
			at("a", 1)
			l.Set(&Timer{Do: Func(func() { at("a", 3) })}, l.Now().Add(3*time.Second/2))
		}, " a  a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, clock := byHand(t)
			begun, ran, timers := l.Now(), "", map[string]*Timer{}
			for _, name := range []string{"a", "b", "c"} {
				timers[name] = &Timer{Do: Func(func() { ran += name })}
			}
			c.do(l, func(name string, seconds int) {
				l.Set(timers[name], begun.Add(time.Duration(seconds)*time.Second))
			}, func(name string) { l.Stop(timers[name]) })
			for range 10 {
				turn(l)
				ran += " "
				clock.advance(time.Second)
			}
			if got := strings.TrimRight(ran, " "); got != strings.TrimRight(c.want, " ") {
				t.Errorf("%q has run, want %q", got, c.want)
			}
			for name, x := range timers {
				if x.IsSet() {
					t.Errorf("%s is still set", name)
				}
			}
		})
	}
}

// TestAlarm has a loop sleep until its first timer, also one that comes before the one it slept for.
func TestAlarm(t *testing.T) {
	clock := newStillClock()
	l := run(t, clock)
	ran := make(chan string, 2)
	set := func(name string, d time.Duration) {
		done := make(chan struct{})
		l.Post(Func(func() {
			defer close(done)
			l.Set(&Timer{Do: Func(func() { ran <- name })}, l.Now().Add(d))
		}))
		<-done
	}
	set("a", 2*time.Second)
	set("b", time.Second)
	for _, want := range []string{"b", "a"} {
		for deadline := time.Now().Add(pollLimit); !sleeps(l); runtime.Gosched() { // it has set its alarm then
			if time.Now().After(deadline) {
				t.Fatal("it does not fall asleep")
			}
		}
		clock.advance(time.Second)
		if got := <-ran; got != want {
			t.Errorf("%s has run, want %s", got, want)
		}
	}
}

// TestAlarmIsKept has the alarm ring after the round has read the time and before it takes its events.
func TestAlarmIsKept(t *testing.T) {
	l, clock := byHand(t)
	ran := false
	l.Set(&Timer{Do: Func(func() { ran = true })}, l.Now().Add(time.Second))
	turn(l)
	clock.asked = func() { clock.advance(time.Second) }
	l.Post(Func(func() {}))
	l.Round()
	l.setAlarm()
	if ran || len(clock.alarms)+len(l.posted)+len(l.later) == 0 {
		t.Errorf("it has run: %v; nothing will wake the loop", ran)
	}
	turn(l)
	clock.advance(0)
	turn(l)
	if !ran {
		t.Error("it has not run")
	}
}

// sleeps reports whether a loop waits, or is about to.
func sleeps(l *Loop) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asleep
}

// TestPost wakes a loop from another goroutine, many times, so that it is met in every state.
func TestPost(t *testing.T) {
	l := run(t, timing.System{})
	var mu sync.Mutex
	order := []int{}
	for i := range 2000 {
		done := make(chan struct{})
		l.Post(Func(func() {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
			close(done)
		}))
		if i%3 == 0 {
			<-done
		}
	}
	do(l, func(*Task) {})
	if len(order) != 2000 || !slices.IsSorted(order) {
		t.Errorf("%d have run, sorted: %v", len(order), slices.IsSorted(order))
	}
}

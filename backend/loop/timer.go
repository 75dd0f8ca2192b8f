package loop

import (
	"container/heap"
	"slices"
	"time"
)

// Timer runs something at a time. The zero value is not set. It belongs to the loop's
// goroutine.
type Timer struct {
	Name string // says what it is for
	Do   Runner

	at    time.Time
	index int // in the heap, + 1; 0: it is not set; isDue: it runs in this round
}

// isDue is the index of a timer whose time has come, and which has not run yet.
const isDue = -1

// IsSet reports whether the timer has still to run.
func (t *Timer) IsSet() bool { return t.index != 0 }

// At returns when the timer runs.
func (t *Timer) At() time.Time { return t.at }

// Set makes a timer run at a time, instead of when it was to run.
func (l *Loop) Set(t *Timer, at time.Time) {
	t.at = at
	if t.index > 0 {
		heap.Fix(&l.timers, t.index-1)
	} else {
		heap.Push(&l.timers, t)
	}
}

// Stop keeps a timer from running, if it is set.
func (l *Loop) Stop(t *Timer) {
	if t.index > 0 {
		heap.Remove(&l.timers, t.index-1)
	}
	t.index = 0
}

// Timers returns those that are set. It is for clocks of tests, which stand still.
func (l *Loop) Timers() []*Timer { return slices.Clone(l.timers) }

// dueTimers adds what is due by now to the round's turn.
func (l *Loop) dueTimers() {
	for len(l.timers) > 0 && !l.timers[0].at.After(l.now) {
		t := heap.Pop(&l.timers).(*Timer)
		t.index = isDue
		l.turn = append(l.turn, (*dueTimer)(t))
	}
}

// dueTimer is a timer whose time has come. What happens before it runs may still stop it, or set it to
// another time.
type dueTimer Timer

// Run runs what the timer is for.
func (d *dueTimer) Run() {
	if d.index == isDue {
		d.index = 0
		d.Do.Run()
	}
}

// setAlarm has the clock wake the loop for its first timer. An alarm that would ring too
// early is left: the loop finds nothing due then.
func (l *Loop) setAlarm() {
	if !l.alarmAt.After(l.now) {
		l.alarmAt = time.Time{} // it has rung
	}
	if len(l.timers) == 0 || !l.alarmAt.IsZero() && !l.timers[0].at.Before(l.alarmAt) {
		return
	}
	if l.alarm != nil {
		l.alarm.Stop()
	}
	l.alarmAt = l.timers[0].at
	l.alarm = l.clock.AfterFunc("loop", l.alarmAt.Sub(l.now), l.ring)
}

// ring wakes the loop for its first timer. It posts, since a wake-up may come after the round has read the time, and be
// taken with the round's events.
func (l *Loop) ring() { l.Post(Func(func() { l.alarmAt = time.Time{} })) }

// timers is a heap of those that are set, the first one first.
type timers []*Timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h *timers) Push(x any) {
	t := x.(*Timer)
	*h = append(*h, t)
	t.index = len(*h)
}

func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = 0
	return t
}

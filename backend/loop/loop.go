// Package loop runs an event loop: one goroutine that waits for many sockets, and runs
// coroutines, which wait for them without a goroutine of their own.
package loop

import (
	"fmt"
	"sync"
	"time"

	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// Loop waits for the sockets of many sessions in one goroutine. A socket that is silent costs
// its descriptor and its place in the loop: no goroutine and no buffer.
//
// What is in the loop belongs to its goroutine, and so do its methods. Post and End may be
// called by any goroutine.
type Loop struct {
	clock  timing.Clock
	poller *wire.Poller
	now    time.Time // when the round began
	events cursor    // of the poller's last Wait
	turn   []Runner  // what is run in this round, after the events
	next   int       // in turn
	later  []Runner  // what is run in the next round
	places []place
	free   []int32 // places without a socket

	listening map[*wire.Listener]wire.Key

	timers  timers
	alarm   timing.Timer // wakes the loop for its first timer
	alarmAt time.Time    // the zero time: it is not set
	tasks   int          // that are not over
	spare   []*coroutine // without a task
	unused  int          // that have been spare ever since the last TrimSpare
	outside outside
	garbage []byte // what tasks throw away

	mu     sync.Mutex // protects what follows; nothing blocks under it
	posted []Runner
	asleep bool // it waits, or is about to
	ending bool
}

// Runner is something that the loop does in its own goroutine, without waiting.
type Runner interface{ Run() }

// Func is a Runner made of a function.
type Func func()

// Run calls f.
func (f Func) Run() { f() }

// place is where a socket stands in the loop. The kernel returns its number with each
// event, and its round, since events of a former one may still come.
type place struct {
	socket noter
	round  int32
}

// noter takes the events of a socket: a wire.Wire, or what accepts clients.
type noter interface{ Note(wire.Events) }

// cursor says how many of a number of things have been taken.
type cursor struct{ next, count int }

func (c *cursor) take() (i int, ok bool) {
	if c.next == c.count {
		return 0, false
	}
	c.next++
	return c.next - 1, true
}

// New returns a loop that waits for nothing. It costs two descriptors until Close.
func New(clock timing.Clock) (*Loop, error) {
	poller, err := wire.NewPoller()
	if err != nil {
		return nil, fmt.Errorf("starting an event loop: %w", err)
	}
	return &Loop{clock: clock, poller: poller, now: clock.Now(),
		listening: map[*wire.Listener]wire.Key{}}, nil
}

// Now returns when the round began.
func (l *Loop) Now() time.Time { return l.now }

// In returns the time that a limit of d ends which begins now: Now is earlier, by what this round has taken.
func (l *Loop) In(d time.Duration) time.Time { return l.clock.Now().Add(d) }

// Tasks returns how many tasks are not over. It is for tests, which can't see them as goroutines.
func (l *Loop) Tasks() int { return l.tasks }

// Round waits for events, takes each, and runs what is due. It returns false once the loop is
// to end. After a panic in what it has called, the next Round goes on with the rest.
func (l *Loop) Round() bool {
	if l.next == len(l.turn) && l.events.next == l.events.count && !l.wait() {
		return false
	}
	for i, ok := l.events.take(); ok; i, ok = l.events.take() {
		l.event(i)
	}
	for l.next < len(l.turn) {
		r := l.turn[l.next]
		l.turn[l.next] = nil
		l.next++
		r.Run()
	}
	return true
}

// wait waits until there is something to do; false when the loop is to end.
func (l *Loop) wait() bool {
	l.setAlarm()
	goesOn, mayBlock := l.fallAsleep()
	if !goesOn {
		l.dropSpare()
		return false
	}
	n, err := l.poller.Wait(mayBlock)
	l.now = l.clock.Now()
	l.wakeUp()
	if err != nil {
		panic(err.Error()) // no descriptor of ours: a fault of the proxy
	}
	l.events = cursor{count: n}
	l.dueTimers()
	return true
}

func (l *Loop) fallAsleep() (goesOn, mayBlock bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asleep = len(l.posted)+len(l.later) == 0
	return !l.ending, l.asleep
}

// wakeUp takes over what others have posted, and what the last round has put off.
func (l *Loop) wakeUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asleep = false
	l.turn, l.later, l.next = append(l.later, l.posted...), l.turn[:0], 0
	clear(l.posted)
	l.posted = l.posted[:0]
}

// Soon runs r in this round, after what is to be run before it.
func (l *Loop) Soon(r Runner) { l.turn = append(l.turn, r) }

// Later runs r in the next round, after the events that have come by then.
func (l *Loop) Later(r Runner) { l.later = append(l.later, r) }

// Post runs r in the next round. Any goroutine may call it.
func (l *Loop) Post(r Runner) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.posted = append(l.posted, r)
	l.rouse()
}

// rouse ends the loop's wait; the lock is held.
func (l *Loop) rouse() {
	if l.asleep {
		l.asleep = false
		l.poller.Wake()
	}
}

// End has Round return false. Any goroutine may call it.
func (l *Loop) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
	l.rouse()
}

// Close frees what the loop has. Round has returned false, and no task is under way.
func (l *Loop) Close() error {
	if l.alarm != nil {
		l.alarm.Stop()
	}
	return l.poller.Close()
}

// event passes on what the poller reports.
func (l *Loop) event(i int) {
	key, events, isWake := l.poller.Event(i)
	if isWake {
		return
	}
	if p := l.places[key.Number]; p.round == key.Round && p.socket != nil {
		p.socket.Note(events)
	}
}

// Add makes the loop wait for a wire: its Watcher hears of its events from now on.
func (l *Loop) Add(w *wire.Wire) error {
	key := l.enter(w)
	err := l.poller.Add(w, key)
	if err != nil {
		l.leave(key)
	}
	return err
}

// Has reports whether a wire is in the loop, and in no other.
func (l *Loop) Has(w *wire.Wire) bool {
	key := w.Place()
	return key.Round != 0 && int(key.Number) < len(l.places) && l.places[key.Number].socket == noter(w)
}

// Remove takes a wire out of the loop, if it is in.
func (l *Loop) Remove(w *wire.Wire) {
	if key := w.Place(); l.Has(w) {
		l.poller.Remove(w)
		l.leave(key)
	}
}

// Listen has x told when clients wait.
func (l *Loop) Listen(socket *wire.Listener, x noter) error {
	key := l.enter(x)
	err := l.poller.AddListener(socket, key)
	if err != nil {
		l.leave(key)
		return err
	}
	l.listening[socket] = key
	return nil
}

// Unlisten undoes Listen, if it was called.
func (l *Loop) Unlisten(socket *wire.Listener) {
	if key, found := l.listening[socket]; found {
		delete(l.listening, socket)
		l.poller.RemoveListener(socket)
		l.leave(key)
	}
}

// Want has the wire's Watcher told when a wire that has taken nothing more can be written to.
func (l *Loop) Want(w *wire.Wire) error { return l.poller.Want(w) }

// enter finds a place.
func (l *Loop) enter(n noter) wire.Key {
	if len(l.free) == 0 {
		l.free = append(l.free, int32(len(l.places)))
		l.places = append(l.places, place{round: 1})
	}
	number := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	l.places[number].socket = n
	return wire.Key{Number: number, Round: l.places[number].round}
}

// leave gives a place up. What the kernel has still reported of it is not for the next one
// there.
func (l *Loop) leave(key wire.Key) {
	p := &l.places[key.Number]
	p.socket = nil
	p.round = max(1, p.round+1)
	l.free = append(l.free, key.Number)
}

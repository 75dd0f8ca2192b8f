package imapproxy

import (
	"sync/atomic"

	"imapproxy/backend/wire"
)

// loopMember is what a loop keeps of a relay. Only the loop's thread uses it, but
// for loop and handling.
type loopMember struct {
	loop     atomic.Pointer[loop] // nil before and after
	number   int32                // of the slot in the loop
	round    int32                // the slot's
	handling atomic.Bool          // the loop checks the interrupter after this step, so it need not be nudged
	queued   bool                 // in loop.ready
	beating  bool                 // the sweep, which holds the relay's lock, wants a heartbeat after it
	timed    timed
}

// adopt puts a relay into the loop. From here on it is the loop's.
func (l *loop) adopt(r *relay) bool {
	at := r.nextSweep(l.server.clock.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.insert(r)
	r.loop.Store(l)
	for i := range r.sides {
		e := &r.sides[i]
		e.mask = e.wanted()
		if err := l.poller.Add(e.wire, e.mask, r.key(i)); err != nil {
			for _, added := range r.sides[:i] {
				l.poller.Remove(added.wire)
			}
			l.remove(r)
			r.s.interrupter.cut(endOverload, err)
			return false
		}
	}
	l.wheel.set(r, at)
	if r.sides[clientSide].more || r.sides[backendSide].more {
		l.nudged = append(l.nudged, r)
		l.poller.Wake()
	}
	return true
}

// insert finds a slot; the lock is held.
func (l *loop) insert(r *relay) {
	if n := len(l.free); n > 0 {
		r.number = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		r.number = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	p := &l.slots[r.number]
	p.relay, r.round = r, p.round
}

// remove gives the slot up; the lock is held.
func (l *loop) remove(r *relay) {
	p := &l.slots[r.number]
	p.relay = nil
	p.round++
	l.free = append(l.free, r.number)
	l.wheel.remove(r)
	r.loop.Store(nil)
}

// key is what the poller knows the i-th side by.
func (r *relay) key(i int) wire.Key { return wire.Key{Number: r.number<<1 | int32(i), Round: r.round} }

// nudge makes the loop check the interrupter. Any goroutine may call it.
func (r *relay) nudge() {
	if r.handling.Load() {
		return
	}
	if l := r.loop.Load(); l != nil {
		l.nudge(r)
	}
}

func (l *loop) nudge(r *relay) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nudged = append(l.nudged, r)
	l.poller.Wake()
}

// after looks at what a step has led to.
func (l *loop) after(r *relay) {
	switch {
	case r.loop.Load() != l:
	case r.s.interrupter.why() != "":
		l.release(r)
	default:
		l.rewatch(r)
	}
}

// rewatch tells the poller what has changed, and queues what is to be read
// although the kernel may have nothing.
func (l *loop) rewatch(r *relay) {
	for i := range r.sides {
		e := &r.sides[i]
		mask := e.wanted()
		if e.gone && mask&wire.Readable != 0 {
			e.more = true // the way is free again: the read says how it died
		}
		if e.more && mask&wire.Readable != 0 && !r.queued {
			r.queued = true
			l.ready = append(l.ready, r)
		}
		if mask == e.mask || e.gone {
			continue
		}
		if mask&wire.Writable != 0 && e.mask&wire.Writable == 0 {
			l.plan(r, l.server.clock.Now()) // a write that takes long is looked into
		}
		e.mask = mask
		_ = l.poller.Modify(e.wire, e.mask, r.key(i)) // it is there
	}
}

// release takes a relay out of the loop and gives its session a goroutine for
// the end.
func (l *loop) release(r *relay) {
	for i := range r.sides {
		if e := &r.sides[i]; !e.gone {
			l.poller.Remove(e.wire)
		}
	}
	l.unlink(r)
	s := r.s
	go func() {
		s.protected("relay", r.detach)
		s.server.sessions.finish(s)
	}()
}

func (l *loop) unlink(r *relay) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(r)
}

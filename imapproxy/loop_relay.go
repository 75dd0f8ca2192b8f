package imapproxy

import (
	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// loopMember is what a relay has for its loop.
type loopMember struct {
	over     bool // it has left the loop
	queued   bool // a turn of its own is to come
	beating  bool // the sweep, which holds the relay's lock, wants a heartbeat after it
	settled  bool // it has had a look after it lasted, or read much through TLS: see settleDown
	watching loop.Timer
}

// adopt puts a relay into the loop. From here on it is the loop's.
func (l *sessionLoop) adopt(r *relay) error {
	for i := range r.sides {
		e := &r.sides[i]
		e.wire.Forget()
		e.wire.WatchBy(r)
		if e.wire.Place().Round != 0 {
			continue
		}
		if err := l.Add(e.wire); err != nil {
			return err
		}
	}
	r.watching = loop.Timer{Name: timerRelay, Do: (*relaySweep)(r)}
	l.Set(&r.watching, r.nextSweep(l.Now()))
	return nil
}

// Ready takes what the loop reports of a side.
func (r *relay) Ready(w *wire.Wire, events wire.Events) {
	e := &r.sides[clientSide]
	if w != e.wire {
		e = &r.sides[backendSide]
	}
	r.step(func() {
		fault.Point("loop.event")
		r.handle(e, events)
		r.catchUp()
	})
}

// Run gives the relay another turn, and makes it see that it has been cut.
func (r *relay) Run() {
	r.queued = false
	r.step(r.readOn)
}

// relaySweep is a relay whose time to be looked at has come.
type relaySweep relay

// Run looks at what time does to a relay.
func (x *relaySweep) Run() {
	r := (*relay)(x)
	r.step(func() {
		r.settleDown()
		now := r.s.loop.Now()
		r.sweep(now)
		if r.beating {
			r.beating = false
			r.heartbeat()
		}
		r.s.loop.Set(&r.watching, r.nextSweep(now))
	})
}

// settleDown does what is worth its cost only for a session that lasts: the backend's socket gets its options, and
// the memory that TLS has read into is given back.
func (r *relay) settleDown() {
	r.s.backend.Tune()
	client, backend := r.s.client.releaseBuffers(), r.s.backend.ReleaseBuffers() // both, whatever comes of the other
	r.settled = client && backend
}

// unsettle has the relay settle down once more after a while.
func (r *relay) unsettle() {
	if r.settled {
		r.settled = false
		r.s.loop.Set(&r.watching, r.nextSweep(r.s.loop.Now()))
	}
}

// Interrupt makes the loop see that the relay has been cut. Any goroutine may call it.
func (r *relay) Interrupt() { r.s.loop.Post(r) }

// step runs a step of a relay, and looks at what it has led to; a panic in it ends only
// that session.
func (r *relay) step(f func()) {
	if r.over {
		return
	}
	r.s.protected("loop", f)
	if r.s.interrupter.why() != "" {
		r.release()
		return
	}
	for i := range r.sides {
		r.rewatch(&r.sides[i])
	}
}

// rewatch queues what is to be read although the loop will report nothing, and has it reported
// when a side that was full takes more.
func (r *relay) rewatch(e *side) {
	if (e.more || !e.wire.Drained()) && !e.eof && !e.in.waits() && !r.queued {
		r.queued = true
		r.s.loop.Later(r)
	}
	if e.out.holds() && !e.held {
		_ = r.s.loop.Want(e.wire)                              // it is there
		r.s.loop.Set(&r.watching, r.nextSweep(r.s.loop.Now())) // a write that takes long is looked into
	}
	e.held = e.out.holds()
}

// release takes a relay out of the loop's hands, and starts the end of its session.
func (r *relay) release() {
	r.over = true
	r.s.loop.Stop(&r.watching)
	s := r.s
	s.loop.Go(func(t *loop.Task) {
		s.task = t
		s.protected("relay", r.detach)
		s.server.sessions.finish(s)
	})
}

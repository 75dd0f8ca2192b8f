package imapproxy

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// mover is what a loop needs to move a relay's bytes.
type mover struct {
	loop     atomic.Pointer[loop] // nil before and after
	number   int32                // of the place in the loop
	round    int32                // the place's
	handling atomic.Bool          // the loop checks the interrupter after this step, so it need not be nudged
	queued   bool                 // in loop.ready
	beating  bool                 // the sweep wants a heartbeat, after it: it holds the relay's lock
	sides    [2]side
	pipe     *pipe // holds bytes of the flow that filled it, nil most of the time
	piping   *flow
	fast     int64 // bytes that were spliced since one had to wait for long
	wide     bool  // the backend's socket may hold more
	timed    timed
}

// side is one of a relay's two sockets.
type side struct {
	wire   *wire.Wire
	fd     int32
	mask   uint32 // what epoll watches for
	secure bool   // TLS: there may be more to read than the kernel knows of
	gone   bool   // taken out of epoll, which would report its death for ever
	eof    bool   // nothing more is to be read
	more   bool   // a turn ended before everything was read
}

const (
	backendSide = 0
	clientSide  = 1
)

// in is the flow that is read from an end, out the one that is written to it.
func (r *relay) in(side int) *flow {
	if side == clientSide {
		return &r.up
	}
	return &r.down
}

func (r *relay) out(side int) *flow { return r.in(1 - side) }

// run gives the session to a loop, which calls registry.finish when it ends. It
// tells whether the loop has taken it.
func (r *relay) run(s *session) (taken bool) {
	r.begin(s)
	s.ctx = nil
	if !s.interrupter.park(r) {
		r.finish()
		return false
	}
	if err := r.park(); err != nil {
		s.interrupter.cut(endOverload, err)
	}
	r.handling.Store(true) // nobody's nudge is needed before the loop has it
	s.protected("relay", r.start)
	r.handling.Store(false)
	if s.interrupter.why() != "" || !s.server.relayLoops.nextLoop().adopt(r) {
		r.detach()
		return false
	}
	if s.interrupter.why() != "" {
		r.nudge() // a cut that came before there was a loop to be nudged
	}
	return true
}

// park takes both sockets out of Go's poller.
func (r *relay) park() error {
	wires := [2]*wire.Wire{backendSide: r.s.backend.Raw(), clientSide: &r.s.client.raw}
	for i, w := range wires {
		fd, err := w.Park()
		if err != nil {
			return err
		}
		r.sides[i] = side{wire: w, fd: int32(fd)}
	}
	r.sides[backendSide].secure = r.s.backend.TLS() != nil
	r.sides[clientSide].secure = r.s.client.state != nil
	return nil
}

// start moves what was read ahead on both sides.
func (r *relay) start() {
	fault.Point("relay.up.start")
	if r.s.interrupter.why() != "" {
		return
	}
	if ahead := r.s.client.in.rest(); len(ahead) > 0 && !r.forward(&r.up, ahead) {
		return
	}
	r.sides[clientSide].more = r.sides[clientSide].secure
	r.sides[backendSide].more = r.sides[backendSide].secure || r.s.backend.Ahead()
}

// adopt puts a relay into the loop. From here on it is the loop's.
func (l *loop) adopt(r *relay) bool {
	at := r.nextSweep(l.server.clock.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.insert(r)
	r.loop.Store(l)
	for side := range r.sides {
		e := &r.sides[side]
		e.mask = r.wanted(side)
		if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, int(e.fd), l.watched(r, side)); err != nil {
			l.remove(r)
			r.s.interrupter.cut(endOverload, err)
			return false
		}
	}
	l.wheel.set(r, at)
	if r.sides[clientSide].more || r.sides[backendSide].more {
		l.nudged = append(l.nudged, r)
		l.wake()
	}
	return true
}

// insert finds a place; the lock is held.
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

// remove gives the place up; the lock is held.
func (l *loop) remove(r *relay) {
	p := &l.slots[r.number]
	p.relay = nil
	p.round++
	l.free = append(l.free, r.number)
	l.wheel.remove(r)
	r.loop.Store(nil)
}

// watched is what epoll is told of an end.
func (l *loop) watched(r *relay, side int) *unix.EpollEvent {
	return &unix.EpollEvent{Events: r.sides[side].mask, Fd: r.number<<1 | int32(side), Pad: r.round}
}

// wanted is what an end is watched for: nothing is read as long as the other
// one has not taken what was.
func (r *relay) wanted(side int) uint32 {
	var mask uint32
	if !r.sides[side].eof && !r.holds(r.in(side)) {
		mask |= unix.EPOLLIN
	}
	if r.holds(r.out(side)) {
		mask |= unix.EPOLLOUT
	}
	return mask
}

// holds tells whether bytes of a flow wait for its far end.
func (r *relay) holds(f *flow) bool {
	far := backendSide
	if f == &r.down {
		far = clientSide
	}
	w := r.sides[far].wire
	return w != nil && w.Unsent() || r.pipe != nil && r.piping == f
}

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
	l.wake()
}

// event takes what epoll says of an end.
func (l *loop) event(r *relay, client bool, events uint32) {
	side := backendSide
	if client {
		side = clientSide
	}
	l.protected(r, func() {
		fault.Point("loop.event")
		if events&unix.EPOLLOUT != 0 && !r.flush(r.out(side)) {
			return
		}
		e := &r.sides[side]
		e.wire.MarkReadable()
		switch {
		case e.mask&unix.EPOLLIN != 0:
			l.read(r, side)
		case events&(unix.EPOLLHUP|unix.EPOLLERR) != 0:
			r.dead(l, side)
		}
	})
	l.after(r)
}

// dead takes the end of a socket that nothing is read from at the moment. epoll
// would say it again and again.
func (r *relay) dead(l *loop, side int) {
	e := &r.sides[side]
	if e.eof && side == clientSide { // it half-closed, and is gone altogether now
		if cause, err := wire.WaitGone(e.wire); err == nil {
			r.clientGone(cause)
		}
		return
	}
	if !e.gone {
		e.gone = true
		_ = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, int(e.fd), nil)
	}
}

// readOn takes up what earlier turns have left.
func (l *loop) readOn(r *relay) {
	for side := range r.sides {
		e := &r.sides[side]
		if e.more && !e.eof && !r.holds(r.in(side)) {
			e.more = false
			e.wire.MarkReadable()
			l.read(r, side)
		}
	}
}

// read moves what has come from an end, up to turnBound.
func (l *loop) read(r *relay, side int) {
	f, e := r.in(side), &r.sides[side]
	for moved := 0; moved < turnBound; {
		if side == clientSide {
			fault.Point("relay.up.read")
		} else {
			fault.Point("relay.down.read")
		}
		n, err := l.fill(r, f, e.secure)
		if n > 0 && !r.forward(f, l.buf[:n]) {
			return
		}
		switch {
		case errors.Is(err, wire.ErrWouldBlock):
			return
		case err != nil:
			e.eof = true
			r.readFailed(f, err)
			return
		case r.holds(f):
			e.more = e.secure
			return
		case !e.secure && n < len(l.buf):
			return // epoll says when there is more
		}
		moved += n
		n, goesOn := l.splice(r, side)
		if moved += n; !goesOn {
			return
		}
	}
	e.more = e.secure
}

// fill reads once, or, of a TLS connection, whose records are small, until the
// buffer is full.
func (l *loop) fill(r *relay, f *flow, secure bool) (n int, err error) {
	for {
		m, err := r.read(f, l.buf[n:])
		n += m
		if err != nil || !secure || n == len(l.buf) {
			return n, err
		}
	}
}

// forward writes to the far end what was read from the near one.
func (r *relay) forward(f *flow, p []byte) bool {
	p, goesOn := r.beforeWrite(f, p)
	if !goesOn {
		return false
	}
	far := &r.sides[backendSide]
	if f == &r.down {
		far = &r.sides[clientSide]
	}
	if far.secure {
		far.wire.Cork()
	}
	n, err := r.write(f, p)
	if err == nil && far.secure {
		err = far.wire.Flush()
	}
	return r.afterWrite(f, n, far.wire.Unsent(), err)
}

// flush goes on with what an end has not taken. It tells whether the relay goes on.
func (r *relay) flush(f *flow) bool {
	far := &r.sides[backendSide]
	if f == &r.down {
		far = &r.sides[clientSide]
	}
	if !r.holds(f) {
		return true
	}
	err := far.wire.Flush()
	if err == nil && !far.wire.Unsent() && r.pipe != nil && r.piping == f {
		err = r.empty(far)
		if r.pipe == nil && r.s.server.clock.Now().Sub(f.moved) > longWait {
			r.fast = 0
		}
	}
	return r.afterWrite(f, 0, r.holds(f), err)
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

// rewatch tells epoll what has changed, and queues what is to be read although
// epoll may have nothing.
func (l *loop) rewatch(r *relay) {
	for side := range r.sides {
		e := &r.sides[side]
		mask := r.wanted(side)
		if e.gone && mask&unix.EPOLLIN != 0 {
			e.more = true // the way is free again: the read says how it died
		}
		if e.more && mask&unix.EPOLLIN != 0 && !r.queued {
			r.queued = true
			l.ready = append(l.ready, r)
		}
		if mask == e.mask || e.gone {
			continue
		}
		if mask&unix.EPOLLOUT != 0 && e.mask&unix.EPOLLOUT == 0 {
			l.plan(r, l.server.clock.Now()) // a write that takes long is looked into
		}
		e.mask = mask
		_ = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_MOD, int(e.fd), l.watched(r, side)) // it is there
	}
}

// release takes a relay out of the loop and gives its session a goroutine for
// the end.
func (l *loop) release(r *relay) {
	for i := range r.sides {
		if e := &r.sides[i]; !e.gone {
			_ = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, int(e.fd), nil)
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

// detach makes the session its owner's again: the sockets go back to Go's
// poller, and what was on its way is given up.
func (r *relay) detach() {
	r.finish()
	if r.holds(&r.down) {
		r.down.partial = true
	}
	if r.holds(&r.up) {
		r.s.backend.Abandon()
	}
	if r.pipe != nil {
		r.s.server.relayLoops.pipes.drop(r.pipe)
		r.pipe = nil
	}
	for _, e := range r.sides {
		if e.wire != nil { // it was parked
			e.wire.Unpark()
		}
	}
}

func (r *relay) heartbeat() {
	if !r.beginHeartbeat() {
		return
	}
	far := &r.sides[clientSide]
	n, err := r.write(&r.down, []byte(stillHere))
	r.afterWrite(&r.down, n, far.wire.Unsent(), err)
}

// nextSweep is when the relay has to be looked at again. A silence that may last
// is looked at when it may have lasted too long.
func (r *relay) nextSweep(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up.busy || r.down.busy {
		return now.Add(slowWrite)
	}
	limits := &r.s.settings.Limits
	at := r.silentUntil()
	if beat := r.down.moved.Add(limits.Heartbeat); limits.Heartbeat > 0 && beat.Before(at) {
		at = beat
	}
	if !at.After(now) { // IDLE may go on; no tick before the next
		at = now.Add(sweepEvery)
	}
	return at
}

package imapproxy

import (
	"errors"

	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// event takes what the poller reports of a side.
func (l *loop) event(r *relay, number int, events wire.Events) {
	l.protected(r, func() {
		fault.Point("loop.event")
		l.handle(r, number, events)
		r.catchUp()
	})
	l.after(r)
}

func (l *loop) handle(r *relay, number int, events wire.Events) {
	e := &r.sides[number]
	if events&wire.Writable != 0 && !r.flush(e.out) {
		return
	}
	e.wire.MarkReadable()
	switch {
	case e.mask&wire.Readable != 0:
		l.read(r, e)
	case events&wire.Dead != 0:
		l.dead(r, number)
	}
}

// dead takes the end of a socket that nothing is read from at the moment. The
// poller would report it again and again.
func (l *loop) dead(r *relay, number int) {
	e := &r.sides[number]
	if e.eof && number == clientSide { // it half-closed, and is gone altogether now
		if cause, err := wire.WaitGone(e.wire); err == nil {
			r.cut(clientReason(cause), cause)
		}
		return
	}
	if !e.gone {
		e.gone = true
		l.poller.Remove(e.wire)
	}
}

// readOn takes up what earlier turns have left.
func (l *loop) readOn(r *relay) {
	for i := range r.sides {
		e := &r.sides[i]
		if e.more && !e.eof && !e.in.waits() {
			e.more = false
			e.wire.MarkReadable()
			l.read(r, e)
		}
	}
	r.catchUp()
}

// read moves what has come from a side, up to turnBound.
func (l *loop) read(r *relay, e *side) {
	f := e.in
	for moved := 0; moved < turnBound; {
		n, err := l.fill(r, f)
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
		case f.waits():
			e.more = e.secure
			return
		case !e.secure && n < len(l.buf):
			return // the poller reports when there is more
		}
		moved += n
		n, goesOn := l.splice(r, f)
		if moved += n; !goesOn {
			return
		}
	}
	e.more = e.secure
}

// fill reads once, or, of a TLS connection, whose records are small, until the
// buffer is full.
func (l *loop) fill(r *relay, f *flow) (n int, err error) {
	for {
		m, err := f.read(r.s, l.buf[n:])
		n += m
		if err != nil || !f.from.secure || n == len(l.buf) {
			return n, err
		}
	}
}

// wanted is what a side is watched for: nothing is read as long as the other
// one has not taken what was, or has to answer first.
func (e *side) wanted() wire.Events {
	var mask wire.Events
	if !e.eof && !e.in.waits() {
		mask |= wire.Readable
	}
	if e.out.holds() {
		mask |= wire.Writable
	}
	return mask
}

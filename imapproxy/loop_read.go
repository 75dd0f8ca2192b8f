package imapproxy

import (
	"errors"

	"imapproxy/backend/wire"
)

// handle takes what the loop reports of a side.
func (r *relay) handle(e *side, events wire.Events) {
	if events&(wire.Writable|wire.Dead) != 0 && !r.flush(e.out) {
		return
	}
	switch {
	case !e.eof && !e.in.waits():
		r.read(e)
	case events&wire.Dead != 0 && e.eof && e == &r.sides[clientSide]: // it half-closed, and is gone altogether now
		if cause, gone := wire.Gone(e.wire); gone {
			r.cut(clientReason(cause), cause)
		}
	}
}

// readOn takes up what earlier turns have left.
func (r *relay) readOn() {
	for i := range r.sides {
		e := &r.sides[i]
		if (e.more || !e.wire.Drained()) && !e.eof && !e.in.waits() {
			e.more = false
			r.read(e)
		}
	}
	r.catchUp()
}

// read moves what has come from a side, up to turnBound.
func (r *relay) read(e *side) {
	f, buf := e.in, r.s.loop.buf[:]
	for moved := 0; moved < turnBound; {
		n, err := r.fill(f, buf)
		if e.secure && n >= largeRecord {
			r.unsettle()
		}
		if n > 0 && !r.forward(f, buf[:n]) {
			return
		}
		switch {
		case errors.Is(err, wire.ErrWouldBlock):
			r.acknowledge(e)
			return
		case err != nil:
			e.eof = true
			r.readFailed(f, err)
			return
		case f.waits():
			e.more = e.secure
			return
		case !e.secure && e.wire.Drained():
			r.acknowledge(e)
			return // the loop reports when there is more
		}
		moved += n
		n, goesOn := r.splice(f)
		if moved += n; !goesOn {
			return
		}
	}
	e.more = e.secure
}

// acknowledge has the client send the rest of a literal at once: many send a command with {n+} and its literal in
// two steps.
func (r *relay) acknowledge(e *side) {
	if e == &r.sides[clientSide] && r.literalLeft(e.in) > 0 {
		e.wire.Acknowledge()
	}
}

// fill reads once, or, of a TLS connection, whose records are small, until the
// buffer is full.
func (r *relay) fill(f *flow, buf []byte) (n int, err error) {
	for {
		m, err := f.read(r.s, buf[n:])
		n += m
		if err != nil || !f.from.secure || n == len(buf) {
			return n, err
		}
	}
}

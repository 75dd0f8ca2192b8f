package imapproxy

import (
	"errors"

	"imapproxy/backend/wire"
)

// splice moves a literal from one side to the other, as far as that goes without
// waiting. goesOn is that reading may go on in the ordinary way.
func (r *relay) splice(f *flow) (moved int, goesOn bool) {
	for moved < turnBound {
		left := r.literalLeft(f)
		if left < spliceLeast || f.from.secure || f.to.secure {
			return moved, true
		}
		x := r.s.server.loops.pipes.get()
		if x == nil {
			return moved, true
		}
		n, err := x.Fill(f.from.wire, int(min(left, f.spliceSize())))
		if n == 0 {
			r.s.server.loops.pipes.put(x)
			return moved, r.notSpliced(f, err)
		}
		f.pipe = x
		moved += n
		f.spliced += int64(n)
		if !r.beforeSplice(f, n) {
			return moved, false
		}
		err = r.empty(f) // first: whether the flow holds anything is known only after it
		if !r.afterWrite(f, n, f.holds(), err) || f.holds() {
			return moved, false
		}
	}
	return moved, false
}

// notSpliced takes the outcome of a splice that has moved nothing. It reports
// whether reading may go on in the ordinary way, which finds the end of the near
// side; an error of its socket is found only here.
func (r *relay) notSpliced(f *flow, err error) bool {
	switch {
	case err == nil:
		return true
	case !errors.Is(err, wire.ErrWouldBlock):
		f.from.eof = true
		r.readFailed(f, err)
	}
	return false
}

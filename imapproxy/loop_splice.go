package imapproxy

import (
	"errors"

	"imapproxy/backend/wire"
)

// splice moves a literal from one side to the other, as far as that goes without
// waiting. goesOn is that reading may go on in the ordinary way.
func (l *loop) splice(r *relay, f *flow) (moved int, goesOn bool) {
	for moved < turnBound {
		left := r.literalLeft(f)
		if left < spliceLeast || f.from.secure || f.to.secure {
			return moved, true
		}
		x := l.pipes.get()
		if x == nil {
			return moved, true
		}
		n, err := x.Fill(f.from.wire, int(min(left, f.spliceSize())))
		if n == 0 {
			l.pipes.put(x)
			return moved, !errors.Is(err, wire.ErrWouldBlock) // the ordinary read finds out what it is
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

package imapproxy

import (
	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// spliceSize is how much may be on its way at a time, in bytes. A client that
// does not read costs no more than spliceFirst; for one that keeps up with a
// large message, the kernel may also take more from the backend.
func (f *flow) spliceSize() int64 {
	if f.spliced < keepsUp {
		return spliceFirst
	}
	if f.widens() && !f.wide {
		f.wide = true
		wire.Widen(f.from.wire)
	}
	return wire.PipeSize
}

// literalLeft returns the bytes to come of the literal on its way in a flow.
func (r *relay) literalLeft(f *flow) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return f.literal(r.ledger)
}

// beforeSplice is beforeWrite for n bytes that the ledger does not look at.
func (r *relay) beforeSplice(f *flow, n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return false
	}
	f.skip(r.ledger, int64(n))
	f.busy = true
	f.moved = r.s.server.clock.Now()
	return true
}

// empty moves what a flow's pipe holds to the far side, and gives an empty pipe
// back.
func (r *relay) empty(f *flow) error {
	fault.Point("loop.splice")
	if err := f.pipe.Empty(f.to.wire); err != nil || f.pipe.Held() > 0 {
		return err
	}
	r.s.server.loops.pipes.put(f.pipe)
	f.pipe = nil
	return nil
}

package imapproxy

import (
	"sync/atomic"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// flow is one direction of a relay: what is read from one side is written to
// the other.
type flow struct {
	direction
	from, to *side

	busy    bool      // a write is under way, or has left something over
	partial bool      // a write fell short: the far side is in the middle of something
	stalled bool      // the ledger keeps bytes until the other side has answered
	wide    bool      // the near socket may hold more
	moved   time.Time // when bytes last went this way, or began to
	bytes   atomic.Int64

	pipe    *wire.Pipe // holds spliced bytes that the far side has not taken; nil most of the time
	spliced int64      // bytes that were spliced since one had to wait for long
}

// holds reports whether bytes wait for the far side.
func (f *flow) holds() bool {
	return f.to.wire.Unsent() || f.pipe != nil
}

// waits reports whether nothing more should be read from the near side.
func (f *flow) waits() bool { return f.stalled || f.holds() }

// side is one of a relay's two sockets.
type side struct {
	wire    *wire.Wire
	secure  bool  // TLS: there may be more to read than the kernel knows of
	held    bool  // it has not taken all that was for it
	eof     bool  // nothing more is to be read
	more    bool  // a turn ended before everything was read
	in, out *flow // what is read from it, what is written to it
}

// The places in relay.sides.
const (
	backendSide = 0
	clientSide  = 1
)

// beforeWrite tells the ledger what was read; it is told first, since the answer
// to these bytes can arrive before the write returns. It returns what is to be
// written, which can be nothing (see Ledger.Forward); false when the relay has
// ended.
func (r *relay) beforeWrite(f *flow, p []byte) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil, false
	}
	p = f.admit(r.ledger, p)
	if r.ledger.Refused() {
		r.stopRefused()
		return nil, false
	}
	r.up.stalled = r.ledger.Stalled()
	f.busy = true
	f.moved = r.s.server.clock.Now()
	return p, true
}

// afterWrite takes what came of a write of n bytes; unsent is that some of them
// still have to go. It reports whether the relay goes on.
func (r *relay) afterWrite(f *flow, n int, unsent bool, err error) bool {
	f.bytes.Add(int64(n))
	f.counter(r.s.server.metrics).Add(float64(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	f.written()
	f.busy = unsent
	r.ledger.TakeRefused(r.s.server.metrics.commandsRefused)
	f.moved = r.s.server.clock.Now()
	if err != nil {
		f.partial = true
		if !isWoken(err) {
			r.stop(r.lost(f.writeFailed(err)), err)
		}
		return false
	}
	r.settle()
	if !r.stopped && r.ledger.ByeSeen() {
		r.limitHalfClose()
	}
	return !r.stopped
}

// write writes p to the far side.
func (r *relay) write(f *flow, p []byte) (int, error) {
	if len(p) == 0 { // all of it is held: see Ledger.Forward
		return 0, nil
	}
	return f.direction.write(r.s, p)
}

// forward writes to the far side what was read from the near one. It reports
// whether the relay goes on.
func (r *relay) forward(f *flow, p []byte) bool {
	p, goesOn := r.beforeWrite(f, p)
	if !goesOn {
		return false
	}
	if f.to.secure {
		f.to.wire.Cork()
	}
	n, err := r.write(f, p)
	if err == nil && f.to.secure {
		err = f.to.wire.Flush()
	}
	return r.afterWrite(f, n, f.to.wire.Unsent(), err)
}

// flush goes on with what the far side has not taken. It reports whether the
// relay goes on.
func (r *relay) flush(f *flow) bool {
	if !f.holds() {
		return true
	}
	err := f.to.wire.Flush()
	if err == nil && !f.to.wire.Unsent() && f.pipe != nil {
		err = r.empty(f)
		if f.pipe == nil && r.s.server.clock.Now().Sub(f.moved) > longWait {
			f.spliced = 0
		}
	}
	return r.afterWrite(f, 0, f.holds(), err)
}

// readFailed takes the error of a read.
func (r *relay) readFailed(f *flow, err error) {
	fault.Point("relay.read.failed")
	f.direction.readFailed(r, err)
}

package imapproxy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
)

// relay is act two: it moves bytes unchanged both ways while the ledger
// watches, until there is a reason to end. It owns both sockets meanwhile.
//
// A loop for many sessions moves the bytes (loop.go). What the rest of the
// session sees of the relay is run, drain, sweep and the interrupter.
type relay struct {
	s      *session
	ledger *ledger.Ledger

	mu         sync.Mutex // protects the ledger and what follows; no I/O under it
	stopped    bool
	draining   endReason // "" or why the session should end at the next safe point
	clientEOF  bool      // the client has closed its side
	backendEOF bool      // so has the backend, while a slow client still reads
	up, down   flow

	closeTimer   backend.Timer // of a half-closed session; nil before
	silenceTimer backend.Timer // the same

	mover
}

// flow is one direction.
type flow struct {
	busy    bool      // a write is under way, or has left something over
	partial bool      // a write fell short: the other side is in the middle of something
	moved   time.Time // when bytes last went this way, or began to
	bytes   atomic.Int64
}

func (r *relay) begin(s *session) {
	fault.Point("relay.begin")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s, r.ledger = s, &s.backend.Ledger
	s.backend.StartRelay()
	now := s.server.clock.Now()
	r.up.moved, r.down.moved = now, now
	s.relaying.Store(true)
	if s.server.isDraining() {
		r.draining = endShutdown // a drain that came between login and relay
		r.settle()
	}
}

// beforeWrite tells the ledger what is about to be written; it is told first,
// since the answer to these bytes can arrive before the write returns. It gives
// what is to be written, which can be nothing (see Ledger.Forward); false when
// the relay has ended.
func (r *relay) beforeWrite(f *flow, p []byte) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil, false
	}
	if f == &r.up {
		fault.Point("relay.up.write")
		p = r.ledger.Forward(p)
	} else {
		fault.Point("relay.down.write")
		r.ledger.Backend(p)
	}
	f.busy = true
	f.moved = r.s.server.clock.Now()
	return p, true
}

// afterWrite takes what came of a write of n bytes; unsent is that some of them
// still have to go. It tells whether the relay goes on.
func (r *relay) afterWrite(f *flow, n int, unsent bool, err error) bool {
	f.bytes.Add(int64(n))
	r.metric(f).Add(float64(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	if f == &r.up {
		fault.Point("relay.up.written")
	} else {
		fault.Point("relay.down.written")
	}
	f.busy = unsent
	f.moved = r.s.server.clock.Now()
	if err != nil {
		f.partial = true
		if !isWoken(err) {
			r.stop(r.lost(r.failed(f, err)), err)
		}
		return false
	}
	r.settle()
	return !r.stopped
}

// metric counts a flow's bytes.
func (r *relay) metric(f *flow) prometheus.Counter {
	if f == &r.up {
		return r.s.server.metrics.bytesIn
	}
	return r.s.server.metrics.bytesOut
}

// read reads what a flow moves.
func (r *relay) read(f *flow, p []byte) (int, error) {
	if f == &r.up {
		return r.s.client.Read(p)
	}
	return r.s.backend.Read(p)
}

// write writes it to the far end.
func (r *relay) write(f *flow, p []byte) (int, error) {
	if len(p) == 0 { // all of it is held: see Ledger.Forward
		return 0, nil
	}
	if f == &r.up {
		return r.s.backend.Write(p)
	}
	return r.s.client.conn.Write(p)
}

// failed is the reason behind a failed write.
func (r *relay) failed(f *flow, err error) endReason {
	if f == &r.up {
		return backendReason(err)
	}
	return clientReason(err)
}

// readFailed takes the error of a read.
func (r *relay) readFailed(f *flow, err error) {
	fault.Point("relay.read.failed")
	if f == &r.up {
		r.clientRead(err)
	} else {
		r.backendRead(err)
	}
}

// finish is the last that happens to a relay.
func (r *relay) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for _, t := range []backend.Timer{r.closeTimer, r.silenceTimer} {
		if t != nil {
			t.Stop()
		}
	}
}

// stop ends the relay; the lock is held.
func (r *relay) stop(reason endReason, detail error) {
	if r.stopped {
		return
	}
	r.stopped = true
	r.s.interrupter.cut(reason, detail)
}

func (r *relay) cut(reason endReason, detail error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop(reason, detail)
}

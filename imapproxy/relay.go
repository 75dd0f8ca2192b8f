package imapproxy

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"imapproxy/backend"
)

// relayBuffer is what one direction of one session reads at a time.
const relayBuffer = 16 << 10

var buffers = sync.Pool{New: func() any { return new([relayBuffer]byte) }}

// relay is act two: it moves bytes unchanged both ways while the ledger
// watches, until there is a reason to end. It owns both sockets meanwhile.
// This one uses two goroutines; what the rest of the session sees of it is
// run, drain, sweep and the door.
type relay struct {
	s      *session
	ledger *backend.Ledger

	mu         sync.Mutex // protects the ledger and what follows; no I/O under it
	stopped    bool
	draining   endReason // "" or why the session should end at the next safe point
	clientEOF  bool      // the client has closed its side
	backendEOF bool      // so has the backend, while a slow client still reads
	up, down   flow
	closeTimer backend.Timer

	toClient sync.Mutex // held while the client is written to; taken before mu
}

// flow is one direction.
type flow struct {
	src    io.Reader
	dst    io.Writer
	tell   func([]byte)          // the ledger's ear
	failed func(error) endReason // the reason behind a failed write

	busy    bool      // a write is under way
	partial bool      // a write fell short: the other side is in the middle of something
	moved   time.Time // when bytes last went this way, or began to
	bytes   atomic.Int64
	counted int64 // of bytes, those that the metrics have
}

// uncounted gives the bytes since the last call; the relay's lock is held.
func (f *flow) uncounted() float64 {
	n := f.bytes.Load()
	defer func() { f.counted = n }()
	return float64(n - f.counted)
}

// run relays until the door has a reason.
func (r *relay) run(s *session) {
	r.begin(s)
	over := s.help("relay to client", func() { r.pump(&r.down, r.backendRead) })
	s.protected("relay to backend", r.runUp) // after a panic in it, too, the other way is over before the end begins
	<-over
	r.finish()
}

func (r *relay) begin(s *session) {
	backend.FaultPoint("relay.begin")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s, r.ledger = s, &s.backend.Ledger
	s.backend.StartRelay()
	now := s.server.clock.Now()
	r.up = flow{src: &s.client, dst: s.backend, tell: r.ledger.Client, failed: backendReason, moved: now}
	r.down = flow{src: s.backend, dst: s.client.conn, tell: r.ledger.Backend, failed: clientReason, moved: now}
	s.relaying.Store(true)
	if s.server.isClosing() {
		r.draining = endShutdown // a drain that came between login and relay
		r.settle()
	}
}

// finish waits for a heartbeat that is under way and stops the timer.
func (r *relay) finish() {
	r.toClient.Lock()
	defer r.toClient.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.closeTimer != nil {
		r.closeTimer.Stop()
	}
}

// runUp moves from the client to the backend, first what was read ahead.
func (r *relay) runUp() {
	backend.FaultPoint("relay.up.start")
	ahead := r.s.client.in.rest()
	if len(ahead) > 0 && !r.forward(&r.up, ahead) {
		return
	}
	r.pump(&r.up, r.clientRead)
	if !r.closedByClient() {
		return
	}
	if cause, err := backend.WaitGone(r.s.client.raw); err == nil {
		r.cut(clientReason(cause), cause) // it half-closed, and is gone altogether now
	}
}

// pump reads and forwards until one of the two fails.
func (r *relay) pump(f *flow, readFailed func(error)) {
	buf := buffers.Get().(*[relayBuffer]byte)
	defer buffers.Put(buf)
	for {
		if f == &r.up {
			backend.FaultPoint("relay.up.read")
		} else {
			backend.FaultPoint("relay.down.read")
		}
		n, err := f.src.Read(buf[:])
		if n > 0 && !r.forward(f, buf[:n]) {
			return
		}
		if err != nil {
			backend.FaultPoint("relay.read.failed")
			readFailed(err)
			return
		}
	}
}

// forward tells the ledger and writes. It is told first: the answer to these
// bytes can arrive before the write returns.
func (r *relay) forward(f *flow, p []byte) bool {
	if f == &r.down {
		r.toClient.Lock()
		defer r.toClient.Unlock()
	}
	if !r.beforeWrite(f, p) {
		return false
	}
	n, err := f.dst.Write(p)
	f.bytes.Add(int64(n))
	return r.afterWrite(f, err)
}

func (r *relay) beforeWrite(f *flow, p []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return false
	}
	if f == &r.up {
		backend.FaultPoint("relay.up.write")
	} else {
		backend.FaultPoint("relay.down.write")
	}
	f.tell(p)
	f.busy = true
	f.moved = r.s.server.clock.Now()
	return true
}

func (r *relay) afterWrite(f *flow, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f == &r.up {
		backend.FaultPoint("relay.up.written")
	} else {
		backend.FaultPoint("relay.down.written")
	}
	f.busy = false
	f.moved = r.s.server.clock.Now()
	if err != nil {
		f.partial = true
		if !isWoken(err) {
			r.stop(r.lost(f.failed(err)), err)
		}
		return false
	}
	r.settle()
	return !r.stopped
}

// stop ends the relay; the lock is held.
func (r *relay) stop(reason endReason, detail error) {
	if r.stopped {
		return
	}
	r.stopped = true
	r.s.door.cut(reason, detail)
}

func (r *relay) cut(reason endReason, detail error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop(reason, detail)
}

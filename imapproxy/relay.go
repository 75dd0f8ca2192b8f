package imapproxy

import (
	"errors"
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
// run, drain and the door.
type relay struct {
	s      *session
	ledger *backend.Ledger

	mu         sync.Mutex // protects the ledger and what follows; no I/O under it
	stopped    bool
	draining   endReason // "" or why the session should end at the next safe point
	clientEOF  bool      // the client has closed its side
	up, down   flow
	lastMoved  time.Time
	idleTimer  backend.Timer
	closeTimer backend.Timer
}

// flow is one direction.
type flow struct {
	busy    bool // a write is under way
	partial bool // a write fell short: the other side is in the middle of something
	bytes   atomic.Int64
}

// run relays until the door has a reason.
func (r *relay) run(s *session) {
	r.s, r.ledger = s, &s.backend.Ledger
	s.backend.StartRelay()
	r.lastMoved = s.server.clock.Now()
	r.mu.Lock()
	r.idleTimer = s.server.clock.AfterFunc(s.settings.Limits.Idle, r.checkIdle)
	r.mu.Unlock()
	s.relaying.Store(true)
	if s.server.isClosing() {
		s.drain(endShutdown) // a drain that came between login and relay
	}
	over := s.help(r.runDown)
	r.runUp()
	<-over
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idleTimer.Stop()
	if r.closeTimer != nil {
		r.closeTimer.Stop()
	}
}

// runUp moves from the client to the backend, first what was read ahead.
func (r *relay) runUp() {
	ahead := r.s.client.in.rest()
	if len(ahead) > 0 && !r.forward(&r.up, ahead, r.ledger.Client, r.s.backend, backendReason) {
		return
	}
	r.pump(&r.up, &r.s.client, r.ledger.Client, r.s.backend, backendReason, r.clientRead)
}

// runDown moves from the backend to the client.
func (r *relay) runDown() {
	r.pump(&r.down, r.s.backend, r.ledger.Backend, r.s.client.conn, clientReason, r.backendRead)
}

// pump reads and forwards until one of the two fails.
func (r *relay) pump(f *flow, src io.Reader, tell func([]byte), dst io.Writer,
	writeReason func(error) endReason, readFailed func(error)) {
	buf := buffers.Get().(*[relayBuffer]byte)
	defer buffers.Put(buf)
	for {
		n, err := src.Read(buf[:])
		if n > 0 && !r.forward(f, buf[:n], tell, dst, writeReason) {
			return
		}
		if err != nil {
			readFailed(err)
			return
		}
	}
}

// forward tells the ledger and writes. It is told first: the answer to these
// bytes can arrive before the write returns.
func (r *relay) forward(f *flow, p []byte, tell func([]byte), dst io.Writer, reason func(error) endReason) bool {
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return false
	}
	tell(p)
	f.busy = true
	r.lastMoved = r.s.server.clock.Now()
	r.mu.Unlock()
	n, err := dst.Write(p)
	f.bytes.Add(int64(n))
	r.mu.Lock()
	defer r.mu.Unlock()
	f.busy = false
	if err != nil {
		f.partial = true
		if !isWoken(err) {
			r.stop(reason(err), err)
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

// settle looks, after each step, whether something that was waiting for a safe
// point has reached it; the lock is held.
func (r *relay) settle() {
	if r.stopped || r.up.busy || r.down.busy {
		return
	}
	l := r.ledger
	switch {
	case l.LoggedOut() && l.Outstanding() == 0:
		r.stop(endLogout, nil)
	case r.clientEOF && (l.Idle() || r.cannotFinish()):
		r.stop(r.clientGone(), nil)
	case r.draining != "" && l.Idle() && l.MayBye():
		r.stop(r.draining, nil)
	}
}

// cannotFinish tells that a client which sends no more has left the backend
// in the middle of a command; no answer will ever come.
func (r *relay) cannotFinish() bool {
	ok, _ := r.ledger.MayLogout()
	return !ok && !r.ledger.LoggedOut()
}

// clientGone is the reason for a client that has closed: after its LOGOUT
// that was to be expected.
func (r *relay) clientGone() endReason {
	if r.ledger.LoggedOut() {
		return endLogout
	}
	return endClientClosed
}

// clientRead takes the end of the client's side. A client that only
// half-closed still gets the answers it is waiting for.
func (r *relay) clientRead(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case isWoken(err) || r.stopped:
		r.stopped = true
	case errors.Is(err, io.EOF) && !errors.Is(err, errTLSCut):
		r.clientEOF = true
		r.closeTimer = r.s.server.clock.AfterFunc(r.s.settings.Limits.HalfClose, func() {
			r.cutFromTimer(endHalfClose)
		})
		r.settle()
	default:
		r.stop(clientReason(err), err)
	}
}

// backendRead takes the end of the backend's side: all it had to say has been
// written to the client by now.
func (r *relay) backendRead(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case isWoken(err) || r.stopped:
		r.stopped = true
	case r.ledger.LoggedOut():
		r.stop(endLogout, nil)
	default:
		r.stop(backendReason(err), err)
	}
}

// checkIdle ends a session in which nothing has moved for too long. IDLE is
// exempt: there silence is the point, and keep-alive finds who has vanished.
func (r *relay) checkIdle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	limit := r.s.settings.Limits.Idle
	left := limit - r.s.server.clock.Now().Sub(r.lastMoved)
	if r.ledger.InIdle() {
		left = limit
	}
	if left > 0 {
		r.idleTimer = r.s.server.clock.AfterFunc(left, r.checkIdle)
		return
	}
	r.stop(endIdleTimeout, nil)
}

func (r *relay) cutFromTimer(reason endReason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop(reason, nil)
}

// drain asks for the end at the next safe point. It is false when there is no
// relay to wait for.
func (r *relay) drain(reason endReason) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining == "" {
		r.draining = reason
	}
	r.settle()
	return true
}

// atBoundary tells whether what the client has read ends between two lines.
func (r *relay) atBoundary() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.down.partial && r.ledger.MayBye()
}

// mayBye tells whether a line can be put in front of the client now.
func (r *relay) mayBye() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.down.partial && r.ledger.MayBye() && !r.ledger.ByeSeen()
}

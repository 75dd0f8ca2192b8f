//go:build !linux || goroutines

package imapproxy

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"imapproxy/backend"
)

// relayBuffer is what one direction of one session reads at a time.
const relayBuffer = 16 << 10

var buffers = sync.Pool{New: func() any { return new([relayBuffer]byte) }}

// mover moves by two goroutines: the session's own, and a helper.
type mover struct {
	toClient sync.Mutex // held while the client is written to; taken before the relay's
}

// movers is what all relays of a server have in common: nothing.
type movers struct{}

func (s *Server) startMovers() error { return nil }

func (s *Server) stopMovers() {}

// sweepRelays looks at every relay.
func (s *Server) sweepRelays(now time.Time) {
	s.sessions.each(func(ses *session) {
		if ses.relaying.Load() { // a panic ends that session, and the others get their turn
			ses.protected("sweep", func() { ses.relay.sweep(now) })
		}
	})
}

// run relays until the door has a reason. It gives false: the session is its
// caller's again.
func (r *relay) run(s *session) (taken bool) {
	r.begin(s)
	over := s.help("relay to client", func() { r.pump(&r.down) })
	s.protected("relay to backend", r.runUp) // after a panic in it, too, the other way is over before the end begins
	<-over
	r.toClient.Lock() // waits for a heartbeat that is under way
	defer r.toClient.Unlock()
	r.finish()
	return false
}

// runUp moves from the client to the backend, first what was read ahead.
func (r *relay) runUp() {
	backend.FaultPoint("relay.up.start")
	ahead := r.s.client.in.rest()
	if len(ahead) > 0 && !r.forward(&r.up, ahead) {
		return
	}
	r.pump(&r.up)
	if !r.closedByClient() {
		return
	}
	if cause, err := backend.WaitGone(&r.s.client.raw); err == nil {
		r.clientGone(cause) // it half-closed, and is gone altogether now
	}
}

// pump reads and forwards until one of the two fails.
func (r *relay) pump(f *flow) {
	buf := buffers.Get().(*[relayBuffer]byte)
	defer buffers.Put(buf)
	for {
		if f == &r.up {
			backend.FaultPoint("relay.up.read")
		} else {
			backend.FaultPoint("relay.down.read")
		}
		n, err := r.read(f, buf[:])
		if n > 0 && !r.forward(f, buf[:n]) {
			return
		}
		if err != nil {
			r.readFailed(f, err)
			return
		}
	}
}

func (r *relay) forward(f *flow, p []byte) bool {
	if f == &r.down {
		r.toClient.Lock()
		defer r.toClient.Unlock()
	}
	p, goesOn := r.beforeWrite(f, p)
	if !goesOn {
		return false
	}
	n, err := r.write(f, p)
	return r.afterWrite(f, n, false, err)
}

// readerTells says that the goroutine which reads from the flow's far end knows
// why a write there failed: the kernel gives the cause to one of the two, and
// the other gets EPIPE. The lock is held.
func (r *relay) readerTells(f *flow, err error) bool {
	if !errors.Is(err, syscall.EPIPE) {
		return false
	}
	if f == &r.down {
		return !r.up.busy && !r.clientEOF
	}
	return !r.down.busy && !r.backendEOF
}

// writerTells says that the goroutine which writes to the client knows why it
// has gone. The lock is held.
func (r *relay) writerTells(cause error) bool { return cause == nil && r.down.busy }

// beat says the heartbeat beside the sweep, which holds the relay's lock.
func (r *relay) beat() { r.s.help("heartbeat", r.heartbeat) }

func (r *relay) heartbeat() {
	if !r.toClient.TryLock() {
		return // the client is being written to anyway
	}
	defer r.toClient.Unlock()
	if !r.beginHeartbeat() {
		return
	}
	n, err := r.write(&r.down, []byte(stillHere))
	r.afterWrite(&r.down, n, false, err)
}

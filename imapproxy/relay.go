package imapproxy

import (
	"sync"

	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// relay is act two: it moves bytes unchanged both ways while the ledger
// watches, until there is a reason to end. It owns both sockets meanwhile. A
// loop moves the bytes of many relays (loop.go); what the rest of the session
// sees of a relay is run, drain, sweep and the interrupter.
type relay struct {
	s      *session
	ledger *ledger.Ledger

	mu         sync.Mutex // protects the ledger and what follows; no I/O under it
	stopped    bool
	draining   endReason // "" or why the session should end at the next safe point
	clientEOF  bool      // the client has closed its side
	backendEOF bool      // so has the backend, while a slow client still reads
	up, down   flow      // to the backend, to the client

	closeTimer   timing.Timer // of a half-closed session; nil before
	silenceTimer timing.Timer // the same

	sides [2]side
	loopMember
}

// run gives the session to a loop, which calls registry.finish when it ends. It
// reports whether a loop has taken it.
func (r *relay) run(s *session) (taken bool) {
	r.begin(s)
	s.login = nil
	if !s.interrupter.park(r) {
		r.finish()
		return false
	}
	if err := r.park(); err != nil {
		s.interrupter.cut(endOverload, err)
	}
	r.handling.Store(true) // no nudge is needed before the loop has it
	s.protected("relay", r.start)
	r.handling.Store(false)
	if s.interrupter.why() != "" || !s.server.relayLoops.nextLoop().adopt(r) {
		r.detach()
		return false
	}
	if s.interrupter.why() != "" {
		r.nudge() // a cut that came before there was a loop to be nudged
	}
	return true
}

func (r *relay) begin(s *session) {
	fault.Point("relay.begin")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s, r.ledger = s, &s.backend.Ledger
	s.backend.StartRelay()
	now := s.server.clock.Now()
	client, server := &r.sides[clientSide], &r.sides[backendSide]
	r.up = flow{direction: toBackend{}, from: client, to: server, moved: now}
	r.down = flow{direction: toClient{}, from: server, to: client, moved: now}
	client.in, client.out = &r.up, &r.down
	server.in, server.out = &r.down, &r.up
	s.relaying.Store(true)
	if s.server.isDraining() {
		r.draining = endShutdown // a drain that came between login and relay
		r.settle()
	}
}

// park takes both sockets out of Go's poller.
func (r *relay) park() error {
	for i, w := range [2]*wire.Wire{backendSide: r.s.backend.Raw(), clientSide: &r.s.client.raw} {
		if err := w.Park(); err != nil {
			return err
		}
		r.sides[i].wire = w
	}
	r.sides[backendSide].secure = r.s.backend.TLS() != nil
	r.sides[clientSide].secure = r.s.client.state != nil
	return nil
}

// start moves what was read ahead on both sides.
func (r *relay) start() {
	fault.Point("relay.up.start")
	if r.s.interrupter.why() != "" {
		return
	}
	if ahead := r.s.client.in.Rest(); len(ahead) > 0 && !r.forward(&r.up, ahead) {
		return
	}
	r.catchUp()
	r.sides[clientSide].more = r.sides[clientSide].secure
	r.sides[backendSide].more = r.sides[backendSide].secure || r.s.backend.Ahead()
}

// detach makes the session its owner's again: the sockets go back to Go's
// poller, and what was on its way is given up.
func (r *relay) detach() {
	r.finish()
	if r.down.holds() {
		r.down.partial = true
	}
	if r.up.holds() {
		r.s.backend.Abandon()
	}
	for _, f := range []*flow{&r.up, &r.down} {
		if f.pipe != nil {
			r.s.server.relayLoops.pipes.drop(f.pipe)
			f.pipe = nil
		}
	}
	for i := range r.sides {
		if w := r.sides[i].wire; w != nil { // it was parked
			w.Unpark()
		}
	}
}

// finish is the last that happens to a relay.
func (r *relay) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for _, t := range []timing.Timer{r.closeTimer, r.silenceTimer} {
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

package imapproxy

import (
	"sync"

	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
)

// relay is act two: it moves bytes unchanged both ways while the ledger
// watches, until there is a reason to end. It owns both sockets meanwhile. A
// loop moves the bytes of many relays (loops.go); what the rest of the session
// sees of a relay is run, drain, sweep and the interrupter.
type relay struct {
	s      *session
	ledger *ledger.Ledger

	mu         sync.Mutex // protects the ledger and what follows; no I/O under it
	stopped    bool
	clientEOF  bool      // the client has closed its side
	backendEOF bool      // so has the backend, while a slow client still reads
	draining   endReason // "" or why the session should end at the next safe point
	up, down   flow      // to the backend, to the client

	halfClosed *halfCloseLimits // nil while neither side has closed

	sides [2]side
	loopMember
}

// run gives the session to its loop, which starts the end when there is a reason. It reports
// whether the loop has taken it.
func (r *relay) run(s *session) (taken bool) {
	r.begin(s)
	s.login = nil
	if !s.interrupter.interrupts(r) {
		r.over = true // another cut may have posted the relay
		r.finish()
		return false
	}
	if err := s.loop.adopt(r); err != nil {
		s.interrupter.cut(endOverload, err)
	}
	s.protected("relay", r.start)
	if s.interrupter.why() != "" {
		s.loop.Stop(&r.watching)
		r.over = true
		r.detach()
		return false
	}
	s.loop.Soon(r)
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
	client.wire, client.secure = &s.client.raw, s.client.tls != nil
	server.wire, server.secure = s.backend.Raw(), s.backend.TLS() != nil
	s.relaying.Store(true)
	if s.server.isDraining() {
		r.draining = endShutdown // a drain that came between login and relay
		r.settle()
	}
}

// start moves what was read ahead on both sides.
func (r *relay) start() {
	fault.Point("relay.up.start")
	if r.s.interrupter.why() != "" {
		return
	}
	ahead := r.s.client.in.Rest()
	r.s.client.in = nil
	if len(ahead) > 0 && !r.forward(&r.up, ahead) {
		return
	}
	r.catchUp()
	r.sides[clientSide].more = r.sides[clientSide].secure
	r.sides[backendSide].more = r.sides[backendSide].secure || r.s.backend.Ahead()
}

// detach makes the session its owner's again: what was on its way is given up.
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
			r.s.server.loops.pipes.drop(f.pipe)
			f.pipe = nil
		}
		f.to.wire.DropUnsent()
	}
}

// finish is the last that happens to a relay.
func (r *relay) finish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.halfClosed != nil {
		r.halfClosed.stop()
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

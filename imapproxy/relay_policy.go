package imapproxy

import (
	"errors"

	"imapproxy/backend/fault"
)

// This file is what a relay does by itself for the session's policy; what is
// refused, and when that is said, the ledger knows.

// catchUp goes on with what the ledger has kept until the other side had answered,
// and says what is due. That may make room for more of what is kept.
func (r *relay) catchUp() {
	for {
		for r.mayResume() {
			if !r.forward(&r.up, nil) {
				return
			}
		}
		p := r.beginAnswer()
		if p == nil {
			return
		}
		r.say(p)
	}
}

func (r *relay) mayResume() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.stopped && r.up.stalled && !r.up.holds() && r.ledger.Resumable()
}

// beginAnswer takes the answers that are due, where a line may stand.
func (r *relay) beginAnswer() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.down.busy || r.down.partial {
		return nil
	}
	p := r.ledger.Due()
	if p != nil {
		fault.Point("relay.answer")
		r.beginSaying()
	}
	return p
}

// stopRefused ends a session of which the ledger can't judge the client's bytes any
// more; the lock is held.
func (r *relay) stopRefused() {
	reason := endClientProtocol
	if r.ledger.Blinded() {
		reason = endBackendProtocol
	}
	r.stop(r.lost(reason), errors.New("the client's commands can't be told apart any more: "+r.ledger.Doubt()))
}

// beginSaying is beforeWrite for lines of the proxy's own; the lock is held.
func (r *relay) beginSaying() {
	r.down.busy = true
	r.down.moved = r.s.server.clock.Now()
}

// say writes lines of the proxy's own to the client.
func (r *relay) say(p []byte) {
	n, err := r.write(&r.down, p)
	r.afterWrite(&r.down, n, r.sides[clientSide].wire.Unsent(), err)
}

package imapproxy

import (
	"errors"
	"io"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/timing"
)

// This file says when the relay ends.

// settle looks, after each step, whether something that was waiting for a safe
// point has reached it; the lock is held.
func (r *relay) settle() {
	if r.stopped || r.up.busy || r.down.busy {
		return
	}
	fault.Point("relay.settle")
	l := r.ledger
	switch {
	case l.LoggedOut() && l.Outstanding() == 0, r.heldLogout():
		r.stop(endLogout, nil)
	case r.clientEOF && (l.Idle() || r.cannotFinish()):
		r.stop(r.lost(endClientClosed), nil)
	case r.draining != "" && l.Idle() && l.MayBye():
		r.stop(r.draining, nil)
	}
}

// cannotFinish reports whether a client which sends no more has left the backend
// in the middle of a command; no answer will ever come. What waits for the
// backend's word goes on after it.
func (r *relay) cannotFinish() bool {
	if r.ledger.Stalled() {
		return false
	}
	ok, _ := r.ledger.MayLogout()
	return r.ledger.Midway() || !ok && !r.loggedOut()
}

// clientRead takes the end of the client's side. A client that only
// half-closed still gets the answers it is waiting for.
func (r *relay) clientRead(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped:
	case errors.Is(err, io.EOF) && !errors.Is(err, errTLSCut):
		r.clientEOF = true
		r.limitHalfClose()
		r.settle()
	default:
		r.stop(r.lost(clientReason(err)), err)
	}
}

// lost is the reason when a side goes away: after the client's LOGOUT that
// was to be expected, in whatever way it goes.
func (r *relay) lost(reason endReason) endReason {
	if r.loggedOut() {
		return endLogout
	}
	return reason
}

// halfCloseLimits has the limits of a session of which only one side is still open.
type halfCloseLimits struct {
	whole   timing.Timer
	silence timing.Timer // nil for no limit
}

func (h *halfCloseLimits) stop() {
	h.whole.Stop()
	if h.silence != nil {
		h.silence.Stop()
	}
}

// limitHalfClose bounds the time in which the side that is still open may
// finish: Limits.HalfClose in all, and Limits.HalfCloseIdle without a byte. A
// backend that has said BYE counts as one that has closed (RFC 9051 section 7.1.5),
// and has the same time to do so. The lock is held.
func (r *relay) limitHalfClose() {
	if r.halfClosed != nil {
		return
	}
	limits := &r.s.settings.Limits
	r.halfClosed = &halfCloseLimits{whole: r.s.after(timerHalfClose, limits.HalfClose, r.endHalfClosed)}
	if limits.HalfCloseIdle > 0 {
		r.watchSilence(limits.HalfCloseIdle)
	}
}

// endHalfClosed ends a session that has had its time.
func (r *relay) endHalfClosed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop(r.lost(endHalfClose), nil)
}

// watchSilence looks after d whether anything has moved since now; the lock is held.
func (r *relay) watchSilence(d time.Duration) {
	moved := r.lastMoved()
	r.halfClosed.silence = r.s.after(timerHalfCloseIdle, d, func() { r.endSilence(moved) })
}

// endSilence ends a half-closed session in which nothing has moved since the time
// given: whoever closed is most likely gone, and its socket stands in CLOSE_WAIT.
func (r *relay) endSilence(since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := r.lastMoved()
	switch {
	case r.stopped:
	case moved.After(since):
		r.watchSilence(max(0, moved.Add(r.s.settings.Limits.HalfCloseIdle).Sub(r.s.server.clock.Now())))
	default:
		r.stop(r.lost(endHalfClose), nil)
	}
}

// backendRead takes the end of the backend's side: all it had to say has been
// written to the client by now.
func (r *relay) backendRead(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop(r.lost(backendReason(err)), err)
}

// drain asks for the end at the next safe point.
func (r *relay) drain(reason endReason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.draining == "" {
		r.draining = reason
	}
	r.settle()
}

// atBoundary reports whether what the client has read ends between two lines.
func (r *relay) atBoundary() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.down.partial && r.ledger.MayBye()
}

// mayBye reports whether a line can be put in front of the client now.
func (r *relay) mayBye() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.down.partial && r.ledger.MayBye() && !r.ledger.ByeSeen()
}

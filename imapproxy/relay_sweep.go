package imapproxy

import (
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// This file is what time does to a relay. The loop calls sweep when nextSweep says so.

const (
	slowWrite = time.Second     // how long a write may block before the other side is looked at
	lasting   = 5 * time.Second // after which a session settles down
)

// sweep ends what has been silent for too long, finds a backend that has
// closed while its client does not read, and keeps an IDLE client's
// connection warm.
func (r *relay) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	fault.Point("relay.sweep")
	if at, inIdle := r.s.listener.dialect().silentUntil(r); !at.After(now) && (inIdle || !r.ledger.InIdle()) {
		r.stop(endIdleTimeout, nil)
		return
	}
	if r.down.busy && !r.backendEOF && now.Sub(r.down.moved) >= slowWrite {
		r.findBackendClosed()
	}
	if (r.up.busy || r.up.stalled) && now.Sub(r.up.moved) >= slowWrite {
		r.findClientClosed()
	}
	if every := r.s.settings.Limits.Heartbeat; every > 0 && r.ledger.InIdle() && now.Sub(r.down.moved) >= every {
		r.beating = true
	}
}

// findBackendClosed asks the kernel for the backend's FIN: the reader of the backend
// waits for the client and can't see it. The lock is held.
func (r *relay) findBackendClosed() {
	s, err := wire.AskSocket(r.s.backend.Raw())
	if err == nil && (s.State == wire.StateCloseWait || s.State == wire.StateClosed) {
		r.backendEOF = true
		r.limitHalfClose()
	}
}

// findClientClosed asks for the client's end: its reader waits for a backend
// that does not read. What the client has sent may still be taken, but for a
// client that is gone altogether. The lock is held.
func (r *relay) findClientClosed() {
	s, err := wire.AskSocket(&r.s.client.raw)
	switch {
	case err != nil:
	case s.State == wire.StateClosed:
		if cause, gone := wire.Gone(&r.s.client.raw); gone {
			r.stop(clientReason(cause), cause)
		}
	case s.State == wire.StateCloseWait:
		r.limitHalfClose()
	}
}

// lastMoved is when anything went either way; the lock is held.
func (r *relay) lastMoved() time.Time {
	if r.up.moved.After(r.down.moved) {
		return r.up.moved
	}
	return r.down.moved
}

// waiting returns since when a command has had no answer, by the clock of the
// backend's silence; false when none is outstanding, as far as can be known. IDLE
// is no command that waits.
func (r *relay) waiting() (since time.Time, command string, waits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	command = r.ledger.Command()
	if r.stopped || command == "" || r.ledger.Idle() || r.ledger.ClientLiteral() > 0 {
		return time.Time{}, "", false
	}
	return r.lastMoved(), command, true
}

// stillHere is a harmless line that is said in IDLE, where a line may stand: it
// keeps the way through NAT open, and finds out a client that has vanished.
const stillHere = "* OK Still here\r\n"

// heartbeat says stillHere where a line may stand.
func (r *relay) heartbeat() {
	if r.beginHeartbeat() {
		r.say([]byte(stillHere))
	}
}

func (r *relay) beginHeartbeat() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped || r.down.busy || !r.ledger.InIdle() || !r.ledger.MayBye() {
		return false
	}
	fault.Point("relay.heartbeat")
	r.beginSaying()
	return true
}

// nextSweep is when the relay has to be looked at again. A silence that may last
// is looked at when it may have lasted too long.
func (r *relay) nextSweep(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.up.busy || r.up.stalled || r.down.busy {
		return now.Add(slowWrite)
	}
	limits := &r.s.settings.Limits
	at, _ := r.s.listener.dialect().silentUntil(r)
	if beat := r.down.moved.Add(limits.Heartbeat); limits.Heartbeat > 0 && beat.Before(at) {
		at = beat
	}
	if !at.After(now) { // IDLE may go on; no tick before the next
		at = now.Add(sweepEvery)
	}
	if soon := now.Add(lasting); !r.settled && soon.Before(at) {
		return soon
	}
	return at
}

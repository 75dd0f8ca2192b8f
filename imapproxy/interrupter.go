package imapproxy

import (
	"sync"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/timing"
)

// interrupter is how anybody but its owner reaches a session: through it a session
// is cut, never ended. A cut interrupts its owner, the login's task or the relay, which then
// ends the session.
type interrupter struct {
	mu      sync.Mutex // protects all; no I/O under it
	reason  endReason
	detail  error
	closed  bool
	hurried bool
	owner   interface{ Interrupt() } // the login's task, later the relay; nil before. It does not block
	kick    timing.Timer             // stopped once the session ends; nil for none
}

// cut brings the session to its end. The first cause wins.
func (d *interrupter) cut(reason endReason, detail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == "" {
		d.reason, d.detail = reason, detail
	}
	switch {
	case d.closed, d.owner == nil:
	default:
		d.owner.Interrupt()
	}
}

// interrupts is the owner's: a cut interrupts it from now on. The result is false when the session has
// been cut already.
func (d *interrupter) interrupts(owner interface{ Interrupt() }) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owner = owner
	return d.reason == ""
}

// cutsAt notes the timer that will cut the session. It is stopped when the session ends before, or has another one.
func (d *interrupter) cutsAt(t timing.Timer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.kick != nil {
		t.Stop()
		return
	}
	d.kick = t
}

// close is the owner's: from here on the session ends.
func (d *interrupter) close() (endReason, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.kick != nil {
		d.kick.Stop()
	}
	return d.reason, d.detail
}

// farewellLimit shortens a limit when the session has been hurried.
func (d *interrupter) farewellLimit(limit time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hurried {
		return min(limit, backend.HurryLimit)
	}
	return limit
}

// hurry shortens the farewell that will come. It reports whether it may have begun.
func (d *interrupter) hurry() (begun bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hurried = true
	return d.closed
}

// why is the reason so far, "" while the session goes on.
func (d *interrupter) why() endReason {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason
}

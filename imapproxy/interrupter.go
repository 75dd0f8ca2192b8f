package imapproxy

import (
	"context"
	"sync"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// interrupter is how anybody but its owner reaches a session: through it a session
// is cut, never ended. A cut cancels the session's context and wakes whatever
// blocks on its sockets, by a deadline in the past; the owner then ends it.
// Once the owner has closed it no other goroutine touches the sockets, so a
// deadline has one owner at any time.
type interrupter struct {
	mu      sync.Mutex // protects all; no I/O under it
	reason  endReason
	detail  error
	closed  bool
	cancel  context.CancelFunc // of the login; nil after it
	sockets [2]*wire.Wire      // the client's, the backend's once there is one
	atClose []func()
	hurried bool
	relay   interface{ nudge() } // wakes the loop, while the sockets are parked
}

var longAgo = time.Unix(1, 0)

// cut brings the session to its end. The first cause wins.
func (d *interrupter) cut(reason endReason, detail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == "" {
		d.reason, d.detail = reason, detail
	}
	if d.closed {
		return
	}
	d.cancelLogin()
	for _, c := range d.sockets {
		if c != nil {
			_ = c.SetDeadline(longAgo)
		}
	}
	if d.relay != nil {
		d.relay.nudge()
	}
}

// park is the owner's: the sockets are about to be parked, and a cut calls
// the relay's nudge, which must not block. False when the session has been cut
// already. The login's context is over: sessions are silent for long, and it
// would be kept for nothing.
func (d *interrupter) park(r interface{ nudge() }) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.relay = r
	d.cancelLogin()
	return d.reason == ""
}

// cancelLogin ends the login's context; the lock is held.
func (d *interrupter) cancelLogin() {
	if d.cancel != nil {
		d.cancel()
		d.cancel = nil
	}
}

// addSocket adds a socket; a session that has been cut meanwhile
// finds it woken already.
func (d *interrupter) addSocket(c *wire.Wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sockets[0] == nil {
		d.sockets[0] = c
	} else {
		d.sockets[1] = c
	}
	if d.reason != "" {
		_ = c.SetDeadline(longAgo)
	}
}

// wake ends the read that a helper of the owner blocks in, without a cut.
func (d *interrupter) wake(c *wire.Wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = c.SetReadDeadline(longAgo)
}

// clearReadDeadline takes the effect of wake back, unless the session has been cut.
func (d *interrupter) clearReadDeadline(c *wire.Wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == "" {
		_ = c.SetReadDeadline(time.Time{})
	}
}

// onClose runs f, which must not block, once the interrupter is closed.
func (d *interrupter) onClose(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		f()
		return
	}
	d.atClose = append(d.atClose, f)
}

// close is the owner's: from here on the sockets are its own.
func (d *interrupter) close() (endReason, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.cancelLogin()
	for _, f := range d.atClose {
		f()
	}
	return d.reason, d.detail
}

// bound is the owner's: it limits what is left to do on a socket, the more so
// when the session has been hurried.
func (d *interrupter) bound(c *wire.Wire, limit time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hurried {
		limit = min(limit, backend.HurryLimit)
	}
	_ = c.SetDeadline(time.Now().Add(limit))
}

// hurry shortens the farewell that runs, or that will. It is the one thing
// that reaches a session after its interrupter is closed.
func (d *interrupter) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hurried = true
	if d.closed { // the client's; backend connections have their own Hurry
		_ = d.sockets[0].SetDeadline(time.Now().Add(backend.HurryLimit))
	}
}

// why is the reason so far, "" while the session goes on.
func (d *interrupter) why() endReason {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason
}

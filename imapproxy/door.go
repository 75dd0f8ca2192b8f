package imapproxy

import (
	"context"
	"sync"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// door is how anybody but its owner reaches a session: through it a session
// is cut, never ended. A cut cancels the session's context and wakes whatever
// blocks on its sockets, by a deadline in the past; the owner then ends it.
// Once the owner has shut the door nobody else touches the sockets, so a
// deadline has one owner at any time.
type door struct {
	mu      sync.Mutex // protects all; no I/O under it
	reason  endReason
	detail  error
	shut    bool
	cancel  context.CancelFunc // of the login; nil behind it
	sockets [2]*wire.Wire      // the client's, the backend's once there is one
	atShut  []func()
	hurried bool
	relay   interface{ nudge() } // tells the loop, while the sockets are parked
}

var longAgo = time.Unix(1, 0)

// cut brings the session to its end. The first cause wins.
func (d *door) cut(reason endReason, detail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == "" {
		d.reason, d.detail = reason, detail
	}
	if d.shut {
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
func (d *door) park(r interface{ nudge() }) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.relay = r
	d.cancelLogin()
	return d.reason == ""
}

// cancelLogin ends the login's context; the lock is held.
func (d *door) cancelLogin() {
	if d.cancel != nil {
		d.cancel()
		d.cancel = nil
	}
}

// adopt puts a socket behind the door; a session that has been cut meanwhile
// finds it woken already.
func (d *door) adopt(c *wire.Wire) {
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
func (d *door) wake(c *wire.Wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = c.SetReadDeadline(longAgo)
}

// calm takes the effect of wake back, unless the session has been cut.
func (d *door) calm(c *wire.Wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reason == "" {
		_ = c.SetReadDeadline(time.Time{})
	}
}

// onShut runs f, which must not block, once the door is shut.
func (d *door) onShut(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		f()
		return
	}
	d.atShut = append(d.atShut, f)
}

// close is the owner's: from here on the sockets are its own.
func (d *door) close() (endReason, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	d.cancelLogin()
	for _, f := range d.atShut {
		f()
	}
	return d.reason, d.detail
}

// bound is the owner's: it limits what is left to do on a socket, the more so
// when somebody is in a hurry.
func (d *door) bound(c *wire.Wire, limit time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hurried {
		limit = min(limit, backend.HurryLimit)
	}
	_ = c.SetDeadline(time.Now().Add(limit))
}

// hurry shortens the farewell that runs, or that will. It is the one thing
// that reaches a session behind its door.
func (d *door) hurry() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hurried = true
	if d.shut { // the client's; backend connections have their own Hurry
		_ = d.sockets[0].SetDeadline(time.Now().Add(backend.HurryLimit))
	}
}

// why is the reason so far, "" while the session goes on.
func (d *door) why() endReason {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reason
}

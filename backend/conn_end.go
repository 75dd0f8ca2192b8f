package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// Ending says in one word how a backend connection ended.
type Ending string

// The endings. Only EndReset is the backend's fault: it may leave a descriptor
// open there.
const (
	endNone      Ending = ""           // there was no connection, or it has been ended before
	EndLogout    Ending = "logout"     // LOGOUT was sent and the backend closed
	endEOF       Ending = "eof"        // the backend closed without one
	endPeerReset Ending = "peer_reset" // the backend reset the connection
	EndReset     Ending = "reset"      // the backend was to close and did not within Limits.Logout: reset by us
	EndCut       Ending = "cut"        // reset by us; the backend could not be asked to close, or had no time for it
)

// maxDrained bounds what is read and thrown away while a backend closes: the
// rest of a large message, but not an endless one.
const maxDrained = 32 << 20

// End is the one ending of every backend connection that ever existed. It
// asks the backend to close when the ledger allows that, reads until it has,
// and resets it when it does not: close() can't be taken back, and an orphan
// in FIN_WAIT2 would leave the backend's CLOSE_WAIT out of our reach. There is
// no half-close before: that would turn the reset into a clean EOF and hide
// the fault.
//
// It takes at most Limits.Logout. The caller is the only one left that reads,
// writes or sets deadlines. A second call does nothing.
func (c *Conn) End(ctx context.Context) Ending {
	if c.ended.Swap(true) {
		return endNone
	}
	c.enter(phaseEnding)
	defer c.dialer.Registry.remove(c)
	defer c.rest(ctx)
	defer func() { _ = c.raw.Close() }() // closed already, but after a panic
	e := EndCut
	loop.Of(ctx).Undisturbed(func() { e = c.end(ctx) })
	if c.dialer.Ended != nil {
		c.dialer.Ended(c, e)
	}
	return e
}

// Force takes a connection that has no owner any more out of the world. It is
// only for the leak detector; an owner calls End.
func (c *Conn) Force() Ending {
	if c.ended.Swap(true) {
		return endNone
	}
	defer c.dialer.Registry.remove(c)
	return c.cut(EndCut)
}

// HurryLimit is what is left for an ending once the end is hurried: a
// backend in order has answered LOGOUT by then.
const HurryLimit = 250 * time.Millisecond

// Hurry shortens the ending that runs, or that will. Any goroutine may call it.
func (c *Conn) Hurry() {
	c.hurry.Store(true)
	if t := c.ending.Load(); t != nil {
		t.Loop().Post(loop.Func(func() {
			c.raw.ShortenLimit(t.Loop().In(HurryLimit))
			t.Run()
		}))
	}
}

func (c *Conn) end(ctx context.Context) Ending {
	fault.Point("end.begin")
	c.ending.Store(loop.Of(ctx))
	limit := c.Target.Limits.Logout
	if c.hurry.Load() {
		limit = min(HurryLimit, limit)
	}
	c.raw.SetLimit("backend_ending", c.dialer.Clock.Now().Add(limit))
	if err := c.hold(ctx); err != nil {
		return c.cut(EndCut)
	}
	asked := c.loggedOut() || c.open() && c.askLogout()
	if !asked && !c.saidBye() && c.open() {
		return c.cut(EndCut)
	}
	switch err := c.drain(loop.Of(ctx)); {
	case err == nil:
		return c.closedByPeer(asked)
	case errors.Is(err, os.ErrDeadlineExceeded) && !c.hurry.Load():
		return c.cut(EndReset)
	}
	return c.cut(EndCut)
}

// open reports whether the backend still has its side open: who closed first is
// worth knowing, even where it has not been read yet.
func (c *Conn) open() bool {
	if c.peer != nil {
		return false
	}
	s, err := wire.AskSocket(&c.raw)
	return err != nil || s.State != wire.StateCloseWait && s.State != wire.StateClosed
}

// closedByPeer closes a socket whose other side has closed it. Where a write
// fell short, what is left of it goes with the socket.
func (c *Conn) closedByPeer(asked bool) Ending {
	if c.broken {
		_ = c.raw.SetLinger(0)
	}
	_ = c.raw.Close()
	switch {
	case isReset(c.peer), c.reset:
		return endPeerReset
	case asked:
		return EndLogout
	}
	return endEOF
}

// cut resets: that takes the backend's socket out of CLOSE_WAIT, or out of the
// middle of a message.
func (c *Conn) cut(e Ending) Ending {
	_ = c.raw.SetLinger(0)
	_ = c.raw.Close()
	return e
}

// askLogout sends LOGOUT, after DONE where IDLE runs, in one write.
func (c *Conn) askLogout() bool {
	ok, doneFirst := c.mayLogout()
	if !ok {
		return false
	}
	line := "X9 LOGOUT\r\n"
	if doneFirst {
		line = "DONE\r\n" + line
	}
	_, err := c.Write([]byte(line))
	return err == nil
}

// loggedOut reports whether the client's own LOGOUT has gone to the backend.
func (c *Conn) loggedOut() bool { return c.relay && c.Ledger.LoggedOut() && !c.broken }

// saidBye reports whether the backend is about to close by itself.
func (c *Conn) saidBye() bool { return c.bye || c.relay && c.Ledger.ByeSeen() }

// errStillSends says that the backend has not come to an end within maxDrained.
var errStillSends = errors.New("the backend still sends")

// drain reads and throws away until the backend has closed, which is no error. The
// error is os.ErrDeadlineExceeded when the time runs out before.
func (c *Conn) drain(t *loop.Task) error {
	left := maxDrained
	if c.peer == nil {
		if err := discard(t, c, &left); err != nil {
			return err
		}
	}
	over, ok := c.conn.(*tls.Conn)
	if !ok || isReset(c.peer) {
		return nil
	}
	if s, err := wire.AskSocket(&c.raw); err == nil && s.State == wire.StateEstablished {
		_ = over.CloseWrite() // TLS has ended, TCP has not: the backend may wait for our close_notify
	}
	return discard(t, &c.raw, &left)
}

// discard reads to the end of r.
func discard(t *loop.Task, r io.Reader, left *int) error {
	fault.Point("end.drain")
	n, err := t.Discard(r, *left)
	*left -= n
	switch {
	case err == nil:
		return errStillSends
	case isClosing(err):
		return nil
	}
	return err
}

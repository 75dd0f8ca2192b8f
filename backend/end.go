package backend

import (
	"errors"
	"syscall"
	"time"
)

// Ending says in one word how a backend connection ended.
type Ending string

// The endings. Only EndReset leaves a descriptor at a backend that leaks.
const (
	EndNone      Ending = ""           // there was no connection, or it has been ended before
	EndLogout    Ending = "logout"     // LOGOUT was sent and the backend closed
	EndEOF       Ending = "eof"        // the backend closed without one
	EndPeerReset Ending = "peer_reset" // the backend reset the connection
	EndReset     Ending = "reset"      // the backend did not close, or could not be asked: reset by us
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
func (c *Conn) End() Ending {
	if c.ended.Swap(true) {
		return EndNone
	}
	if c.peer != nil {
		return c.closedByPeer(false)
	}
	_ = c.raw.SetDeadline(time.Now().Add(c.Target.Limits.Logout))
	asked := c.askLogout() || c.relayLoggedOut()
	if asked && c.drain() {
		return c.closedByPeer(true)
	}
	return c.reset()
}

// closedByPeer closes a socket whose other side has closed it.
func (c *Conn) closedByPeer(asked bool) Ending {
	_ = c.raw.Close()
	switch {
	case errors.Is(c.peer, syscall.ECONNRESET):
		return EndPeerReset
	case asked:
		return EndLogout
	}
	return EndEOF
}

// reset takes the backend's socket out of CLOSE_WAIT, or out of the middle of
// a message.
func (c *Conn) reset() Ending {
	_ = c.raw.SetLinger(0)
	_ = c.raw.Close()
	return EndReset
}

// askLogout sends LOGOUT, behind DONE where IDLE runs, in one write.
func (c *Conn) askLogout() bool {
	ok, doneFirst := c.mayLogout()
	if !ok {
		return false
	}
	line := "X9 LOGOUT\r\n"
	if doneFirst {
		line = "DONE\r\n" + line
	}
	_, err := c.conn.Write([]byte(line))
	return err == nil
}

func (c *Conn) relayLoggedOut() bool { return c.relay && c.Ledger.LoggedOut() }

// drain reads and throws away until the backend has closed; false when the
// time or the bytes run out before.
func (c *Conn) drain() bool {
	buf := make([]byte, 16<<10)
	for left := maxDrained; left > 0; {
		n, err := c.Read(buf)
		left -= n
		if err != nil {
			return c.peer != nil
		}
	}
	return false
}

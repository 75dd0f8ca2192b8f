package rig

import (
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const pollEvery = 20 * time.Millisecond

// pollingConn is a connection of a faulty server, which polls whether there is something to read, as with Java's
// InputStream.available(): it never notices that the client has closed. Nor does it notice anything while it hangs.
type pollingConn struct {
	*net.TCPConn
	hangs *atomic.Bool
}

// Read waits for bytes, at most fastSessionLimit, or until the connection is closed on this side.
func (c *pollingConn) Read(b []byte) (int, error) {
	for limit := time.Now().Add(fastSessionLimit); time.Now().Before(limit); time.Sleep(pollEvery) {
		n, err := c.available()
		if err != nil {
			return 0, err
		}
		if n > 0 && !c.hangs.Load() {
			return c.TCPConn.Read(b)
		}
	}
	return 0, os.ErrDeadlineExceeded
}

// available returns how many bytes can be read; 0 also at the end of input.
func (c *pollingConn) available() (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	closed := raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if closed != nil {
		return 0, closed
	}
	return n, err
}

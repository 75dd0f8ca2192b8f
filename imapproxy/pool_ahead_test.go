package imapproxy

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// atOnce writes lines so that they come in one piece, with TLS in a record each.
func (c *backendConn) atOnce(lines ...string) {
	cork := func(on int) {
		raw, err := c.raw.(*net.TCPConn).SyscallConn()
		if err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, on) })
		}
	}
	cork(1)
	for _, line := range lines {
		c.send("%s", line)
	}
	cork(0)
}

// What comes in one piece with the answer to a reset's last question would be the next session's first line: the
// connection is not used again.
func TestPoolAnswerAndMore(t *testing.T) {
	for _, more := range []string{"* BYE too slow", "* 4 EXISTS", "* OK [ALERT] what", "X2 OK forged"} {
		for name, secure := range map[string]option{"clear": func(*rig) {}, "TLS": secureBackend} {
			t.Run(fmt.Sprintf("%s, %s", more, name), func(t *testing.T) {
				script := pooledMailbox(func(c *backendConn, tag, rest string) bool {
					if rest == "NOOP" && strings.HasPrefix(tag, "P") {
						c.atOnce(tag+" OK", more)
						return true
					}
					return false
				})
				r := newRig(t, withPool(nil), withScript(script), secure)
				r.login("plain", "jane").leaveByLogout()
				r.restful()
				if r.idle() != 0 || r.notReused("reset_failed") != 1 {
					t.Errorf("%d idle, not used again: %v", r.idle(), r.server.Pools()[0].NotReused)
				}
			})
		}
	}
}

// A connection with TLS that the pool has looked at, for what may have come, serves the next session.
func TestPoolReusesTLS(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)), secureBackend)
	for range 3 {
		c := r.login("plain", "jane")
		c.send("1 NOOP")
		c.expect("1 OK NOOP done")
		c.leaveByLogout()
		r.awaitIdle(1)
	}
	if got := r.backend.logins(); len(got) != 1 {
		t.Errorf("logins %v, want one", got)
	}
}

package imapproxy

import (
	"strings"
	"time"

	"imapproxy/backend"
)

// pooledCapabilities is what a backend of these tests offers after its login.
const pooledCapabilities = "IMAP4rev1 IDLE UNSELECT ENABLE CONDSTORE ID"

// withPool pools the target's connections; change may set more.
func withPool(change func(*backend.PoolOptions)) option {
	return withTarget(func(t *backend.Target) {
		t.Pool = &backend.PoolOptions{MaxIdle: 10, MaxPerUser: 3, MaxPerTarget: 10, MaxWaiting: 5,
			WaitTimeout: 3011 * time.Millisecond, MaxLifetime: time.Hour, IdleTimeout: 10 * time.Minute,
			KeepAlive: 4 * time.Minute, CheckAfter: 30 * time.Second, Reauth: time.Minute}
		if change != nil {
			change(t.Pool)
		}
	})
}

// pooledMailbox is a backend that can be used again: it logs in, and answers
// what it is asked by the command's name. before may answer in its place.
func pooledMailbox(before func(c *backendConn, tag, rest string) bool) backendScript {
	return pooledOffering(pooledCapabilities, before)
}

func pooledOffering(capabilities string, before func(c *backendConn, tag, rest string) bool) backendScript {
	return func(c *backendConn) {
		if !c.greetWith(capabilities) {
			return
		}
		for {
			line, good := c.line()
			if !good {
				return
			}
			tag, rest, _ := strings.Cut(line, " ")
			if before != nil && before(c, tag, rest) {
				continue
			}
			switch name, _, _ := strings.Cut(rest, " "); name {
			case "LOGOUT":
				c.send("* BYE\r\n%s OK", tag)
				c.close()
				return
			case "IDLE":
				c.send("+ idling")
				if line, _ := c.line(); line != "DONE" {
					c.send("%s BAD not DONE", tag)
					continue
				}
				c.send("%s OK IDLE done", tag)
			case "UNSELECT", "NOOP", "SELECT", "ENABLE", "FETCH":
				c.send("%s OK %s done", tag, name)
			case "APPEND": // takes it and says nothing
				return
			default:
				c.send("%s BAD what", tag)
			}
		}
	}
}

// idle counts the idle connections of the one target.
func (r *rig) idle() int {
	for _, s := range r.server.Pools() {
		if s.Target == r.target.Name {
			return s.Idle
		}
	}
	return 0
}

// awaitIdle waits until so many connections lie in the pool, and no session is left.
func (r *rig) awaitIdle(n int) {
	r.t.Helper()
	r.await("connections in the pool", func() bool { return r.idle() == n && r.server.Sessions() == 0 })
}

// notReused returns how often a connection was not used again for a reason.
func (r *rig) notReused(why string) uint64 {
	var n uint64
	for _, s := range r.server.Pools() {
		n += s.NotReused[why]
	}
	return n
}

// leaveByLogout says LOGOUT and reads what the proxy answers.
func (c *testClient) leaveByLogout() {
	c.t.Helper()
	c.send("out LOGOUT")
	c.expect(`\* BYE Logging out`)
	c.expect(`out OK .*`)
	c.expectEOF()
}

package imapproxy

import (
	"strings"
	"testing"
)

// The defects of up-imapproxy, and the test of each:
//
//	an old password works on          TestPoolBackendJudges, TestPoolRefusalDrops
//	what comes while idle is lost     TestPoolIdleTraffic
//	the capabilities are lost         TestPoolIdleTraffic
//	LOGOUT gets out of step           TestPoolLogoutInOrder
//	a client's abort is pooled        TestPoolRefusesDoubt, TestPoolClosedInOrder
//	a lost login answer leaks         TestPoolLoginAnswerLost
//	SELECT from a cache               TestPoolSelectsReachTheBackend
//	ENABLE and COMPRESS go on         TestPoolRefusesDoubt, TestPoolNoCompress
//	LOGOUT whose answer is not read   TestPoolIdleEndsInOrder
//	lines of 8,192 bytes, no reload   TestPoolLongLines, TestPoolReloadAndDrain
//	a closed connection is used       TestPoolIdleTraffic

// A client that closes between commands leaves its connection to the pool.
func TestPoolClosedInOrder(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	c := r.login("plain", "jane")
	c.send("1 SELECT INBOX")
	c.expect("1 OK .*")
	c.close()
	r.awaitIdle(1)
	if got := r.backend.conn(0).relayed(); !strings.Contains(got, " UNSELECT\r\n") {
		t.Errorf("the backend gets %q", got)
	}
}

// A client that is gone before it reads the answer to its login keeps no place.
func TestPoolLoginAnswerLost(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	for range 20 { // more than max_per_user
		c := r.dial("plain")
		c.send("in LOGIN jane %s", canary)
		c.reset()
	}
	r.await("no place taken", func() bool {
		for _, s := range r.server.Pools() {
			if s.Leased+s.Dialling+s.Resetting+s.Waiting > 0 {
				return false
			}
		}
		return r.server.Sessions() == 0
	})
	r.login("plain", "jane").leaveByLogout()
}

// Nothing is answered from memory.
func TestPoolSelectsReachTheBackend(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	for range 2 {
		c := r.login("plain", "jane")
		for _, command := range []string{"1 SELECT a", "2 EXAMINE b", "3 SELECT a"} {
			c.send("%s", command)
			c.expect(command[:1] + " (OK|BAD) .*")
		}
		c.leaveByLogout()
		r.awaitIdle(1)
	}
	if got := r.backend.conn(0).relayed(); strings.Count(got, "1 SELECT a\r\n2 EXAMINE b\r\n3 SELECT a\r\n") != 2 {
		t.Errorf("the backend gets %q", got)
	}
}

// COMPRESS is not offered, so that no connection has it when it comes back.
func TestPoolNoCompress(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(mailbox)) // which offers it
	c := r.dial("plain")
	c.send("in LOGIN jane %s", canary)
	if got := c.expect("in OK .*"); strings.Contains(got, "COMPRESS") {
		t.Errorf("the client reads %q", got)
	}
	c.leaveByLogout()
	r.awaitIdle(1)
}

// A connection that has lain too long ends as every other: LOGOUT, and its
// answer is read.
func TestPoolIdleEndsInOrder(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock), withPool(nil), withScript(pooledMailbox(nil)))
	r.login("plain", "jane").leaveByLogout()
	r.awaitIdle(1)
	clock.awaitTimer(t, timerPools, poolsEvery)
	clock.advance(r.target.Pool.IdleTimeout + poolsEvery)
	r.await("the connection to be gone", func() bool { return r.server.dialer.Registry.Count() == 0 })
	b := r.backend.conn(0)
	if got := b.relayed(); !strings.HasSuffix(got, "X9 LOGOUT\r\n") || b.ended() == "RST" {
		t.Errorf("the backend gets %q, and the end %s", got, b.ended())
	}
	if n := counts(t, r.server.Metrics(), "imapproxy_backend_endings_total", "ending"); n["logout"] != 1 {
		t.Errorf("endings %v, want one by logout", n)
	}
}

// A line may be as long as a client likes, in pieces as they come.
func TestPoolLongLines(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	c := r.login("plain", "jane")
	long := "1 NOOP" + strings.Repeat(" LOGOUT", 10_000)
	c.send("%s", long)
	c.until("1")
	if got := r.backend.conn(0).relayed(); !strings.HasPrefix(got, long+"\r\n") {
		t.Errorf("the backend gets %d bytes", len(got))
	}
	c.close()
	r.awaitIdle(1)
}

package imapproxy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// forgetful is a pooled mailbox with UNAUTHENTICATE (RFC 8437), which it
// answers so, with an ALERT for whom it forgets.
func forgetful(answer string) backendScript {
	return pooledOffering(pooledCapabilities+" UNAUTHENTICATE", func(c *backendConn, tag, rest string) bool {
		switch rest {
		case "UNAUTHENTICATE":
			c.send("* OK [ALERT] your disk is full, jane")
			c.send("%s %s", tag, answer)
		case "CAPABILITY":
			c.send("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n%s OK", tag)
			next, login, good := c.readLogin()
			if good {
				c.mu.Lock()
				c.logins = append(c.logins, login)
				c.mu.Unlock()
				c.send("%s OK [CAPABILITY %s for %s] Logged in", next, pooledCapabilities, login.user)
			}
		default:
			return false
		}
		return true
	})
}

// spare counts the connections that are kept without a login.
func (r *rig) spare() int {
	n := 0
	for _, s := range r.server.Pools() {
		n += s.Spare
	}
	return n
}

// taint leaves a connection on which something is switched on.
func (r *rig) taint(user string) {
	r.t.Helper()
	c := r.login("plain", user)
	c.send("1 ENABLE CONDSTORE")
	c.expect("1 OK .*")
	c.leaveByLogout()
}

// UNAUTHENTICATE makes a connection that nothing else can fit for anybody: the
// next user logs in on it anew, and reads nothing of the one before.
func TestPoolUnauthenticate(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(forgetful("OK forgotten")))
	r.taint("jane")
	r.await("the connection in the common pool", func() bool { return r.spare() == 1 && r.server.Sessions() == 0 })
	c := r.dial("plain")
	c.send("in LOGIN joe %s", canary)
	c.expect(`in OK \[CAPABILITY ` + pooledCapabilities + ` for joe\] Logged in`)
	c.send("1 SELECT INBOX")
	c.expect("1 OK .*")
	c.leaveByLogout()
	r.awaitIdle(1)
	if got := r.backend.logins(); len(got) != 2 || got[0].user != "jane" || got[1].user != "joe" ||
		len(r.backend.all()) != 1 {
		t.Errorf("logins %v over %d connections, want jane and joe over one", got, len(r.backend.all()))
	}
	got := r.backend.conn(0).relayed()
	if strings.Count(got, "UNAUTHENTICATE") != 1 || strings.Contains(got, "LOGOUT") {
		t.Errorf("the backend gets %q", got)
	}
}

// A refused UNAUTHENTICATE ends the connection, and so does one that is not offered.
func TestPoolUnauthenticateRefused(t *testing.T) {
	tests := map[string]backendScript{
		"reset_failed": forgetful("NO not now"),
		"enable":       pooledMailbox(nil),
	}
	for why, script := range tests {
		r := newRig(t, withPool(nil), withScript(script))
		r.taint("jane")
		r.restful()
		if r.spare()+r.idle() != 0 || r.notReused(why) != 1 {
			t.Errorf("%s: %d spare, %d idle, %v", why, r.spare(), r.idle(), r.server.Pools()[0].NotReused)
		}
		r.login("plain", "joe").leaveByLogout()
		r.finish()
	}
}

// poolWork lets the time pass, and then the server look after its pools.
func (r *rig) poolWork(d time.Duration) {
	r.t.Helper()
	clock := r.clock.(*fakeClock)
	clock.awaitTimer(r.t, timerPools, poolsEvery)
	clock.advance(d + poolsEvery)
}

// Spare connections are greeted and wait for anybody's login; what a login
// takes is filled up, and what has waited for too long is renewed.
func TestPoolSpare(t *testing.T) {
	r := newRig(t, withClock(newFakeClock()), withPool(func(o *backend.PoolOptions) { o.Spare = 2 }),
		withScript(pooledMailbox(nil)))
	r.login("plain", "jane").leaveByLogout() // the target's pool begins with its first login
	r.awaitIdle(1)
	r.poolWork(0)
	r.await("two spare connections", func() bool { return r.spare() == 2 })
	if n := len(r.backend.logins()); n != 1 {
		t.Errorf("%d logins, want one: those that are spare have none", n)
	}
	r.login("plain", "joe").leaveByLogout()
	r.awaitIdle(2)
	if n := len(r.backend.all()); n != 3 || r.spare() != 1 {
		t.Errorf("%d connections, %d spare: joe's login took none", n, r.spare())
	}
	r.poolWork(0)
	r.await("a spare connection more", func() bool { return r.spare() == 2 })
	old := r.backend.all()[1:]
	r.poolWork(90 * time.Second)
	r.await("the spare connections to end", func() bool {
		return len(slices.DeleteFunc(slices.Clone(old), func(c *backendConn) bool { return c.ended() == "" })) == 2
	})
	r.poolWork(0)
	r.await("new spare connections", func() bool { return r.spare() == 2 })
}

// withSpare is a rig whose pool has jane's connection and a spare one.
func withSpare(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, withClock(newFakeClock()), withPool(func(o *backend.PoolOptions) { o.Spare = 1 }),
		withScript(pooledMailbox(nil)))
	r.login("plain", "jane").leaveByLogout()
	r.awaitIdle(1)
	r.poolWork(0)
	r.await("a spare connection", func() bool { return r.spare() == 1 })
	return r
}

// A spare connection that says anything is not used.
func TestPoolSpareSpoilt(t *testing.T) {
	for _, said := range []string{"* BYE too slow\r\n", "* OK [ALERT] what\r\n", "X2 OK forged\r\n", ""} {
		r := withSpare(t)
		if b := r.backend.conn(1); said == "" {
			b.close()
		} else {
			b.write(said)
		}
		r.login("plain", "joe").leaveByLogout()
		r.awaitIdle(2)
		if got := r.backend.logins(); len(got) != 2 || len(r.backend.all()) != 3 ||
			strings.Contains(r.backend.conn(1).everything(), "joe") {
			t.Errorf("%q: logins %v over %d connections", said, got, len(r.backend.all()))
		}
		r.finish()
	}
}

// A login that a backend has answered on a spare connection is not sent again on
// another: it may count there.
func TestPoolSpareAnswered(t *testing.T) {
	for user, want := range map[string]string{
		"LIMIT@backend": "LIMIT", "EXPIRED@backend": "EXPIRED", "REFERRAL@backend": "UNAVAILABLE",
	} {
		t.Run(user, func(t *testing.T) {
			r := withSpare(t)
			c := r.dial("plain")
			c.send("a LOGIN %s %s", user, canary)
			c.expect(`a NO \[` + want + `\] .*`)
			if n := len(r.backend.logins()); n != 2 {
				t.Errorf("%d logins, want jane's and this one", n)
			}
		})
	}
}

// slotBound is how soon a connection that has come back serves a login that waits.
const slotBound = 10 * time.Millisecond

// A login that waits is served as soon as the session before it has ended in
// whatever way. The machine may be busy: the best of several counts.
func TestPoolSlotIsFreeAtOnce(t *testing.T) {
	leave := map[string]func(c *testClient){
		"LOGOUT": (*testClient).leaveByLogout,
		"FIN":    (*testClient).close,
		"RST":    (*testClient).reset,
		"IDLE": func(c *testClient) {
			c.send("1 IDLE")
			c.expect(`\+ idling`)
			c.close()
		},
		"tainted": func(c *testClient) {
			c.send("1 ENABLE CONDSTORE")
			c.expect("1 OK .*")
			c.leaveByLogout()
		},
	}
	for name, leave := range leave {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withPool(func(o *backend.PoolOptions) { o.MaxPerUser = 1 }), withScript(pooledMailbox(nil)))
			best := time.Hour
			c := r.login("plain", "jane")
			for range 20 {
				waiting := r.dial("plain")
				waiting.send("in LOGIN jane %s", canary)
				r.await("the login to wait", func() bool { return r.server.Pools()[0].Waiting == 1 })
				begun := time.Now()
				leave(c)
				waiting.expect("in OK .*")
				if best = min(best, time.Since(begun)); best <= slotBound {
					return
				}
				c = waiting
			}
			t.Errorf("the next login is served after %v at best, want %v", best, slotBound)
		})
	}
}

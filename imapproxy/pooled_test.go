package imapproxy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
)

// A session that ends in order leaves its connection, the next one of the same
// user gets it, and another user does not.
func TestPoolReuse(t *testing.T) {
	for _, listener := range []string{"plain", "tls"} {
		t.Run(listener, func(t *testing.T) {
			r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
			for range 3 {
				c := r.login(listener, "jane")
				c.send("1 SELECT INBOX")
				c.expect("1 OK SELECT done")
				c.leaveByLogout()
				r.awaitIdle(1)
			}
			c := r.login(listener, "joe")
			c.leaveByLogout()
			r.awaitIdle(2)
			if got := r.backend.logins(); len(got) != 2 || got[0].user != "jane" || got[1].user != "joe" {
				t.Errorf("logins %v, want one of jane and one of joe", got)
			}
			got := r.backend.conn(0).relayed()
			if strings.Contains(got, "LOGOUT") || strings.Count(got, "UNSELECT") != 3 ||
				strings.Count(got, "NOOP") != 3 {
				t.Errorf("the backend gets %q", got)
			}
		})
	}
}

// Whatever can't be undone, or is not over, ends the connection.
func TestPoolRefusesDoubt(t *testing.T) {
	tests := []struct {
		name, why string
		act       func(r *rig, c *testClient)
	}{
		{"ENABLE", "enable", func(_ *rig, c *testClient) {
			c.send("1 ENABLE CONDSTORE")
			c.expect("1 OK .*")
			c.leaveByLogout()
		}},
		{"implicit CONDSTORE", "condstore", func(_ *rig, c *testClient) {
			c.send("1 SELECT INBOX (CONDSTORE)")
			c.expect("1 OK .*")
			c.leaveByLogout()
		}},
		{"unknown command", "unknown", func(_ *rig, c *testClient) {
			c.send("1 XWHATEVER")
			c.expect("1 BAD .*")
			c.leaveByLogout()
		}},
		{"reset by the client", "client_aborted", func(_ *rig, c *testClient) { c.reset() }},
		{"in a literal", "unfinished", func(r *rig, c *testClient) {
			c.write("1 APPEND INBOX {5+}\r\nab")
			r.await("the literal at the backend", func() bool {
				return strings.HasSuffix(r.backend.conn(0).relayed(),
					"ab")
			})
			c.close()
		}},
		{"in a line", "unfinished", func(r *rig, c *testClient) {
			c.write("1 SELECT INB")
			r.await("the line at the backend", func() bool {
				return strings.HasSuffix(r.backend.conn(0).relayed(),
					"1 SELECT INB")
			})
			c.close()
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
			test.act(r, r.login("plain", "jane"))
			r.restful()
			if r.idle() != 0 || r.notReused(test.why) != 1 {
				t.Errorf("%d idle, not used again: %v, want %s", r.idle(), r.server.Pools()[0].NotReused, test.why)
			}
		})
	}
}

// Everything in front of LOGOUT is answered first; what follows it is dropped.
func TestPoolLogoutInOrder(t *testing.T) {
	for _, cut := range []int{0, 1, 3, 9, 17, 18, 19, 24, 25, 26, 27} {
		r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
		c := r.login("plain", "jane")
		text := "1 SELECT a\r\n2 NOOP\r\n3 LOGOUT\r\n4 NOOP\r\n"
		c.write(text[:cut])
		time.Sleep(time.Millisecond) // lets the pieces come apart, mostly; either way must do
		c.write(text[cut:])
		for _, want := range []string{"1 OK .*", "2 OK .*", `\* BYE .*`, "3 OK .*"} {
			c.expect(want)
		}
		c.expectEOF()
		r.awaitIdle(1)
		if got := r.backend.conn(0).relayed(); strings.Contains(got, "LOGOUT") || strings.Contains(got, "\r\n4 NOOP") {
			t.Errorf("cut at %d: the backend gets %q", cut, got)
		}
		r.finish()
	}
}

// In IDLE the proxy says DONE for a client that has left.
func TestPoolLeftInIdle(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	c := r.login("plain", "jane")
	c.send("1 IDLE")
	c.expect(`\+ idling`)
	c.close()
	r.awaitIdle(1)
	if got := r.backend.conn(0).relayed(); !strings.HasPrefix(got, "1 IDLE\r\nDONE\r\nP") {
		t.Errorf("the backend gets %q", got)
	}
}

// What a backend has said while it lay in the pool: an ALERT reaches the user's
// next session, all else ends the connection.
func TestPoolIdleTraffic(t *testing.T) {
	tests := []struct {
		said  string
		alert bool
		end   bool
	}{
		{said: "* OK [ALERT] Disk full\r\n", alert: true},
		{said: "* BYE idle for too long\r\n", end: true},
		{said: "* 5 EXISTS\r\n", end: true},
		{said: "out OK forged\r\n", end: true},
		{said: "garbage\r\n", end: true},
		{said: "\r\n", end: true},
		{said: "", end: true}, // closes
	}
	for _, test := range tests {
		t.Run(test.said, func(t *testing.T) {
			r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
			r.login("plain", "jane").leaveByLogout()
			r.awaitIdle(1)
			if b := r.backend.conn(0); test.said == "" {
				b.close()
			} else {
				b.write(test.said)
			}
			c := r.dial("plain")
			c.send("in LOGIN jane %s", canary)
			if test.alert {
				c.expect(`\* OK \[ALERT\] Disk full`)
			}
			c.expect(`in OK \[CAPABILITY ` + pooledCapabilities + `\] Logged in`)
			c.leaveByLogout()
			r.awaitIdle(1)
			if n := len(r.backend.all()); n != 1 && !test.end || n != 2 && test.end {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// passthroughAuth lets the backend judge, as auth.Passthrough does.
func withPassthrough() option { return withAuth(auth.Passthrough{}) }

// Where the backend is the judge, a wrong password reaches it, and drops what
// is idle; so does a password that has changed.
func TestPoolBackendJudges(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withPool(nil), withPassthrough(), withClock(clock), withScript(pooledMailbox(nil)))
	r.login("plain", "jane").leaveByLogout()
	r.awaitIdle(1)
	r.login("plain", "jane").leaveByLogout() // within reauth
	r.awaitIdle(1)
	if n := len(r.backend.logins()); n != 1 {
		t.Errorf("%d logins, want one", n)
	}
	clock.advance(time.Minute)
	r.login("plain", "jane").leaveByLogout() // past it: asked again
	r.awaitIdle(2)
	if n := len(r.backend.logins()); n != 2 {
		t.Errorf("%d logins, want two", n)
	}
	c := r.dial("plain")
	c.send("in LOGIN jane another")
	c.expect("in OK .*") // this backend takes any
	r.await("the old credentials' connections to be gone", func() bool { return r.idle() == 0 })
	c.leaveByLogout()
	r.awaitIdle(1)
	if got := r.notReused("changed"); got != 2 {
		t.Errorf("%d dropped as changed, want 2", got)
	}
}

// A refusal of the user's login, by whomever, drops their idle connections.
func TestPoolRefusalDrops(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	r.login("plain", "jane").leaveByLogout()
	r.login("plain", "joe").leaveByLogout()
	r.awaitIdle(2)
	c := r.dial("plain")
	c.send("in LOGIN jane wrong")
	c.expect("in NO .*")
	r.await("jane's connection to be gone", func() bool { return r.idle() == 1 })
	c.send("out LOGOUT")
	if got := r.notReused(backend.WhyRefused); got != 1 {
		t.Errorf("%d dropped, want 1", got)
	}
}

// Kick ends what is idle of the user at once: the clock stands still.
func TestPoolKick(t *testing.T) {
	r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
	r.login("plain", "jane").leaveByLogout()
	r.awaitIdle(1)
	r.server.Kick(func(i SessionInfo) bool { return i.User == "jane" })
	r.restful()
	if r.idle() != 0 {
		t.Errorf("%d idle", r.idle())
	}
	if got := r.backend.conn(0).relayed(); !strings.HasSuffix(got, "X9 LOGOUT\r\n") {
		t.Errorf("the backend gets %q, want LOGOUT", got)
	}
}

// A reload and a drain end what is idle with LOGOUT.
func TestPoolReloadAndDrain(t *testing.T) {
	for _, how := range []string{"reload", "drain"} {
		r := newRig(t, withPool(nil), withScript(pooledMailbox(nil)))
		r.login("plain", "jane").leaveByLogout()
		r.awaitIdle(1)
		if how == "reload" {
			next := *r.settings
			r.server.Reload(&next)
		} else if err := r.server.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		r.restful()
		if got := r.backend.conn(0).relayed(); !strings.HasSuffix(got, "X9 LOGOUT\r\n") {
			t.Errorf("%s: the backend gets %q, want LOGOUT", how, got)
		}
		r.finish()
	}
}

// Past max_per_user a login waits for its turn, has the next free connection at
// once, and is refused when none comes.
func TestPoolWait(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock), withPool(func(o *backend.PoolOptions) { o.MaxPerUser = 1 }),
		withScript(pooledMailbox(nil)))
	first := r.login("plain", "jane")
	second := r.dial("plain")
	second.send("in LOGIN jane %s", canary)
	clock.awaitTimer(t, timerPoolWait, r.target.Pool.WaitTimeout)
	first.leaveByLogout()
	second.expect("in OK .*")
	third := r.dial("plain")
	third.send("in LOGIN jane %s", canary)
	clock.awaitTimer(t, timerPoolWait, r.target.Pool.WaitTimeout)
	clock.advance(r.target.Pool.WaitTimeout)
	third.expect(`in NO \[UNAVAILABLE\] .*`)
	if text := r.log.text(); !strings.Contains(text,
		"target one: wait: pool: none became free within the time to wait") {
		t.Errorf("the log does not say why\n%s", text)
	}
	if s := r.server.Pools()[0]; s.Waits != 2 || s.WaitTimeouts != 1 || s.Hits != 1 || s.Misses != 1 {
		t.Errorf("%+v", s)
	}
	third.send("out LOGOUT")
	second.leaveByLogout()
	r.awaitIdle(1)
}

// The pool serves the clients that it is for, by any of three signs.
func TestPoolClients(t *testing.T) {
	tests := []struct {
		name   string
		change func(*backend.PoolOptions)
		id     string
		served bool
	}{
		{"everybody", nil, "", true},
		{"listener", func(o *backend.PoolOptions) { o.Listeners = []string{"plain"} }, "", true},
		{"other listener", func(o *backend.PoolOptions) { o.Listeners = []string{"tls"} }, "", false},
		{"name", func(o *backend.PoolOptions) { o.ClientNames = []string{"roundcube"} }, "Roundcube", true},
		{"other name", func(o *backend.PoolOptions) { o.ClientNames = []string{"roundcube"} }, "Phone", false},
		{"no name", func(o *backend.PoolOptions) { o.ClientNames = []string{"roundcube"} }, "", false},
		{"network", func(o *backend.PoolOptions) { o.Networks = prefixes("127.0.0.0/8") }, "", true},
		{"other network", func(o *backend.PoolOptions) { o.Networks = prefixes("10.0.0.0/8") }, "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, withPool(test.change), withScript(pooledMailbox(nil)))
			c := r.dial("plain")
			if test.id != "" {
				c.send(`1 ID ("name" "%s")`, test.id)
				c.until("1")
			}
			c.send("in LOGIN jane %s", canary)
			c.expect("in OK .*")
			c.send("out LOGOUT")
			lines := c.until("out")
			if ours := slices.Contains(lines, "* BYE Logging out"); ours != test.served {
				t.Errorf("the client reads %q", lines)
			}
			c.expectEOF()
		})
	}
}

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

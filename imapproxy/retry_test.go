package imapproxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// TestRetry refuses three logins by three mechanisms in all 27 orders, each
// for another user and by another party, and grants the fourth. No state is
// carried from one to the next (CVE-2026-27651).
func TestRetry(t *testing.T) {
	ways := []int{0, 3, 4} // LOGIN, PLAIN, the mechanism LOGIN
	r := newRig(t, withLimits(func(l *Limits) { l.FailedLogins = 9 }))
	granted := 0
	for order := range 27 {
		c := r.dial("plain")
		for i, refused := range []credential{{"", "first", "wrong"}, {"", "no", canary}, {"", "down", canary}} {
			way := loginWays[ways[order/[]int{1, 3, 9}[i]%3]]
			tag := fmt.Sprint("r", i)
			way.send(c, tag, refused)
			c.expect(tag + " NO .*")
		}
		last := loginWays[ways[order%3]]
		last.send(c, "good", credential{"", fmt.Sprint("user", order), canary})
		c.expect("good OK .*")
		c.send("n NOOP")
		c.expect("n OK NOOP completed")
		c.close()
		l := r.endsWith(c, endClientClosed)
		if want := fmt.Sprint("user", order); l.str("user") != want || l["error"] != nil {
			t.Errorf("order %d: the log has the user %q and the error %v", order, l.str("user"), l["error"])
		}
		if q := r.fakeAuth().last.Load(); q.Attempt != 4 || q.AuthzID != "" || q.User != fmt.Sprint("user", order) {
			t.Errorf("order %d: the last request is attempt %d, %q for %q", order, q.Attempt, q.User, q.AuthzID)
		}
		granted++
	}
	r.restful()
	for _, message := range []string{"login refused", "login not possible"} {
		for _, l := range r.log.lines(t, message) {
			if asked := l.str("user") == "no"; (l.str("backend") != "") != asked {
				t.Errorf("%s for %q: the log has the backend %q", message, l.str("user"), l.str("backend"))
			}
		}
	}
	var users []string
	for _, l := range r.backend.logins() {
		if l.secret != canary || l.authz != "" {
			t.Errorf("the backend sees %+v", l)
		}
		if strings.HasPrefix(l.user, "user") {
			users = append(users, l.user)
		} else if l.user != "no" {
			t.Errorf("the backend sees the user %q", l.user)
		}
	}
	slices.Sort(users)
	if len(slices.Compact(users)) != granted {
		t.Errorf("%d users have reached the backend, want %d", len(users), granted)
	}
}

// TestRetryAfterSlowEnding logs in while the backend of a refused login does
// not close. The end line tells of the last login's connection.
func TestRetryAfterSlowEnding(t *testing.T) {
	r := newRig(t, withScript(func(c *backendConn) {
		if c.number > 0 {
			mailbox(c)
			return
		}
		c.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello")
		tag, _, _ := c.readLogin()
		c.send("%s NO refused", tag) // and no answer to LOGOUT
	}), withTarget(func(t *backend.Target) { t.Limits.Logout = 500 * time.Millisecond }))
	c := r.dial("plain")
	c.send("a LOGIN joe %s", canary)
	c.expect("a NO .*")
	c.send("b LOGIN joe %s", canary)
	c.expect("b OK .*")
	c.send("c LOGOUT")
	c.until("c")
	c.expectEOF()
	if l := r.endsWith(c, endLogout); l.str("backend_end") != string(backend.EndLogout) {
		t.Errorf("the log says backend_end %q for a connection that ended in order", l.str("backend_end"))
	}
	r.await("the first backend connection to end", func() bool { return r.backend.conn(0).ended() != "" })
	if e := r.backend.conn(0).ended(); e != "RST" {
		t.Errorf("the first backend connection ended by %s: nothing was slow", e)
	}
}

// TestEndLineOfLastLogin refuses a login here after one that a backend refused:
// the end line names no backend for a user that has reached none.
func TestEndLineOfLastLogin(t *testing.T) {
	r := newRig(t)
	c := r.dial("plain")
	c.send("a LOGIN no %s", canary)
	c.expect("a NO .*")
	c.send("b LOGIN joe wrong")
	c.expect("b NO .*")
	c.close()
	if l := r.endsWith(c, endClientClosed); l.str("backend") != "" || l.str("backend_end") != "" {
		t.Errorf("the log has the backend %q, ended by %q", l.str("backend"), l.str("backend_end"))
	}
}

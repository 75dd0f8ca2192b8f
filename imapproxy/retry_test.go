package imapproxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
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

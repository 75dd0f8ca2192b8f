package imapproxy

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// leaving is how a client leaves, and the reason that the log must give.
var leaving = []struct {
	name     string
	listener string
	leave    func(c *testClient)
	reason   endReason
}{
	{"FIN", "plain", (*testClient).close, endClientClosed},
	{"RST", "plain", (*testClient).reset, endClientAborted},
	{"close_notify", "tls", (*testClient).close, endClientClosed},
	{"FIN without close_notify", "tls", func(c *testClient) { _ = c.raw.Close() }, endClientAborted},
}

// TestLeaving leaves while the proxy waits for another party. The session ends
// at once, and whatever was being opened for it is gone.
func TestLeaving(t *testing.T) {
	for _, phase := range []struct {
		name   string
		user   string
		option option
		there  func(r *rig) bool
	}{
		{"authenticator", "slow", withScript(mailbox), func(r *rig) bool { return r.fakeAuth().waiting.Load() == 1 }},
		{"router", "slow-route", withScript(mailbox), func(r *rig) bool {
			return r.router.(*fakeRouter).waiting.Load() == 1
		}},
		{"resolver", "joe", blockingResolver, func(r *rig) bool { return r.resolving.Load() == 1 }},
		{"backend's greeting", "joe", withScript(func(*backendConn) {}),
			func(r *rig) bool { return len(r.backend.all()) == 1 }},
		{"backend's CAPABILITY", "joe", withScript(func(c *backendConn) { c.send("* OK hello") }),
			backendHears("CAPABILITY")},
		{"backend's login", "hang", withScript(mailbox), func(r *rig) bool { return len(r.backend.logins()) == 1 }},
		{"backend's literal", "joe", withScript(func(c *backendConn) { c.send("* OK [CAPABILITY IMAP4rev1] hello") }),
			backendHears("LOGIN")},
	} {
		for _, way := range leaving {
			t.Run(phase.name+" "+way.name, func(t *testing.T) {
				r := newRig(t, phase.option)
				c := r.dial(way.listener)
				c.send("a LOGIN %s %s", phase.user, canary)
				r.await("the phase", func() bool { return phase.there(r) })
				way.leave(c)
				r.endsWith(c, way.reason)
				r.restful()
				if slices.ContainsFunc(r.backend.all(), func(b *backendConn) bool { return b.ended() == "own" }) {
					t.Error("the backend's connection was not ended by the proxy")
				}
			})
		}
	}
}

// blockingResolver never finds the backend's address.
func blockingResolver(r *rig) {
	r.target.Addresses = []string{"mail.example.test:143"}
	r.resolve = func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		r.resolving.Add(1)
		defer r.resolving.Add(-1)
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

func backendHears(word string) func(r *rig) bool {
	return func(r *rig) bool {
		conns := r.backend.all()
		return len(conns) == 1 && strings.Contains(conns[0].everything(), word)
	}
}

package imapproxy

import (
	"net"
	"strings"
	"testing"
)

// TestPanic panics with the password as the value, in the authenticator, in
// the router and in the relay. That session ends with BYE, a reason and a
// place; the others do not notice.
func TestPanic(t *testing.T) {
	for _, test := range []struct {
		name string
		boom func(r *rig, clock *fakeClock) *testClient
		at   string // a function on the stack
	}{
		{"authenticator", func(r *rig, _ *fakeClock) *testClient {
			c := r.dial("plain")
			c.send("a LOGIN explode %s", canary)
			return c
		}, "Authenticate"},
		{"authenticator in SASL", func(r *rig, _ *fakeClock) *testClient {
			c := r.dial("tls")
			c.send("a AUTHENTICATE PLAIN %s", coded("\x00explode\x00"+canary))
			return c
		}, "Authenticate"},
		{"router", func(r *rig, _ *fakeClock) *testClient {
			c := r.dial("plain")
			c.send("a LOGIN explode-route %s", canary)
			return c
		}, "Route"},
		{"relay", func(r *rig, _ *fakeClock) *testClient {
			c := r.login("plain", "ann")
			ses := r.sessionOf(c)
			ses.loop.do(func() { ses.client.conn = explosive{ses.client.conn} })
			c.send("a NOOP")
			return c
		}, "relay"},
	} {
		t.Run(test.name, func(t *testing.T) {
			clock := newFakeClock()
			r := newRig(t, withClock(clock))
			other := r.login("tls", "joe")
			c := test.boom(r, clock)
			c.expectBye(`\[UNAVAILABLE\] Internal error; connect again`)
			l := r.endsWith(c, endPanic)
			if !strings.Contains(l.str("error"), "panic of type string") || !strings.Contains(l.str("error"), test.at) {
				t.Errorf("the log says %q, want the type of the panic and %s", l.str("error"), test.at)
			}
			if l.str("level") != "error" {
				t.Errorf("the level is %q", l.str("level"))
			}
			other.send("b NOOP")
			other.expect("b OK .*")
			other.send("c LOGOUT")
			other.expect(`\* BYE .*`)
			other.expect("c OK .*")
			other.expectEOF()
			r.endsWith(other, endLogout)
			r.restful()
			for _, b := range r.backend.all() {
				if !strings.HasSuffix(b.relayed(), "LOGOUT\r\n") && b.ended() != "RST" {
					t.Errorf("the backend gets %q and then %s", b.relayed(), b.ended())
				}
			}
		})
	}
}

// explosive panics with the canary when it is read from.
type explosive struct{ net.Conn }

// Read implements net.Conn.
func (explosive) Read([]byte) (int, error) { panic(canary) }

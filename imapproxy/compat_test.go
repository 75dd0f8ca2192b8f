package imapproxy

import (
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// TestCompatPassesErrors passes a backend's refusal as it is, with its whole response
// code, but not words that anyone on the way may have written.
func TestCompatPassesErrors(t *testing.T) {
	const referral = "NO [REFERRAL imap://joe;AUTH=*@mail9.example.org/] moved"
	noVerify := withTarget(func(t *backend.Target) {
		t.TLS, t.TLSConfig = backend.TLSImplicit, &tls.Config{InsecureSkipVerify: true}
	})
	overTLS := func(r *rig) { r.backendTLS = true }
	for name, test := range map[string]struct {
		options []option
		answer  string
		want    string
	}{
		"referral": {nil, referral, "a " + referral},
		"of the auth server's password": {[]option{withAuth(issued{})}, "NO [AUTHENTICATIONFAILED] call",
			"a NO [AUTHENTICATIONFAILED] call"},
		"alert": {nil, "NO [ALERT] call", "a NO [ALERT] call"},
		"unknown code": {nil, "NO [WEBALERT https://example.org/?a=%5D b] call",
			"a NO [WEBALERT https://example.org/?a=%5D b] call"},
		"not verified": {[]option{noVerify, overTLS}, "NO [ALERT] call", "a NO Login refused by the mail server"},
		"not verified, a code": {[]option{noVerify, overTLS}, "NO [EXPIRED] call",
			"a NO [EXPIRED] The password has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, append(test.options, withAnswers("<tag> "+test.answer))...)
			r.settings.Listeners["plain"].Compat = &Compat{ClientIdle: time.Hour, PassBackendErrors: true}
			c := r.connect("plain")
			c.expect(`\* OK IMAP4 ready`)
			c.send("a LOGIN joe %s", canary)
			c.expectLine(test.want)
			c.expectEOF()
		})
	}
}

// TestCompatLoginFailed closes after one login that came to nothing, as nginx does:
// the reason is not that there were too many. A client that the auth server lets
// wait may stay.
func TestCompatLoginFailed(t *testing.T) {
	for _, test := range []struct{ user, answer string }{
		{"joe", "a NO Invalid login or password"},
		{"EXPIRED@deny", "a NO .*"},
		{"down", `\* BAD internal server error`},
		{"no", `\* BAD internal server error`},     // the backend refuses
		{"hangup", `\* BAD internal server error`}, // the backend closes
		{"wait", "a NO Invalid login or password"},
	} {
		t.Run(test.user, func(t *testing.T) {
			clock := newFakeClock()
			r := newRig(t, withClock(clock), withScript(func(c *backendConn) {
				if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
					c.close()
				}
			}))
			r.settings.Listeners["plain"].Compat = &Compat{ClientIdle: time.Hour}
			c := r.connect("plain")
			c.expect(`\* OK IMAP4 ready`)
			secret := canary
			if test.user == "joe" {
				secret = "wrong"
			}
			if test.user == "hangup" {
				r.backend.stop()
			}
			c.send("a LOGIN %s %s", test.user, secret)
			if test.user == "wait" {
				clock.awaitTimer(t, timerRefusal, 3*time.Second)
				clock.advance(3 * time.Second)
			}
			c.expect(test.answer)
			if test.user == "wait" {
				c.send("b LOGOUT")
				c.expect(`\* BYE`)
				c.expect("b OK .*")
				c.expectEOF()
				r.endsWith(c, endLogout)
				return
			}
			c.expectEOF()
			r.endsWith(c, endLoginFailed)
		})
	}
}

// TestCompatNamesTheServer: the line about a broken PROXY header names our own address, also where the listener has
// many.
func TestCompatNamesTheServer(t *testing.T) {
	r := newRig(t)
	r.settings.Listeners["any"] = &Listener{Name: "any", Compat: &Compat{}, Proxy: ProxyHeader{Required: true,
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	r.listen = func(string) (net.Listener, string) {
		ln, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), addrPort(ln.Addr()).Port()).String()
	}
	c := r.connectRaw("any")
	c.write("GET / HTTP/1.1\r\n\r\n")
	c.expectEOF()
	r.endsWith(c, endProxyHeader)
	r.restful()
	if text := r.log.text(); !strings.Contains(text, "broken header") ||
		!strings.Contains(text, "server: "+r.address("any")) {
		t.Errorf("the log does not name the server %s:\n%s", r.address("any"), text)
	}
}

package imapproxy

import (
	"crypto/tls"
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

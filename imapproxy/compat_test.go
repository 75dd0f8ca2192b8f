package imapproxy

import (
	"testing"
	"time"
)

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

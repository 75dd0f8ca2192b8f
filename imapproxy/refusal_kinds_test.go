package imapproxy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/login"
)

// TestFailureTexts words each way in which a backend can't be used as what it is.
func TestFailureTexts(t *testing.T) {
	for kind, want := range map[backend.Kind]string{
		backend.KindPool: noRoom, backend.KindLocal: noResources, backend.KindConfig: noServiceText,
		backend.KindLoop: noServiceText, backend.KindCredentials: notPossible, backend.KindReferral: notPossible,
		backend.KindTimeout: noBackend, "backed_off": noBackend, "connect": noBackend,
	} {
		if got := failureText(&backend.Error{Kind: kind, Err: errors.New("x")}); got != want {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
}

// TestRefusingBackendIsBackedOff says of a backend that takes no one what it said, also
// while it is not tried: it can be reached.
func TestRefusingBackendIsBackedOff(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock), withTexts(login.TextsAll), withScript(func(c *backendConn) {
		c.send("* BYE [UNAVAILABLE] Down for maintenance")
		c.close()
	}))
	c := r.dial("plain")
	const tries = 7
	for range tries {
		c.send("a LOGIN joe %s", canary)
		c.expectLine("a NO [UNAVAILABLE] Down for maintenance")
	}
	if n := len(r.backend.all()); n >= tries {
		t.Errorf("%d connections, want a pause", n)
	}
	l := r.log.lines(t, "login not possible")
	if last := l[len(l)-1]; last.str("cause") != string(causeBackend) || last.str("detail") != "backed_off" ||
		!strings.Contains(last.str("error"), "maintenance") {
		t.Errorf("the log has %v", last)
	}
	clock.advance(10 * time.Second)
	c.send("a LOGIN joe %s", canary)
	c.expectLine("a NO [UNAVAILABLE] Down for maintenance")
}

// TestNothingWasChecked keeps a code that judges credentials from clients whose
// password the backend has not got.
func TestNothingWasChecked(t *testing.T) {
	for name, script := range map[string]backendScript{
		"greeting": func(c *backendConn) { c.send("* BYE [AUTHENTICATIONFAILED] blocked"); c.close() },
		"method": func(c *backendConn) {
			c.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGINDISABLED] hello")
			line, _ := c.line()
			tag, _, _ := strings.Cut(line, " ")
			c.send("%s NO [AUTHENTICATIONFAILED] not this way", tag)
			c.untilLogout()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withScript(script))
			c := r.dial("plain")
			c.send("a LOGIN joe %s", canary)
			c.expectLine("a " + noLogins)
			if len(r.log.lines(t, "login refused")) > 0 {
				t.Errorf("counted as a failed login\n%s", r.log.text())
			}
		})
	}
}

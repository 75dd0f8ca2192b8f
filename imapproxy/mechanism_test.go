package imapproxy

import (
	"strings"
	"testing"
	"time"
)

// refusesPlain offers AUTHENTICATE PLAIN and does not accept it.
func refusesPlain(c *backendConn) {
	c.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello")
	head, err := c.in.Peek(len("X2 AUTH"))
	if err != nil {
		return
	}
	if strings.HasSuffix(string(head), "AUTH") {
		line, _ := c.line()
		tag, _, _ := strings.Cut(line, " ")
		c.send("%s NO unsupported mechanism", tag)
	}
	tag, _, good := c.readLogin()
	if !good {
		return
	}
	c.send("%s OK [CAPABILITY IMAP4rev1] in", tag)
	c.serve()
}

// TestMechanismIsRemembered asks a backend that does not accept what it offers once
// in ten minutes, and says so once.
func TestMechanismIsRemembered(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withScript(refusesPlain), withClock(clock))
	asked := func() (n int) {
		for _, c := range r.backend.all() {
			n += strings.Count(c.everything(), "AUTHENTICATE")
		}
		return n
	}
	for i, want := range []int{1, 1, 2} {
		if i == 2 {
			clock.advance(11 * time.Minute)
		}
		c := r.dial("plain")
		c.send("a LOGIN joe %s", canary)
		c.expect("a OK .*")
		if n := asked(); n != want {
			t.Errorf("login %d: AUTHENTICATE was sent %d times, want %d", i+1, n, want)
		}
		c.close()
	}
	said := r.log.lines(t, notAccepted)
	if len(said) != 2 || said[0].str("mechanism") != "AUTHENTICATE PLAIN is not accepted, LOGIN with literals is" {
		t.Errorf("the log says %v, want it once in ten minutes", said)
	}
}

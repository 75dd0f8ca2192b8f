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
	for i, want := range []int{1, 1, 1, 2} {
		switch i {
		case 2:
			clock.advance(10 * time.Minute)
		case 3:
			clock.advance(time.Millisecond)
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
	const want = "AUTHENTICATE PLAIN is not accepted; LOGIN with literals is tried"
	if len(said) != 2 || said[0].str("mechanism") != want {
		t.Errorf("the log says %v, want it once in ten minutes", said)
	}
}

// closesAfterLiteral takes quoted strings in LOGIN, and closes where a literal comes, as DavMail does.
func closesAfterLiteral(c *backendConn) { c.takesNoLiteral("") }

// byeAfterLiteral says so before.
func byeAfterLiteral(c *backendConn) { c.takesNoLiteral("\r\n* BYE too many errors") }

func (c *backendConn) takesNoLiteral(more string) {
	c.send("* OK [CAPABILITY IMAP4rev1 UNSELECT] hello")
	line, ok := c.line()
	if !ok {
		return
	}
	tag, command, _ := strings.Cut(line, " ")
	if !strings.HasPrefix(command, `LOGIN "`) {
		c.send("%s BAD unable to handle request: Invalid credentials%s", tag, more)
		c.close()
		return
	}
	c.send("%s OK [CAPABILITY IMAP4rev1 UNSELECT] in", tag)
	c.serve()
}

// TestNextMethodOnNewConnection logs in where the backend closes after a method that
// it does not accept, and goes there directly afterwards.
func TestNextMethodOnNewConnection(t *testing.T) {
	for name, options := range map[string][]option{
		"new connection": {withScript(closesAfterLiteral)},
		"BYE":            {withScript(byeAfterLiteral)},
		"pool":           {withScript(closesAfterLiteral), withPool(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, options...)
			for i, user := range []string{"joe", "ann"} { // the pool has joe's connection
				want := i + 2
				c := r.dial("plain")
				c.send("a LOGIN %s %s", user, canary)
				c.expect("a OK .*")
				if n := len(r.backend.all()); n != want {
					t.Errorf("the backend got %d connections, want %d", n, want)
				}
				c.close()
			}
			if n := len(r.log.lines(t, notAccepted)); n != 1 {
				t.Errorf("the log says it %d times, want once", n)
			}
		})
	}
}

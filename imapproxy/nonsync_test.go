package imapproxy

import (
	"strings"
	"testing"
)

// badLiteral reads the literal of any CREATE and answers BAD; the rest is a mailbox's.
func badLiteral(c *backendConn, tag, rest string) bool {
	if !strings.HasPrefix(rest, "CREATE ") {
		return false
	}
	if c.literals(rest) {
		c.send("%s BAD no such name", tag)
	}
	return true
}

// TestBadToLiteral has a backend answer BAD to a whole command with a {n+} literal.
// One that offers LITERAL+ has read it (RFC 7888 section 4): the session ends as any
// does, and the pool uses the connection again. Of one that does not offer it nothing
// is known.
func TestBadToLiteral(t *testing.T) {
	for _, test := range []struct {
		offers string
		sure   bool
	}{
		{"LITERAL+", true}, {"LITERAL-", true}, {"IMAP4rev2", true}, {"NAMESPACE", false},
	} {
		script := pooledOffering(pooledCapabilities+" "+test.offers, badLiteral)
		t.Run(test.offers, func(t *testing.T) {
			r := newRig(t, withScript(script))
			c := r.login("plain", "jane")
			c.write("1 CREATE {3+}\r\na&b\r\n")
			c.expect("1 BAD .*")
			c.send("2 NOOP")
			c.expect("2 OK .*")
			reason, end := endLogout, "logout"
			if test.sure {
				c.send("3 LOGOUT")
				c.expect(`\* BYE`)
				c.expect("3 OK")
				c.expectEOF()
			} else {
				reason, end = endClientClosed, "cut"
				c.close()
			}
			if l := r.endsWith(c, reason); l.str("backend_end") != end {
				t.Errorf("the backend's connection ended as %q, want %q", l.str("backend_end"), end)
			}
			r.restful()
		})
		t.Run(test.offers+" pool", func(t *testing.T) {
			r := newRig(t, withPool(nil), withScript(script))
			c := r.login("plain", "jane")
			c.write("1 CREATE {3+}\r\na&b\r\n")
			c.expect("1 BAD .*")
			if test.sure {
				c.leaveByLogout()
				r.awaitIdle(1)
				return
			}
			c.close()
			r.restful()
			if r.idle() != 0 || r.notReused("doubt") != 1 {
				t.Errorf("%d idle, not used again: %v", r.idle(), r.server.Pools()[0].NotReused)
			}
		})
	}
}

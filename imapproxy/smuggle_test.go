package imapproxy

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"imapproxy/auth"
)

// credential is what a client tries to log in with.
type credential = backendLogin

// loginWays are all ways to send a credential. Those that have no place for
// an authorization identity are not asked to send one.
var loginWays = []struct {
	name  string
	authz bool
	send  func(c *testClient, tag string, cr credential)
}{
	{"quoted", false, func(c *testClient, tag string, cr credential) {
		c.send("%s LOGIN %s %s", tag, quote(cr.user), quote(cr.secret))
	}},
	{"literal", false, func(c *testClient, tag string, cr credential) {
		c.send("%s LOGIN {%d}", tag, len(cr.user))
		c.expect(`\+ .*`)
		c.send("%s {%d}", cr.user, len(cr.secret))
		c.expect(`\+ .*`)
		c.write(cr.secret + "\r\n")
	}},
	{"literal+", false, func(c *testClient, tag string, cr credential) {
		c.write(fmt.Sprintf("%s LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n", tag, len(cr.user), cr.user, len(cr.secret),
			cr.secret))
	}},
	{"PLAIN", true, func(c *testClient, tag string, cr credential) {
		c.send("%s AUTHENTICATE PLAIN %s", tag, coded(cr.authz+"\x00"+cr.user+"\x00"+cr.secret))
	}},
	{"mechanism LOGIN", false, func(c *testClient, tag string, cr credential) {
		c.send("%s AUTHENTICATE LOGIN %s", tag, coded(cr.user))
		c.expect(`\+ .*`)
		c.send("%s", coded(cr.secret))
	}},
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func coded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestSmuggling puts each of the 256 byte values into user, password and
// authorization identity, by every way. The backend sees one login with these
// very bytes, or none, and never another line.
func TestSmuggling(t *testing.T) {
	notQuick(t)
	for name, script := range map[string]backendScript{"AUTHENTICATE": mailbox, "LOGIN": loginOnly} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withAuth(auth.Passthrough{}), withScript(script),
				withLimits(func(l *Limits) { l.BadCommands, l.FailedLogins, l.Sessions = 1e6, 1e6, 1e6 }))
			s := smuggler{r: r}
			for b := range 256 {
				x := string([]byte{'x', byte(b), 'y'})
				for _, way := range loginWays {
					s.try(way.name, way.send, credential{"", x, canary}, byte(b))
					s.try(way.name, way.send, credential{"", "joe", canary + x}, byte(b))
					if way.authz && name == "AUTHENTICATE" { // LOGIN has no place for it
						s.try(way.name, way.send, credential{x, "joe", canary}, byte(b))
					}
				}
			}
			s.done()
		})
	}
}

// smuggler keeps a connection for as long as its logins are refused.
type smuggler struct {
	r    *rig
	c    *testClient
	n    int
	want []backendLogin
}

func (s *smuggler) try(way string, send func(*testClient, string, credential), cr credential, b byte) {
	t := s.r.t
	t.Helper()
	if s.c == nil {
		s.c = s.r.dial("plain")
	}
	s.n++
	tag := fmt.Sprintf("t%d", s.n)
	send(s.c, tag, cr)
	s.c.send("z%d NOOP", s.n)
	answers := s.c.until(fmt.Sprintf("z%d", s.n))
	granted := slices.ContainsFunc(answers, func(l string) bool { return strings.HasPrefix(l, tag+" OK") })
	if allowed := b >= 0x20 && b != 0x7F; granted != allowed {
		t.Errorf("%s, %+q, byte %#x: granted %v\n%q", way, cr.user, b, granted, answers)
	}
	if !granted {
		return
	}
	s.want = append(s.want, cr)
	s.c.send("q LOGOUT")
	s.c.until("q")
	s.c.expectEOF()
	s.c = nil
}

// done compares what the backend has seen with what was granted.
func (s *smuggler) done() {
	t := s.r.t
	s.r.server.Close()
	s.r.restful()
	conns := s.r.backend.all()
	if len(conns) != len(s.want) {
		t.Fatalf("%d backend connections for %d logins that were granted", len(conns), len(s.want))
	}
	for i, c := range conns {
		if len(c.logins) != 1 || c.logins[0] != s.want[i] {
			t.Errorf("the backend sees %+q, want %+q", c.logins, s.want[i])
		}
		if lines := strings.Count(c.relayed(), "\n"); lines != 2 {
			t.Errorf("the backend sees %d lines after the login, want NOOP and LOGOUT: %q", lines, c.relayed())
		}
	}
}

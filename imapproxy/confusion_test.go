package imapproxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imapproxy/auth"
	"imapproxy/backend"
)

// confusions are names and identities that some server has taken for a master
// login, or for another user: each with the right password of whoever may be
// meant. Only root is a master.
func confusions() []credential {
	var all []credential
	for _, user := range []string{"bob*root", "root*bob", "a*b*c", "*", "bob*", "*root", "bob/root", "bob%root",
		"bob+root", "bob,root", "bob root",
		"bob@root", "bob\x00root", "root\x00", "\x00root", "BOB", "Root", "ROOT", " bob", "bob ", "bob\t", "bob\rroot",
		"", "ｂob", "bob\u200b"} {
		all = append(all, credential{"", user, canary})
	}
	for _, authz := range []string{"root", "Root", "root ", "*", "*root", "root*bob", "bob*root", "eve", "eve*root",
		"BOB", "bob ", "anybody", "u:root",
		"dn:cn=root", "/", "../root", "0", "nil", "NIL", "root@", "bob\x01", "\x7f", "\r\n", "bob,eve", "ｂob"} {
		all = append(all, credential{authz, "bob", canary})
	}
	for _, authz := range []string{"mallory", "bob*eve", "BOB", "bob ", "*", "root*"} { // a master, as one unknown
		all = append(all, credential{authz, "root", canary})
	}
	return append(all, credential{"eve", "root", "wrong"}, credential{"eve", "mallory", canary},
		credential{"eve", "", canary})
}

// TestMasterConfusions plays them against a file of users: none is let in, and
// no backend hears of one. Then the two that are meant are.
func TestMasterConfusions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	text := ""
	for _, line := range []string{"bob:{PLAIN}%s:plaintext", "eve:{PLAIN}%s:plaintext",
		"root:{PLAIN}%s:master plaintext"} {
		text += fmt.Sprintf(line, canary) + "\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := auth.OpenFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, withAuth(users), withLimits(func(l *Limits) { l.FailedLogins, l.BadCommands = 1e6, 1e6 }))
	all := confusions()
	if len(all) < 50 {
		t.Fatalf("only %d confusions", len(all))
	}
	c := r.dial("plain")
	for i, cr := range all {
		for _, way := range loginWays {
			if cr.authz != "" && !way.authz || cr.user == "" && way.name == "mechanism LOGIN" {
				continue // it has no place for that
			}
			tag := fmt.Sprintf("t%d", i)
			way.send(c, tag, cr)
			c.send("z%d NOOP", i)
			for _, line := range c.until(fmt.Sprintf("z%d", i)) {
				if strings.HasPrefix(line, tag+" OK") {
					t.Fatalf("%s: %+q is let in", way.name, cr)
				}
			}
		}
	}
	if n := len(r.backend.logins()); n != 0 {
		t.Errorf("a backend has seen %d logins", n)
	}
	c.send("m AUTHENTICATE PLAIN %s", coded("eve\x00root\x00"+canary))
	c.expect("m OK .*")
	own := r.dial("plain")
	own.send("o AUTHENTICATE PLAIN %s", coded("bob\x00bob\x00"+canary))
	own.expect("o OK .*")
}

// TestIDSmuggling puts each of the 256 byte values into what a client says of
// itself: the backend reads one ID, one login and one LOGOUT.
func TestIDSmuggling(t *testing.T) {
	script := func(c *backendConn) {
		c.send("* OK [CAPABILITY IMAP4rev1 ID AUTH=PLAIN SASL-IR] hello")
		if line, _ := c.line(); strings.HasPrefix(line, "X1 ID ") {
			c.send("X1 OK")
		}
		if tag, _, good := c.readLogin(); good {
			c.send("%s OK [CAPABILITY IMAP4rev1] Logged in", tag)
			c.untilLogout()
		}
	}
	r := newRig(t, withScript(script), withTarget(func(t *backend.Target) { t.ForwardID = true }))
	for b := range 256 {
		c := r.dial("plain")
		x := string([]byte{'x', byte(b), 'y'})
		literal := " {3+}\r\n" + x
		c.write(`a ID ("x-session-id"` + literal + literal + literal + ` "x-originating-ip"` + literal + ")\r\n")
		c.expect(`\* ID .*`)
		c.expect("a OK .*")
		c.send("b LOGIN joe %s", canary)
		c.expect("b OK .*")
		c.send("c LOGOUT")
		c.until("c")
		c.expectEOF()
		r.endsWith(c, endLogout)
	}
	r.restful()
	for i, c := range r.backend.all() {
		lines := strings.Split(c.everything(), "\r\n")
		good := len(lines) == 4 && strings.HasPrefix(lines[0], `X1 ID ("x-originating-ip" "127.0.0.1" `) &&
			strings.Count(lines[0], `"`) == 24 &&
			strings.HasPrefix(lines[1], "X2 AUTHENTICATE PLAIN ") && lines[2] == "c LOGOUT" && lines[3] == ""
		if !good {
			t.Errorf("byte %#x: the backend reads %q", i, lines)
		}
	}
	if n := len(r.backend.all()); n != 256 {
		t.Errorf("%d backend connections, want 256", n)
	}
}

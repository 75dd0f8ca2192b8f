package imapproxy

import (
	"errors"
	"strings"
	"testing"

	"imapproxy/auth"
)

// TestBackendRepeatsPassword lets a backend say what it was sent in its
// refusal, as some do with a line they can't parse. The rig looks for the
// password in the log, plain and encoded; the client reads nothing of it.
func TestBackendRepeatsPassword(t *testing.T) {
	notQuick(t)
	for name, answer := range map[string]string{
		"NO": "X2 NO", "NO with a code": "X2 NO [AUTHENTICATIONFAILED]", "NO in a code": "X2 NO [X",
		"NO for now": "X2 NO [UNAVAILABLE]", "BAD": "X2 BAD", "BYE": "* BYE", "junk": "",
	} {
		for _, offer := range []string{"AUTH=PLAIN SASL-IR", "AUTH=PLAIN", ""} {
			t.Run(name+" "+offer, func(t *testing.T) {
				r := newRig(t, withScript(func(c *backendConn) {
					c.send("* OK [CAPABILITY IMAP4rev1 %s] hello", offer)
					said := c.upToPassword()
					end := ""
					if strings.HasSuffix(answer, "[X") {
						end = "]"
					}
					c.send("%s %s %s%s", answer, canary, said, end)
					c.untilLogout()
				}))
				c := r.dial("plain")
				c.send("a LOGIN joe %s", canary)
				if got := c.expect("a NO .*"); strings.Contains(got, "c4nary") || strings.Contains(got, "YzRuYXJ5") {
					t.Errorf("the client reads %q", got)
				}
				c.close()
				if l := r.endOf(c); l.str("error") == "" {
					t.Error("the log does not say why the login failed")
				}
			})
		}
	}
}

// upToPassword reads a login to the line with the password.
func (c *backendConn) upToPassword() string {
	line, _ := c.line()
	switch f := strings.Fields(line); {
	case len(f) == 3 && f[1] == "LOGIN":
		c.askLiteral(f[2])
		line, _ = c.line()
		c.askLiteral(strings.TrimSpace(line))
		line, _ = c.line()
	case len(f) == 3:
		c.send("+ ")
		line, _ = c.line()
	}
	return line
}

// TestSecretsDoNotPrint checks what the rig relies on: the search finds the
// password in every form in which it could appear.
func TestSecretsDoNotPrint(t *testing.T) {
	for _, form := range []string{canary, "x" + canary + "x", coded(canary), coded("\x00joe\x00" + canary),
		coded("a" + canary),
		"63346e6172792d533363726574" + "2d5a7139"} {
		found := false
		for _, d := range disguises(canary) {
			found = found || strings.Contains(form, d)
		}
		if !found {
			t.Errorf("%q is not found", form)
		}
	}
	err := errors.New(sprintf("%v %s %q %x %#v", auth.Secret(canary), auth.Secret(canary), auth.Secret(canary),
		auth.Secret(canary), auth.Secret(canary)))
	for _, d := range disguises(canary) {
		if strings.Contains(err.Error(), d) {
			t.Errorf("a secret prints as %q", err)
		}
	}
}

package imapproxy

import (
	"encoding/base64"
	"strings"
	"testing"

	"imapproxy/auth"
)

// TestLongTokens hands a token of 12 KiB on, which comes as an initial response or
// after "+", and goes to the backend after "+": few backends take such a line.
func TestLongTokens(t *testing.T) {
	token := strings.Repeat("tok3n", 12<<10/5)
	message := base64.StdEncoding.EncodeToString([]byte("n,a=joe,\x01auth=Bearer " + token + "\x01\x01"))
	for name, say := range map[string]func(c *testClient){
		"initial response": func(c *testClient) { c.send("a AUTHENTICATE OAUTHBEARER %s", message) },
		"continuation": func(c *testClient) {
			c.send("a AUTHENTICATE OAUTHBEARER")
			c.expect(`\+ `)
			c.send("%s", message)
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			r := newRig(t, withAuth(auth.Passthrough{}), withScript(func(c *backendConn) {
				c.send("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER] hello")
				line, _ := c.line()
				tag, rest, _ := strings.Cut(line, " ")
				if rest != "AUTHENTICATE OAUTHBEARER" {
					c.send("%s BAD line too long", tag)
					return
				}
				c.send("+ ")
				response, _ := c.line()
				got <- response
				c.send("%s OK [CAPABILITY IMAP4rev1] in", tag)
				c.serve()
			}))
			c := r.dial("tokens")
			say(c)
			c.expect("a OK .*")
			if response := <-got; response != message {
				t.Errorf("the backend gets %d bytes, want %d", len(response), len(message))
			}
		})
	}
}

// TestTokenMechanismNotAccepted judges no token by what a backend says of the
// mechanism: BAD to an initial response has it sent after "+", and NO in the place of
// "+" is no failed login.
func TestTokenMechanismNotAccepted(t *testing.T) {
	for name, test := range map[string]struct{ offers, refusal, want string }{
		"BAD to an initial response": {"SASL-IR ", "BAD too many arguments", "a OK .*"},
		"NO in the place of +":       {"", "NO unsupported mechanism", `a NO \[UNAVAILABLE\] .*`},
		"a code that judges":         {"", "NO [EXPIRED] old", `\+ .*`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withAuth(auth.Passthrough{}), withScript(func(c *backendConn) {
				c.send("* OK [CAPABILITY IMAP4rev1 %sAUTH=XOAUTH2] hello", test.offers)
				line, _ := c.line()
				tag, rest, _ := strings.Cut(line, " ")
				if rest != "AUTHENTICATE XOAUTH2" || test.offers == "" {
					c.send("%s %s", tag, test.refusal)
					if line, _ = c.line(); !strings.HasSuffix(line, "AUTHENTICATE XOAUTH2") {
						return
					}
				}
				c.send("+ ")
				_, _ = c.line()
				c.send("%s OK [CAPABILITY IMAP4rev1] in", tag)
				c.serve()
			}))
			c := r.dial("tokens")
			c.send("a AUTHENTICATE XOAUTH2 %s", coded("user=joe\x01auth=Bearer "+canary+"\x01\x01"))
			c.expect(test.want)
			if test.refusal == "NO [EXPIRED] old" {
				c.send("")
				c.expectLine("a NO [EXPIRED] The password has expired")
			}
			if n := len(r.log.lines(t, "login refused")); (n > 0) != (test.refusal == "NO [EXPIRED] old") {
				t.Errorf("%d failed logins", n)
			}
		})
	}
}

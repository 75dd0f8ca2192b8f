package imapproxy

import (
	"strings"
	"testing"
)

// ofServers are refusals as mail servers in use word them.
var ofServers = []struct {
	server, answer string
	want           string // what the client reads
	counts         bool   // as a failed login
}{
	{"Dovecot", "NO [AUTHENTICATIONFAILED] Authentication failed.", noSuchLogin, true},
	{"Dovecot", "NO [UNAVAILABLE] Temporary authentication failure. [imap1:2024-05-04 12:00:00]", noLogins, false},
	{"Dovecot", "NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
		"NO [LIMIT] " + codeTexts["LIMIT"], false},
	{"Dovecot", "NO [AUTHORIZATIONFAILED] Authorization failed", "NO [AUTHORIZATIONFAILED] " +
		codeTexts["AUTHORIZATIONFAILED"], true},
	{"Dovecot", "NO [EXPIRED] Password expired", "NO [EXPIRED] The password has expired", true},
	{"Dovecot", "* BYE [UNAVAILABLE] Temporary internal error.", noLogins, false},
	{"Courier", "NO Login failed.", "NO " + loginRefused, true},
	{"Courier", "* BYE Temporary problem, please try again later", noLogins, false},
	{"Cyrus", "NO Login failed: authentication failure", "NO " + loginRefused, true},
	{"Cyrus", "NO Login failed: generic failure", "NO " + loginRefused, true},
	{"Cyrus", "NO [ALERT] too many connections", "NO [ALERT] too many connections", true},
	{"Exchange", "NO LOGIN failed.", "NO " + loginRefused, true},
	{"Exchange", "NO AUTHENTICATE failed.", "NO " + loginRefused, true},
	{"Exchange", "BAD User is authenticated but not connected.", noLogins, false},
	{"Exchange", "* BYE Connection is closed. 14", noLogins, false},
	{"Gmail", "NO [ALERT] Application-specific password required: https://example.org/185833 (Failure)",
		"NO [ALERT] Application-specific password required: https://example.org/185833 (Failure)", true},
	{"Gmail", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", noSuchLogin, true},
	{"Gmail", "NO [WEBALERT https://example.org/signin?x=1&y=%5D] Web login required.", "NO " + loginRefused, true},
	{"Gmail", "* NO [WEBALERT https://example.org/signin] Web login required.\r\n" +
		"<tag> NO [ALERT] Please log in via your web browser: https://example.org/78754 (Failure)",
		"NO [ALERT] Please log in via your web browser: https://example.org/78754 (Failure)", true},
	{"Gmail", "NO [ALERT] Too many simultaneous connections. (Failure)",
		"NO [ALERT] Too many simultaneous connections. (Failure)", true},
	{"Gmail", "* BYE Session expired, please login again.", noLogins, false},
	{"Zimbra", "NO LOGIN failed", "NO " + loginRefused, true},
	{"Zimbra", "NO AUTHENTICATE failed", "NO " + loginRefused, true},
	{"Zimbra", "* BYE Zimbra IMAP4rev1 server terminating connection", noLogins, false},
	{"Yahoo", "NO [AUTHORIZATIONFAILED] AUTHENTICATE Invalid credentials",
		"NO [AUTHORIZATIONFAILED] " + codeTexts["AUTHORIZATIONFAILED"], true},
	{"Yahoo", "NO [LIMIT] AUTHENTICATE Rate limit hit.", "NO [LIMIT] " + codeTexts["LIMIT"], false},
	{"Yahoo", "NO [SERVERBUG] AUTHENTICATE Server error - Please try again later",
		"NO [SERVERBUG] " + codeTexts["SERVERBUG"], false},
	{"iCloud", "NO [AUTHENTICATIONFAILED] Authentication Failed", noSuchLogin, true},
	{"iCloud", "BAD Parse Error (invalid literal)", noLogins, false},
	{"Coremail", "NO LOGIN Login error password error", "NO " + loginRefused, true},
	{"Coremail", "BAD Parse command error", noLogins, false},
	{"Coremail", "* BYE [AUTHENTICATIONFAILED] password error", noSuchLogin, true},
	{"perdition", "NO Re-Authentication Failure", "NO " + loginRefused, true},
	{"any", "BAD [AUTHENTICATIONFAILED] no", noSuchLogin, true},
	{"any", "BAD [EXPIRED] no", "NO [EXPIRED] The password has expired", true},
	{"any", "BAD [ALERT] no", "NO [ALERT] no", false},
	{"any", "NO", "NO " + loginRefused, true},
	{"any", "NO []", "NO " + loginRefused, true},
	{"any", "NO [REFERRAL] moved", notPossible, false},
	{"any", "NO [REFERRAL mail9.example.org] moved", notPossible, false},
}

// TestServers says what a client reads of each, whatever command the proxy tries.
func TestServers(t *testing.T) {
	for _, test := range ofServers {
		t.Run(test.server+" "+test.answer, func(t *testing.T) {
			answer := test.answer
			if !strings.HasPrefix(answer, "*") {
				answer = "<tag> " + answer
			}
			r := newRig(t, withScript(func(c *backendConn) {
				c.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR LOGINDISABLED] hello")
				for {
					line, good := c.line()
					tag, command, _ := strings.Cut(line, " ")
					switch {
					case !good:
						return
					case command == "LOGOUT":
						c.send("* BYE\r\n%s OK", tag)
						c.close()
						return
					case command == "AUTHENTICATE PLAIN":
						c.send("+ ")
						_, _ = c.line()
					}
					c.send("%s", strings.ReplaceAll(answer, "<tag>", tag))
				}
			}))
			c := r.dial("plain")
			c.send("a LOGIN joe %s", canary)
			c.expectLine("a " + test.want)
			message := "login not possible"
			if test.counts {
				message = "login refused"
			}
			r.await("the log", func() bool { return len(r.log.lines(t, message)) == 1 })
		})
	}
}

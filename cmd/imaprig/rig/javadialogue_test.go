package rig

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// testMessage is the one message of a backend's INBOX: a head that names the user, then numbered lines, cut at size.
func testMessage(user string, size int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "From: rig@localhost\r\nTo: %s\r\n\r\n", user)
	for n := 0; text.Len() < size; n = (n + 1) % 128 {
		fmt.Fprintf(&text, "%062d\r\n", n)
	}
	return text.String()[:size]
}

func (r rig) testDialogue(t *testing.T) {
	plain := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	logins := []struct{ name, sent, status string }{
		{"atoms", "a1 LOGIN user pass\r\n", "OK"},
		{"quoted", "a1 login \"us er\" \"p\\\"\\\\ss\"\r\n", "OK"},
		{"waiting literals", "a1 LOGIN {4}\r\nuser {4}\r\npass\r\n", "OK"},
		{"other literals", "a1 LOGIN {4+}\r\nuser {4+}\r\npass\r\n", "OK"},
		{"initial response", "a1 AUTHENTICATE PLAIN " + plain("\x00user\x00pass") + "\r\n", "OK"},
		{"no initial response", "a1 AUTHENTICATE PLAIN\r\n" + plain("\x00user\x00pass") + "\r\n", "OK"},
		{"wrong", "a1 LOGIN user wrong\r\n", "NO [AUTHENTICATIONFAILED]"},
		{"wrong by SASL", "a1 AUTHENTICATE PLAIN " + plain("\x00user\x00wrong") + "\r\n", "NO [AUTHENTICATIONFAILED]"},
		{"control byte in the user", "a1 LOGIN {3+}\r\nu\r\n pass\r\n", "NO [AUTHENTICATIONFAILED]"},
		{"cancelled", "a1 AUTHENTICATE PLAIN\r\n*\r\n", "BAD"},
		{"no base64", "a1 AUTHENTICATE PLAIN !\r\n", "BAD"},
		{"two parts", "a1 AUTHENTICATE PLAIN " + plain("user\x00pass") + "\r\n", "BAD"},
		{"other mechanism", "a1 AUTHENTICATE LOGIN\r\n", "BAD"},
		{"no password", "a1 LOGIN user\r\n", "BAD"},
		{"quote left open", "a1 LOGIN user \"pass\r\n", "BAD"},
		{"not before login", "a1 SELECT INBOX\r\n", "BAD"},
	}
	for _, tt := range logins {
		t.Run("login/"+tt.name, func(t *testing.T) {
			c := greet(t, r.begin(t, "good").Addr())
			c.tags = 1
			c.send(tt.sent)
			c.tagged(tt.status)
			logout(c)
		})
	}
	t.Run("session", r.testSession)
	t.Run("fetch", r.testFetch)
}

func (r rig) testSession(t *testing.T) {
	c := selected(t, r.begin(t, "good").Addr())
	steps := []struct{ sent, status, want string }{
		{"CAPABILITY", "OK", "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN IDLE ID UNSELECT\n"},
		{"ID (\"name\" \"rig\")", "OK", "* ID (\"name\" \"JavaBackend\")\n"},
		{"LOGIN user pass", "BAD", ""},
		{"NOOP", "OK", ""},
		{"CHECK", "OK", ""},
		{"LIST \"\" *", "OK", "* LIST () \"/\" INBOX\n"},
		{"LIST \"\" \"\"", "OK", "* LIST (\\Noselect) \"/\" \"\"\n"},
		{"LIST \"\" Sent", "OK", ""},
		{"LSUB \"\" %", "OK", "* LSUB () \"/\" INBOX\n"},
		{"STATUS INBOX (MESSAGES UIDNEXT)", "OK", "* STATUS INBOX (MESSAGES 1 UIDNEXT 2)\n"},
		{"STATUS Sent (MESSAGES)", "NO", ""},
		{"STATUS INBOX (SIZE)", "BAD", ""},
		{"FETCH 1 (FLAGS RFC822.SIZE)", "OK", fmt.Sprintf("* 1 FETCH (FLAGS (\\Seen) RFC822.SIZE %d)\n",
			testMessageSize)},
		{"UID FETCH 1:* FLAGS", "OK", "* 1 FETCH (UID 1 FLAGS (\\Seen))\n"},
		{"UID FETCH 2 FLAGS", "OK", ""},
		{"FETCH 2 FLAGS", "BAD", ""},
		{"FETCH 1 FLAGS<0.5>", "BAD", ""},
		{"UID STORE 1 FLAGS ()", "BAD", ""},
		{"FETCH 1 ENVELOPE", "BAD", ""},
		{"CLOSE", "OK", ""},
		{"FETCH 1 FLAGS", "BAD", ""},
		{"SELECT Sent", "NO", ""},
		{"UNSELECT", "BAD", ""},
		{"EXAMINE {5+}\r\ninbox", "OK [READ-ONLY]",
			"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\n* 1 EXISTS\n* 0 RECENT\n" +
				"* OK [UIDVALIDITY 1] ok\n* OK [UIDNEXT 2] ok\n* OK [PERMANENTFLAGS ()] nothing is kept\n"},
		{"UNSELECT", "OK", ""},
		{"IDLE\r\nDONE", "OK", "+ idling\n"},
		{"IDLE\r\nNOOP", "BAD", "+ idling\n"},
		{"APPEND {5+}\r\nINBOX", "BAD", ""},
		{"APPEND Sent {2+}\r\nhi", "NO [TRYCREATE]", ""},
		{"XYZZY", "BAD", ""},
	}
	for _, step := range steps {
		if got := c.command(step.status, step.sent); got != step.want {
			t.Errorf("%s brought %q, want %q", step.sent, got, step.want)
		}
	}
	logout(c)
}

func (r rig) testFetch(t *testing.T) {
	r = r.begin(t, "good")
	c := greet(t, r.Addr())
	c.command("OK", "LOGIN \"some body\" pass")
	c.command("OK", "SELECT INBOX")
	for _, item := range []string{"BODY[]", "BODY.PEEK[]"} {
		c.tags++
		c.send(fmt.Sprintf("a%d UID FETCH 1 (FLAGS %s)\r\n", c.tags, item))
		c.wantLine(fmt.Sprintf("* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {%d}", testMessageSize))
		if c.read(testMessageSize) != testMessage("some body", testMessageSize) {
			t.Fatalf("%s: not the message that was to come", item)
		}
		c.tagged("OK")
	}
	const part = testMessageSize / 2
	c.tags++
	c.send(fmt.Sprintf("a%d FETCH 1 BODY.PEEK[]<0.%d>\r\n", c.tags, part))
	c.wantLine(fmt.Sprintf("* 1 FETCH (BODY[]<0> {%d}", part))
	if c.read(part) != testMessage("some body", testMessageSize)[:part] {
		t.Fatal("not the part that was to come")
	}
	c.tagged("OK")
	logout(c)
	r.wantCounts(0, JavaCounts{Accepted: 1, Closed: 1, Logout: 1, Authenticated: 1})
}

// testAppend shows which messages are kept, and that a LOGOUT sent into a literal is noticed.
func (r rig) testAppend(t *testing.T) {
	const limit = 100_000
	body := strings.Repeat("0123456789abcd\r\n", limit/16)
	tests := []struct {
		name, sent string
		whole      bool
		counts     JavaCounts
	}{
		{"whole", body, true, JavaCounts{Stored: 1, StoredBytes: limit}},
		{"whole, a LOGOUT at its end", body[:limit-10] + "a LOGOUT\r\n", true,
			JavaCounts{Stored: 1, StoredBytes: limit, Polluted: 1}},
		{"whole, a LOGOUT before its end", body[:limit-26] + "a LOGOUT\r\n" + body[:16], true,
			JavaCounts{Stored: 1, StoredBytes: limit}},
		{"truncated", body[:limit/2], false, JavaCounts{Truncated: 1}},
		{"truncated after the head", "", false, JavaCounts{Truncated: 1}},
		{"truncated, a LOGOUT at its end", body[:limit/2+3] + "a LOGOUT\r\n", false,
			JavaCounts{Truncated: 1, Polluted: 1}},
	}
	for _, kind := range []string{"", "+"} {
		for _, tt := range tests {
			t.Run(tt.name+kind, func(t *testing.T) {
				r := r.begin(t, "good")
				c := selected(t, r.Addr())
				c.tags++
				c.send(fmt.Sprintf("a%d APPEND INBOX (\\Seen) \"01-Jan-2020 00:00:00 +0000\" {%d%s}\r\n", c.tags, limit,
					kind))
				if kind == "" {
					c.wantLine("+ ")
				}
				c.send(tt.sent)
				want := tt.counts
				want.Accepted, want.Closed, want.Authenticated, want.EOF = 1, 1, 1, 1
				if tt.whole {
					c.send("\r\n")
					c.tagged("OK")
				}
				c.close()
				r.wantCounts(0, want)
			})
		}
	}
}

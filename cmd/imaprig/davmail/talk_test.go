package davmail

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

// talk is what a client says after its login, up to LOGOUT, which the proxy answers itself. "+" in front begins a
// command that DavMail lets the client go on with.
var talk = []string{
	"NOOP", "FETCH 1 FLAGS", `LIST "" "*"`, "STATUS INBOX (MESSAGES UIDNEXT UNSEEN)", "SELECT nowhere",
	"FETCH 1 FLAGS", "SELECT INBOX", "FETCH 1:* (UID FLAGS RFC822.SIZE INTERNALDATE)", "FETCH 2 BODY.PEEK[]",
	"UID FETCH 1 BODY[]<10.500>", "UID SEARCH ALL", "+APPEND INBOX (\\Flagged) {%d}", "NOOP",
	"FETCH 3 BODY[]", "STORE 1 +FLAGS (\\Seen)", "SEARCH 1:3", "+IDLE", "SELECT nowhere", "FETCH 1 FLAGS",
	"EXAMINE INBOX", "UNSELECT", "SELECT nowhere", "FETCH 1 FLAGS",
}

// compareTalk compares what a client reads directly with what it reads through our proxy, without a pool and with one.
func compareTalk(t *testing.T, s *Server, program string) {
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	direct := talkTwice(t, s.Addr(), "u1")
	const pool = "[target.pool]\nmode = \"on\""
	for user, target := range map[string]string{"u2": "", "u3": pool} {
		x := startProxy(t, program, s.Addr(), target, loopback)
		for i, line := range talkTwice(t, x.here, user) {
			if line != direct[i] {
				t.Errorf("%q: after %q\n%s\ndirectly\n%s", target, direct[:i], line, direct[i])
				break
			}
		}
		if target == "" && s.reuses(t, x, user) {
			t.Error("a session without a pool made no connection to DavMail")
		}
		rigtest.Eventually(t, func() error {
			if target == pool && !s.reuses(t, x, user) {
				return errors.New("every session makes a connection to DavMail")
			}
			return nil
		})
	}
}

// reuses plays a session that selects nothing and reports whether it made no connection to DavMail, which asks Exchange
// for each.
func (s *Server) reuses(t *testing.T, x *proxy, user string) bool {
	t.Helper()
	before := s.Stats().Requests[Connects]
	lines := playTalk(t, x.here, user, "NOOP", "FETCH 1 FLAGS")
	want := []string{"NOOP", "x OK NOOP completed", "FETCH 1 FLAGS", "x NO no folder selected"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	return s.Stats().Requests[Connects] == before
}

// talkTwice returns what two sessions of a user read. Through a pool the second may get the first one's connection, but
// nothing else of it.
func talkTwice(t *testing.T, addr, user string) []string {
	t.Helper()
	return append(playTalk(t, addr, user, talk...), playTalk(t, addr, user, talk...)...)
}

// playTalk logs in, says all that, and returns it with the answers.
func playTalk(t *testing.T, addr, user string, commands ...string) (lines []string) {
	t.Helper()
	c, err := connect(dialHere, addr, user)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	if err := c.login(); err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		answer, err := c.say(command)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, command), answer...)
	}
	if _, err := c.ask("OK", "LOGOUT"); err != nil {
		t.Fatal(err)
	}
	return lines
}

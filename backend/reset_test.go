package backend

import (
	"context"
	"crypto/tls"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"imapproxy/scripts/dialogue"
)

// resetFormat is that of the dialogues in testdata/resets: as in testdata/dialogues,
// after a login, and with
//
//	offers: words     what the backend offers
//	session: lines    what the session has seen, "C: line" and "S: line" with " | " between them
//	= outcome         "reused", or why not; how the connection ended; what the
//	                  backend saw of that; and what the next user must read
var resetFormat = dialogue.Format{Headers: []string{"offers", "session"}, Verbs: format.Verbs, Bare: format.Bare}

func TestResets(t *testing.T) {
	certs := newAuthority(t).certificates()
	var ended []link
	resetFormat.Run(t, "testdata/resets/*.txt", 2, func(t *testing.T, d *dialogue.Dialogue) {
		ended = append(ended, playReset(t, d, certs))
	})
	gone(t, ended...)
}

// playReset returns the connection, which both sides have closed.
func playReset(t *testing.T, d *dialogue.Dialogue, certs map[string]*tls.Config) link {
	end := len(d.Steps) - 1
	if d.Steps[end].Verb != "=" {
		t.Fatal("the dialogue ends without an outcome")
	}
	login := play{
		"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello", "C: X2 AUTHENTICATE PLAIN *",
		"S: X2 OK [CAPABILITY " + d.Header("offers") + "] in",
	}
	before := socketCount(t)
	s := startSteps(t, append(login.steps(t), d.Steps[:end]...), certs)
	dialer, endings := testDialer()
	c, _, err := converse(dialer, testTarget(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	c.pooled.keeps = new(atomic.Bool)
	c.StartRelay()
	for line := range strings.SplitSeq(d.Header("session"), " | ") {
		switch side, text, _ := strings.Cut(line, ": "); side {
		case "C":
			c.Ledger.Client([]byte(text + "\r\n"))
		case "S":
			c.Ledger.Backend([]byte(text + "\r\n"))
		default:
			t.Fatalf("no line of a session: %q", line)
		}
	}
	_, why, err := c.makeFit(context.Background())
	if why == "" {
		why = "reused"
	}
	alerts := c.TakeAlerts()
	c.End()
	got := fmt.Sprintf("%s; %v; %s", why, *endings, s.only().notes())
	if len(alerts) > 0 {
		got += "; alerts: " + strings.Join(alerts, " | ")
	}
	if want := d.Steps[end].Text; !matches(want, got) || (err == nil) != (why == "reused") {
		t.Errorf("\n got %s\nwant %s\n err %v", got, want, err)
	}
	checkText(t, err)
	l := link{s.only().raw.RemoteAddr().String(), s.addr}
	s.stop()
	noSocketsLeft(t, before)
	return l
}

// The name says nothing of a user, is another each time, and is an atom in which no server finds a separator or a
// wildcard.
func TestNobodysMailbox(t *testing.T) {
	const randomLetters = 26 // of 5 bits each
	atom := regexp.MustCompile(fmt.Sprintf("^imapproxy[A-Z2-7]{%d,}$", randomLetters))
	seen := map[string]bool{}
	for range 1000 {
		name := nobodysMailbox()
		if !atom.MatchString(name) || seen[name] {
			t.Fatalf("%q, after %d others", name, len(seen))
		}
		seen[name] = true
	}
}

package backend

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
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
	var ended []link
	resetFormat.Run(t, "testdata/resets/*.txt", 2, func(t *testing.T, d *dialogue.Dialogue) {
		end := len(d.Steps) - 1
		if d.Steps[end].Verb != "=" {
			t.Fatal("the dialogue ends without an outcome")
		}
		got, l := playReset(t, d.Steps[:end], d.Header("offers"), d.Header("session"))
		if want := d.Steps[end].Text; !matches(want, got) {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		ended = append(ended, l)
	})
	gone(t, ended...)
}

// playReset returns what came of it, and the connection, which both sides have closed.
func playReset(t *testing.T, steps []dialogue.Step, offers, session string) (string, link) {
	login := play{
		"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello", "C: X2 AUTHENTICATE PLAIN *",
		"S: X2 OK [CAPABILITY " + offers + "] in",
	}
	before := socketCount(t)
	s := startSteps(t, append(login.steps(t), steps...), nil)
	dialer, endings := testDialer()
	c, _, err := converse(dialer, testTarget(s.addr))
	if err != nil {
		t.Fatal(err)
	}
	c.pooled = &pooled{keeps: new(atomic.Bool)}
	c.StartRelay()
	for line := range strings.SplitSeq(session, " | ") {
		switch side, text, _ := strings.Cut(line, ": "); side {
		case "C":
			c.Ledger.Client([]byte(text + "\r\n"))
		case "S":
			c.Ledger.Backend([]byte(text + "\r\n"))
		default:
			t.Fatalf("no line of a session: %q", line)
		}
	}
	_, why, err := makeFitNow(c)
	if (err == nil) != (why == "") {
		t.Errorf("%q with the error %v", why, err)
	}
	checkText(t, err)
	alerts := c.TakeAlerts()
	endNow(c)
	got := fmt.Sprintf("%s; %v; %s", cmp.Or(why, "reused"), *endings, s.only().notes())
	if len(alerts) > 0 {
		got += "; alerts: " + strings.Join(alerts, " | ")
	}
	l := link{s.only().raw.RemoteAddr().String(), s.addr}
	s.stop()
	noSocketsLeft(t, before)
	return got, l
}

// Of all that a backend may answer to the four questions, only one kind of sequence proves that it has deselected.
func TestDeselectProof(t *testing.T) {
	answers := []string{"OK", "NO", "BAD", "news and OK", "news and NO", "news and BAD"}
	questions := []struct{ asked, proves string }{
		{"UID FETCH 1 (UID)", "OK, news and OK"}, {"EXAMINE *", "NO, news and NO"},
		{"UID FETCH 1 (UID)", "NO, BAD"}, {"NOOP", "OK"},
	}
	proofs, begun := 0, [][]string{nil}
	for len(begun) > 0 {
		said := begun[0]
		begun = begun[1:]
		question := questions[len(said)]
		for _, answer := range answers {
			all := append(slices.Clone(said), answer)
			proves := slices.Contains(strings.Split(question.proves, ", "), answer)
			if proves && len(all) < len(questions) {
				begun = append(begun, all)
				continue
			}
			var p play
			for i, a := range all {
				p = append(p, "C: P* "+questions[i].asked)
				if _, found := strings.CutPrefix(a, "news and "); found {
					p = append(p, "S: * 2 EXISTS")
				}
				p = append(p, "T: "+strings.TrimPrefix(a, "news and "))
			}
			got, _ := playReset(t, p.steps(t), "IMAP4rev1", "C: A SELECT INBOX | S: A OK")
			if reused := strings.HasPrefix(got, "reused;"); reused != proves {
				t.Errorf("%s: %s", strings.Join(all, ", "), got)
			}
			if proves {
				proofs++
			}
		}
	}
	if proofs != 8 {
		t.Errorf("%d proofs, want 8", proofs)
	}
}

// The name says nothing of a user, is another each time, and is an atom in which no server finds a separator or a
// wildcard.
func TestRandomMailbox(t *testing.T) {
	const randomLetters = 26 // of 5 bits each
	atom := regexp.MustCompile(fmt.Sprintf("^imapproxy[A-Z2-7]{%d,}$", randomLetters))
	seen := map[string]bool{}
	for range 1000 {
		name := randomMailbox()
		if !atom.MatchString(name) || seen[name] {
			t.Fatalf("%q, after %d others", name, len(seen))
		}
		seen[name] = true
	}
}

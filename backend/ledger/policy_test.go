package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// must returns the policy of rules that make sense.
func must(p *Policy, err error) *Policy {
	if err != nil {
		panic(err)
	}
	return p
}

func TestNewPolicy(t *testing.T) {
	for _, name := range []string{"LOGOUT", "capability", "NOOP", "uid noop", "DONE", "", "UID ", "a b", "x\"", "é",
		"A\r\nB", strings.Repeat("x", maxWord+1)} {
		if _, err := NewPolicy(Rules{Deny: []string{name}}); err == nil {
			t.Errorf("%q may be denied", name)
		}
	}
	for _, r := range []Rules{{ReadOnly: true}, {AppendLimit: 1}, {Deny: []string{"IDLE"}}} {
		r.PassCompress = true
		if _, err := NewPolicy(r); !errors.Is(err, ErrCompressed) {
			t.Errorf("%+v: error %v", r, err)
		}
	}
}

// TestReadOnly has what a client that may only read may say.
func TestReadOnly(t *testing.T) {
	const may = `CANCELUPDATE CAPABILITY CHECK CLOSE COMPARATOR CONVERSIONS CONVERT ENABLE ESEARCH EXAMINE FETCH
		GETACL GETANNOTATION GETJMAPACCESS GETMETADATA GETQUOTA GETQUOTAROOT ID IDLE LANGUAGE LIST LISTRIGHTS LOGOUT
		LSUB MYRIGHTS NAMESPACE NOOP NOTIFY RLIST RLSUB SEARCH SELECT SORT STATUS THREAD UID_CONVERT UID_FETCH
		UID_SEARCH UID_SORT UID_THREAD UNSELECT URLFETCH XLIST`
	p := must(NewPolicy(Rules{ReadOnly: true}))
	for _, c := range commands[otherCommand+1:] {
		permitted := p.refusal(findCommand([]byte(c.name)), []byte(c.name)) == notRefused
		if want := listed(may, c.name); permitted != want {
			t.Errorf("%s is permitted: %v", c.name, permitted)
		}
	}
}

// TestHidden has the capabilities that no client reads after its login.
func TestHidden(t *testing.T) {
	for _, name := range []string{"STARTTLS", "LOGINDISABLED", "SASL-IR", "UNAUTHENTICATE", "LOGIN-REFERRALS",
		"MAILBOX-REFERRALS", "AUTH=PLAIN", "auth=", "Compress=DEFLATE"} {
		if !UsualPolicy().Hides(name) {
			t.Errorf("%s is not hidden", name)
		}
	}
	for _, name := range []string{"IMAP4rev1", "IDLE", "AUTH", "", "LITERAL+", "ID"} {
		if UsualPolicy().Hides(name) {
			t.Errorf("%s is hidden", name)
		}
	}
	if must(NewPolicy(Rules{PassCompress: true})).Hides("COMPRESS=DEFLATE") {
		t.Error("COMPRESS is passed, and hidden")
	}
	noEnable := must(NewPolicy(Rules{Deny: []string{"ENABLE"}}))
	// JavaMail ends its login where it can't enable UTF8=ACCEPT.
	for _, name := range []string{"ENABLE", "UTF8=ACCEPT", "QRESYNC"} {
		if !noEnable.Hides(name) {
			t.Errorf("ENABLE is denied, and %s not hidden", name)
		}
	}
}

// TestPolicyFlood: a client that sends more commands than are tracked waits, and
// one that gets answers to commands that are refused waits for them as well.
func TestPolicyFlood(t *testing.T) {
	r := newRelayed(t, "")
	for i := range 3000 {
		r.client(fmt.Sprintf("t%d NOOP\r\n", i))
	}
	r.client("x STARTTLS\r\n")
	for answered := 0; answered < 3000; {
		sent := strings.Count(r.toBackend, "NOOP")
		if n := r.l.Outstanding(); n > maxOutstanding || sent == answered {
			t.Fatalf("%d outstanding, %d sent, %d answered", n, sent, answered)
		}
		for ; answered < sent; answered++ {
			r.backend(fmt.Sprintf("t%d OK\r\n", answered))
		}
	}
	if !strings.HasSuffix(r.toClient, "t2999 OK\r\nx"+refusals[refusedStartTLS]) || !r.l.Quiet() {
		t.Errorf("quiet %v, the client reads %q at the end", r.l.Quiet(), r.toClient[len(r.toClient)-60:])
	}
	held := newRelayed(t, "")
	held.client("a NOOP\r\n")
	for range 3000 {
		held.client("x STARTTLS\r\n")
	}
	if n := held.l.Outstanding(); n != maxOutstanding || !held.l.Stalled() {
		t.Fatalf("%d outstanding, stalled %v", n, held.l.Stalled())
	}
	held.backend("a OK\r\n")
	if n := strings.Count(held.toClient, "x BAD"); n != 3000 || !held.l.Quiet() {
		t.Errorf("%d refusals", n)
	}
}

// TestPolicyUnchanged plays sessions that are mostly right: with the usual policy
// both sides read what they would read without one.
func TestPolicyUnchanged(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 13))
	seen := 0
	for range 3_000 {
		steps := session(rng, 20)
		r := newRelayed(t, "")
		var plain Ledger
		client, backend := "", ""
		for _, s := range steps {
			feed(&plain, s.who, s.bytes)
			if plain.Doubt() != "" || plain.client.begun() || strings.Contains(s.bytes, "COMPRESS") ||
				strings.Contains(s.bytes, "STARTTLS") {
				break
			}
			seen++
			if s.who == 'C' {
				client += s.bytes
				r.client(s.bytes)
			} else {
				backend += s.bytes
				r.backend(s.bytes)
			}
			if r.l.Outstanding() != plain.Outstanding() && !r.l.Midway() {
				t.Fatalf("%s: %d outstanding, %d without a policy", tell(steps), r.l.Outstanding(), plain.Outstanding())
			}
		}
		held := ""
		if f := r.l.filter; f != nil {
			held = string(f.up.bytes)
			backend = strings.TrimSuffix(backend, string(f.down.bytes))
		}
		if r.toBackend+held != client || r.toClient != backend {
			t.Fatalf("%s: to the backend %q and %q held, to the client %q", tell(steps), r.toBackend, held, r.toClient)
		}
	}
	if seen < 20_000 {
		t.Errorf("only %d steps", seen)
	}
}

func TestPolicyAllocatesNothing(t *testing.T) {
	for _, e := range exchanges {
		t.Run(e.name, func(t *testing.T) {
			var l Ledger
			l.Enforce(UsualPolicy(), false)
			c, b, c2, b2 := []byte(e.client), []byte(e.backend), []byte(e.client2), []byte(e.backend2)
			n := testing.AllocsPerRun(100, func() {
				l.Forward(c)
				l.Deliver(b)
				l.Forward(c2)
				l.Deliver(b2)
				_, _, _ = l.Due(), l.Resumable(), l.Refused()
			})
			if ok, why := l.Reusable(); !ok {
				t.Fatalf("the exchange ended with %s %s", why, l.Doubt())
			}
			if n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

func BenchmarkPolicy(b *testing.B) {
	benchmarkExchanges(b, func(l *Ledger) { l.Enforce(UsualPolicy(), false) },
		func(l *Ledger, p []byte) { l.Forward(p) }, func(l *Ledger, p []byte) { l.Deliver(p) })
	lines := []byte(strings.Repeat("* 12345 FETCH (UID 67890 FLAGS (\\Seen \\Answered) RFC822.SIZE 3210)\r\n", 480))
	b.Run("backend lines of 68", func(b *testing.B) {
		var l Ledger
		l.Enforce(UsualPolicy(), false)
		b.SetBytes(int64(len(lines)))
		b.ReportAllocs()
		for b.Loop() {
			l.Deliver(lines)
		}
	})
}

// TestBlinded says who is to blame where a session can't go on.
func TestBlinded(t *testing.T) {
	for _, test := range []struct {
		backend, client string
		blinded         bool
	}{{"", "a CREATE x{5+}\r\n", false}, {"z OK\r\n", "a NOOP\r\n", true}, {"+\r\n", "a NOOP\r\n", true},
		{"junk\r\n", "a STARTTLS\r\n", true}} {
		r := newRelayed(t, "")
		r.backend(test.backend)
		r.client(test.client)
		if !r.l.Refused() || r.l.Blinded() != test.blinded {
			t.Errorf("%q, %q: refused %v, blinded %v", test.backend, test.client, r.l.Refused(), r.l.Blinded())
		}
	}
}

// TestKeptLiteral: no byte of a literal may overtake those that are kept.
func TestKeptLiteral(t *testing.T) {
	var l Ledger
	l.Enforce(UsualPolicy(), false)
	l.Forward([]byte("a APPEND x {5}\r\nhe"))
	l.Deliver([]byte("+\r\n"))
	if n := l.ClientLiteral(); n != 0 {
		t.Errorf("%d bytes may pass before those that are kept", n)
	}
	if p := l.Forward(nil); string(p) != "he" || l.ClientLiteral() != 3 {
		t.Errorf("%q passes, and %d bytes after it", p, l.ClientLiteral())
	}
}

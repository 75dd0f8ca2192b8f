package ledger

import (
	"strconv"
	"strings"
	"testing"

	"imapproxy/scripts/dialogue"
)

// policyFormat is that of the dialogues in testdata/policies:
//
//	policy: words  deny=NAME,NAME read_only append_limit=N compress=pass; escapes: the backend offers UNAUTHENTICATE
//
//	C: C-       the client sends, with or without CRLF
//	B: B-       the backend has read this since the last B
//	S: S-       the backend sends
//	R: R-       the client has read this since the last R
//	= words     stalled, refused, or what the ledger answers (see format)
var policyFormat = dialogue.Format{Headers: []string{"policy"},
	Verbs: []string{"C:", "C-", "B:", "B-", "S:", "S-", "R:", "R-", "="}}

func TestPolicyDialogues(t *testing.T) {
	policyFormat.Run(t, "testdata/policies/*.txt", 2, func(t *testing.T, d *dialogue.Dialogue) {
		for _, c := range chunkings {
			r := newRelayed(t, d.Header("policy"))
			for _, s := range stepsOf(d) {
				playPolicyStep(t, r, s, c.name, c.cut)
			}
			if r.end && !strings.Contains(r.toBackend, "\n") {
				r.toBackend = "" // how much of the last line has passed depends on the pieces
			}
			if r.toBackend != "" || r.toClient != "" {
				t.Errorf("%s: left over: to the backend %q, to the client %q", c.name, r.toBackend, r.toClient)
			}
		}
	})
}

func playPolicyStep(t *testing.T, r *relayed, s step, name string, cut func(string, func(string))) {
	t.Helper()
	switch s.who {
	case 'C':
		cut(s.bytes, r.client)
	case 'S':
		cut(s.bytes, r.backend)
	case 'B':
		if r.toBackend != s.bytes {
			t.Errorf("%s, %s: the backend has read %q, want %q", s.at, name, r.toBackend, s.bytes)
		}
		r.toBackend = ""
	case 'R':
		if r.toClient != s.bytes {
			t.Errorf("%s, %s: the client has read %q, want %q", s.at, name, r.toClient, s.bytes)
		}
		r.toClient = ""
	default:
		words, stalled := strings.CutPrefix(s.bytes, "stalled")
		words, refused := strings.CutPrefix(words, "refused")
		if stalled != r.l.Stalled() || refused != r.l.Refused() {
			t.Errorf("%s, %s: stalled %v, refused %v", s.at, name, r.l.Stalled(), r.l.Refused())
		}
		if diff := compare(words, r.l.verdict()); words != "" && diff != "" {
			t.Errorf("%s, %s:%s", s.at, name, diff)
		}
	}
}

// relayed is a ledger with a policy, used as a relay does.
type relayed struct {
	l                   Ledger
	unread              string // of the client's bytes, in the socket
	toBackend, toClient string
	end                 bool // the ledger has refused to go on
}

func newRelayed(t testing.TB, words string) *relayed {
	t.Helper()
	var rules Rules
	escapes := false
	for _, w := range strings.Fields(words) {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "deny":
			rules.Deny = strings.Split(strings.ReplaceAll(value, "_", " "), ",")
		case "read_only":
			rules.ReadOnly = true
		case "compress":
			rules.PassCompress = true
		case "append_limit":
			rules.AppendLimit, _ = strconv.ParseInt(value, 10, 64)
		case "escapes":
			escapes = true
		default:
			t.Fatalf("policy: %q", w)
		}
	}
	p, err := NewPolicy(rules)
	if err != nil {
		t.Fatal(err)
	}
	r := &relayed{}
	r.l.Enforce(p, escapes)
	return r
}

func (r *relayed) client(p string) {
	r.unread += p
	r.settle()
}

func (r *relayed) backend(p string) {
	if !r.end {
		r.toClient += string(r.l.Deliver([]byte(p)))
	}
	r.settle()
}

// settle does what a relay does after each step.
func (r *relayed) settle() {
	for !r.end {
		switch {
		case r.l.Resumable():
			r.forward("")
		case r.unread != "" && !r.l.Stalled():
			p := r.unread
			r.unread = ""
			r.forward(p)
		default:
			r.toClient += string(r.l.Due())
			return
		}
		r.toClient += string(r.l.Due())
	}
}

func (r *relayed) forward(p string) {
	r.toBackend += string(r.l.Forward([]byte(p)))
	r.end = r.l.Refused()
}

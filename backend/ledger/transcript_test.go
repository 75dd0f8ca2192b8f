package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"imapproxy/scripts/dialogue"
)

// format is that of the dialogues in testdata, which begin with a new ledger:
//
//	C: text     the client sends text and CRLF; C- "text" without CRLF
//	S: text     the backend does; S- "text"
//	= words     what the ledger answers now: the words of describe, all of them
//
// The header offers is what the backend offers of LITERAL+ and LITERAL-, as
// Ledger.Offers has it: "any", "short" or "none", which it is without the header.
var format = dialogue.Format{Headers: []string{"offers"}, Verbs: []string{"C:", "C-", "S:", "S-", "="}}

// verdict is all that a ledger can be asked.
type verdict struct {
	Logout, DoneFirst, Bye, Idle, Quiet, Reusable, Selected bool
	Unsure                                                  bool
	InIdle, ByeSeen, LoggedOut, Compressed                  bool
	Why, Doubt, Last, Now                                   string
	Outstanding                                             int
	ClientLiteral, BackendLiteral                           int64
}

func (l *Ledger) verdict() verdict {
	a := verdict{
		Bye: l.MayBye(), Idle: l.Idle(), Quiet: l.Quiet(), Selected: l.Selected(), Unsure: l.SelectRefused(),
		InIdle: l.InIdle(), ByeSeen: l.ByeSeen(), LoggedOut: l.LoggedOut(), Compressed: l.Compressed(),
		Doubt: l.Doubt(), Last: l.LastCommand(), Now: l.Command(), Outstanding: l.Outstanding(),
		ClientLiteral: l.ClientLiteral(), BackendLiteral: l.BackendLiteral(),
	}
	a.Logout, a.DoneFirst = l.MayLogout()
	a.Reusable, a.Why = l.Reusable()
	return a
}

// step is a piece of a script: bytes of one side, or an expectation.
type step struct {
	who   byte // 'C', 'S' or '='
	bytes string
	at    string
}

func stepsOf(d *dialogue.Dialogue) []step {
	var steps []step
	for _, s := range d.Steps {
		text := s.Text
		if strings.HasSuffix(s.Verb, ":") {
			text += "\r\n"
		}
		steps = append(steps, step{s.Verb[0], text, s.At})
	}
	return steps
}

// describe puts answers in the words of an expectation.
func describe(a verdict) string {
	var out []string
	for _, w := range []struct {
		name string
		is   bool
	}{
		{"logout", a.Logout && !a.DoneFirst}, {"done+logout", a.Logout && a.DoneFirst}, {"bye", a.Bye},
		{"idle", a.Idle}, {"quiet", a.Quiet}, {"reusable", a.Reusable}, {"selected", a.Selected},
		{"unsure", a.Unsure},
		{"inidle", a.InIdle}, {"byeseen", a.ByeSeen}, {"loggedout", a.LoggedOut}, {"compressed", a.Compressed},
	} {
		if w.is {
			out = append(out, w.name)
		}
	}
	add := func(name, value, usual string) {
		if value != usual {
			out = append(out, name+"="+value)
		}
	}
	add("why", a.Why, "")
	add("doubt", a.Doubt, "")
	add("out", strconv.Itoa(a.Outstanding), "0")
	if a.Now != "" && a.Now != a.Last {
		out = append(out, "now="+a.Now)
	}
	add("c", strconv.FormatInt(a.ClientLiteral, 10), "0")
	add("s", strconv.FormatInt(a.BackendLiteral, 10), "0")
	return strings.Join(append(out, "last="+a.Last), " ")
}

// compare gives how an expectation is not met; "last=" may be left out of it,
// and "_" in it stands for a space.
func compare(want string, got verdict) string {
	w := strings.ReplaceAll(strings.Join(strings.Fields(want), " "), "_", " ")
	if !strings.Contains(w, "last=") {
		w = strings.TrimLeft(w+" last="+got.Last, " ")
	}
	if g := describe(got); w != g {
		return fmt.Sprintf("\n got %s\nwant %s", g, w)
	}
	return ""
}

// chunkings are ways to cut bytes in pieces.
var chunkings = []struct {
	name string
	cut  func(s string, piece func(string))
}{
	{"whole", func(s string, piece func(string)) { piece(s) }},
	{"bytes", func(s string, piece func(string)) {
		for i := range len(s) {
			piece(s[i : i+1])
		}
	}},
	{"threes", func(s string, piece func(string)) {
		for c := range slices.Chunk([]byte(s), 3) {
			piece(string(c))
		}
	}},
	{"forties", func(s string, piece func(string)) {
		for c := range slices.Chunk([]byte(s), 40) {
			piece(string(c))
		}
	}},
	{"empty between", func(s string, piece func(string)) {
		piece("")
		piece(s)
		piece("")
	}},
}

func feed(l *Ledger, who byte, s string) {
	if who == 'C' {
		l.Client([]byte(s))
	} else {
		l.Backend([]byte(s))
	}
}

// offers are the values of Ledger.Offers by their names.
var offers = map[string]NonSync{"": NonSyncNone, "none": NonSyncNone, "short": NonSyncShort, "any": NonSyncAny}

const dialogueFiles = "testdata/dialogues/*.txt"

func TestDialogues(t *testing.T) { format.Run(t, dialogueFiles, 9, runDialogue) }

func runDialogue(t *testing.T, d *dialogue.Dialogue) {
	steps := stepsOf(d)
	if steps[len(steps)-1].who != '=' {
		t.Fatal("the dialogue ends without an expectation")
	}
	for _, c := range chunkings {
		playDialogue(t, steps, offers[d.Header("offers")], c.name, c.cut)
	}
	checkAgainstReference(t, steps, d.Header("offers"))
}

func playDialogue(t *testing.T, steps []step, offer NonSync, name string, cut func(string, func(string))) {
	t.Helper()
	var l Ledger
	l.Offers(offer)
	for _, s := range steps {
		if s.who != '=' {
			cut(s.bytes, func(p string) { feed(&l, s.who, p) })
			continue
		}
		if diff := compare(s.bytes, l.verdict()); diff != "" {
			t.Errorf("%s, %s:%s", s.at, name, diff)
		}
	}
}

// checkAgainstReference keeps the reference honest: it has to answer alike.
func checkAgainstReference(t *testing.T, steps []step, offer string) {
	t.Helper()
	r := reference{offer: offer}
	for _, s := range steps {
		if s.who != '=' {
			r.feed(s.who, s.bytes)
			continue
		}
		if diff := compare(s.bytes, r.verdict()); diff != "" {
			t.Errorf("%s, reference:%s", s.at, diff)
		}
	}
}

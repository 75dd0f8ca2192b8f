package ledger

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestLedgerSize(t *testing.T) {
	const most = 256
	if size := unsafe.Sizeof(Ledger{}); size > most {
		t.Errorf("a ledger takes %d bytes, more than %d", size, most)
	} else {
		t.Logf("a ledger takes %d bytes, and %d at most an outstanding command", size, recordHead+MaxTag)
	}
}

func TestLedgerCommandsTable(t *testing.T) {
	known := commands[otherCommand+1:]
	if !slices.IsSortedFunc(known, func(a, b command) int { return strings.Compare(a.name, b.name) }) {
		t.Error("the commands are not in order, findCommand can't find them")
	}
	if len(commands) > math.MaxUint8 {
		t.Error("an index in commands does not fit a record")
	}
	for i, c := range known {
		if len(c.name) > maxName || c.name != strings.ToUpper(c.name) {
			t.Errorf("%q can't be found", c.name)
		}
		for _, spelt := range []string{c.name, strings.ToLower(c.name)} {
			if got := findCommand([]byte(spelt + " x")); int(got) != i+otherCommand+1 {
				t.Errorf("%q is found at %d, not at %d", spelt, got, i+otherCommand+1)
			}
		}
	}
	if last := doubtSkip; int(last) != len(doubtNames)-1 || int(taintUnknown) != 1<<(len(taintNames)-1) {
		t.Error("doubts or taints and their names are not of one length")
	}
}

// TestLedgerFlood: more commands than are tracked are a doubt, and the room of
// a burst is given back.
func TestLedgerFlood(t *testing.T) {
	var l Ledger
	for i := range maxOutstanding {
		l.Client(fmt.Appendf(nil, "t%d NOOP\r\n", i))
	}
	if l.Outstanding() != maxOutstanding || l.Doubt() != "" {
		t.Fatalf("%d outstanding, doubt %q", l.Outstanding(), l.Doubt())
	}
	over := l
	over.tags.records = slices.Clone(l.tags.records)
	over.Client([]byte("more NOOP\r\n"))
	if over.Doubt() != "flood" {
		t.Errorf("one more: doubt %q", over.Doubt())
	}
	for i := range maxOutstanding {
		l.Backend(fmt.Appendf(nil, "t%d OK\r\n", maxOutstanding-1-i))
	}
	if ok, why := l.Reusable(); !ok {
		t.Errorf("after all replies: %s", why)
	}
	if room := cap(l.tags.records); room > keepRecords {
		t.Errorf("room of %d bytes is kept", room)
	}
}

func TestLedgerSkip(t *testing.T) {
	for _, test := range []struct {
		name, client, backend string
		skipClient            int64
		skipBackend           int64
		want                  string
	}{
		{"client, exactly", "A APPEND x {5+}\r\n", "", 5, 0, "bye why=unfinished out=1"},
		{"client, a part", "A APPEND x {5+}\r\n", "", 4, 0, "bye why=unfinished out=1 c=1"},
		{"client, too many", "A APPEND x {5+}\r\n", "", 6, 0, "selected why=doubt doubt=skip out=1"},
		{"client, negative", "A APPEND x {5+}\r\n", "", -1, 0, "selected why=doubt doubt=skip out=1"},
		{"client, none there", "A NOOP\r\n", "", 1, 0, "selected why=doubt doubt=skip out=1"},
		{"client, before the plus", "A APPEND x {5}\r\n", "", 1, 0, "selected why=doubt doubt=skip out=1"},
		{"client, after the plus", "A APPEND x {5}\r\n", "+\r\n", 5, 0, "bye why=unfinished out=1"},
		{"backend, exactly", "", "* 1 FETCH (BODY[] {5}\r\n", 0, 5, "logout why=unfinished"},
		{"backend, a part", "", "* 1 FETCH (BODY[] {5}\r\n", 0, 1, "logout why=unfinished s=4"},
		{"backend, too many", "", "* 1 FETCH (BODY[] {5}\r\n", 0, 6, "selected why=doubt doubt=skip"},
		{"backend, negative", "", "* 1 FETCH (BODY[] {5}\r\n", 0, -5, "selected why=doubt doubt=skip"},
		{"client, in doubt", "A\r\n", "", 5, 0, "bye selected why=doubt doubt=line"},
		{"backend, in doubt", "", "\r\n", 0, 5, "selected why=doubt doubt=garbage"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l Ledger
			l.Client([]byte(test.client))
			l.Backend([]byte(test.backend))
			l.SkipClientLiteral(test.skipClient)
			l.SkipBackendLiteral(test.skipBackend)
			if diff := compare(test.want, l.verdict()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLedgerEverySplit cuts dialogues in two at every byte of each direction's
// pieces; where does not matter.
func TestLedgerEverySplit(t *testing.T) {
	for _, d := range format.Read(t, dialogueFiles, 9) {
		steps, offer := stepsOf(d), offers[d.Header("offers")]
		for at := 1; at < 64; at++ {
			playDialogue(t, steps, offer, fmt.Sprintf("split at %d", at), func(s string, piece func(string)) {
				n := min(at, len(s))
				piece(s[:n])
				piece(s[n:])
			})
		}
	}
}

// TestLedgerHugeLine: a line without end costs nothing, and what it says is
// still judged by its two ends.
func TestLedgerHugeLine(t *testing.T) {
	var l Ledger
	filler := bytes.Repeat([]byte("1234567,"), 1<<12)
	l.Client([]byte("A UID FETCH "))
	allocated := testing.AllocsPerRun(10, func() { l.Client(filler) })
	l.Client([]byte(" (FLAGS) {5+}\r\nhello\r\n"))
	if diff := compare("logout bye why=outstanding out=1 last=UID FETCH", l.verdict()); diff != "" {
		t.Error(diff)
	}
	l.Backend([]byte("* ESEARCH "))
	allocated += testing.AllocsPerRun(10, func() { l.Backend(filler) })
	l.Backend([]byte(" {3}\r\nabc\r\nA OK\r\n"))
	if diff := compare("logout bye idle quiet reusable last=UID FETCH", l.verdict()); diff != "" {
		t.Error(diff)
	}
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

// exchanges are what sessions consist of.
var exchanges = []struct{ name, client, backend, client2, backend2 string }{
	{"noop", "A1 NOOP\r\n", "A1 OK done\r\n", "", ""},
	{"fetch", "A1 UID FETCH 1:* (UID FLAGS BODY.PEEK[])\r\n",
		"* 1 FETCH (UID 1 FLAGS (\\Seen) BODY[] {200}\r\n" + strings.Repeat("x", 200) + ")\r\nA1 OK done\r\n", "", ""},
	{"append", "A1 APPEND INBOX (\\Seen) {5}\r\n", "+ go\r\n", "hello\r\n", "A1 OK done\r\n"},
	{"append non-sync", "A1 APPEND INBOX (\\Seen) {5+}\r\nhello\r\n", "A1 OK done\r\n", "", ""},
	{"idle", "A1 IDLE\r\n", "+ idling\r\n* 3 EXISTS\r\n", "DONE\r\n", "A1 OK done\r\n"},
	{"pipeline", "A1 NOOP\r\nA2 NOOP\r\nA3 NOOP\r\nA4 NOOP\r\n", "A1 OK\r\nA2 OK\r\nA4 OK\r\nA3 OK\r\n", "", ""},
	{"cut lines", "A1 NO", "* 3 EXI", "OP\r\n", "STS\r\nA1 OK done\r\n"},
}

func TestLedgerAllocatesNothing(t *testing.T) {
	for _, e := range exchanges {
		t.Run(e.name, func(t *testing.T) {
			var l Ledger
			c, b, c2, b2 := []byte(e.client), []byte(e.backend), []byte(e.client2), []byte(e.backend2)
			n := testing.AllocsPerRun(100, func() {
				l.Client(c)
				l.Backend(b)
				l.Client(c2)
				l.Backend(b2)
				_, _ = l.MayLogout()
				_, _ = l.Reusable()
				_, _, _ = l.Idle(), l.LastCommand(), l.Doubt()
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

func BenchmarkLedger(b *testing.B) {
	benchmarkExchanges(b, func(*Ledger) {}, (*Ledger).Client, (*Ledger).Backend)
}

// benchmarkExchanges has ledgers take exchanges by the functions for the two sides.
func benchmarkExchanges(b *testing.B, prepare func(*Ledger), client, backend func(*Ledger, []byte)) {
	for _, e := range exchanges {
		b.Run(e.name, func(b *testing.B) {
			var l Ledger
			prepare(&l)
			c, s, c2, s2 := []byte(e.client), []byte(e.backend), []byte(e.client2), []byte(e.backend2)
			b.SetBytes(int64(len(c) + len(s) + len(c2) + len(s2)))
			b.ReportAllocs()
			for b.Loop() {
				client(&l, c)
				backend(&l, s)
				client(&l, c2)
				backend(&l, s2)
			}
			if l.Doubt() != "" {
				b.Fatal(l.Doubt())
			}
		})
	}
}

// BenchmarkLedgerBytes takes 32 KiB chunks of one kind.
func BenchmarkLedgerBytes(b *testing.B) {
	const chunk = 32 << 10
	x := bytes.Repeat([]byte("x"), chunk)
	lines := bytes.Repeat([]byte("* 12345 FETCH (UID 67890 FLAGS (\\Seen \\Answered) RFC822.SIZE 3210)\r\n"), chunk/68)
	digits := bytes.Repeat([]byte("1234567,"), chunk/8)
	letters := bytes.Repeat([]byte("subject "), chunk/8)
	for _, test := range []struct {
		name, client, backend string
		chunk                 []byte
		feed                  func(l *Ledger, p []byte)
	}{
		{"backend literal", "", "* 1 FETCH (BODY[] {9223372036854775807}\r\n", x, (*Ledger).Backend},
		{"backend lines of 68", "", "", lines, (*Ledger).Backend},
		{"backend long line", "", "* ESEARCH ", digits, (*Ledger).Backend},
		{"client literal", "A APPEND x {9223372036854775807+}\r\n", "", x, (*Ledger).Client},
		{"client long line of digits", "A FETCH ", "", digits, (*Ledger).Client},
		{"client long line of words", "A FETCH ", "", letters, (*Ledger).Client},
	} {
		b.Run(test.name, func(b *testing.B) {
			var l Ledger
			l.Client([]byte(test.client))
			l.Backend([]byte(test.backend))
			b.SetBytes(int64(len(test.chunk)))
			b.ReportAllocs()
			for b.Loop() {
				test.feed(&l, test.chunk)
			}
			if l.Doubt() != "" {
				b.Fatal(l.Doubt())
			}
		})
	}
}

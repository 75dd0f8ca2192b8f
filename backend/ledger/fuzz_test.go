package ledger

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Bytes that switch the direction in a fuzzed script; all others are said.
const (
	toClientSide  = 0x01
	toBackendSide = 0x02
)

// parseScript cuts fuzzed bytes into the pieces of a dialogue.
func parseScript(data []byte) []step {
	var steps []step
	who := byte('C')
	for len(data) > 0 {
		end := bytes.IndexAny(data, "\x01\x02")
		if end < 0 {
			end = len(data)
		}
		if end > 0 {
			steps = append(steps, step{who: who, bytes: string(data[:end])})
		}
		if end < len(data) {
			who = 'C'
			if data[end] == toBackendSide {
				who = 'S'
			}
			end++
		}
		data = data[end:]
	}
	return steps
}

// feedSkipping moves literals by the skip methods.
func feedSkipping(l *Ledger, who byte, s string) {
	for s != "" {
		literal, skip := l.ClientLiteral, l.SkipClientLiteral
		if who == 'S' {
			literal, skip = l.BackendLiteral, l.SkipBackendLiteral
		}
		n := min(int64(len(s)), literal())
		if skip(n); n > 0 {
			s = s[n:]
			continue
		}
		feed(l, who, s[:1])
		s = s[1:]
	}
}

// checkScript plays a script to the reference and to ledgers fed whole, by the
// byte, by random chunks and by skipping; all have to answer alike at every step.
func checkScript(t *testing.T, steps []step, seed uint64) {
	t.Helper()
	offer := []string{"none", "short", "any"}[seed%3]
	r := reference{offer: offer}
	var whole, single, random, skipping Ledger
	for _, l := range []*Ledger{&whole, &single, &random, &skipping} {
		l.Offers(offers[offer])
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for i, s := range steps {
		r.feed(s.who, s.bytes)
		feed(&whole, s.who, s.bytes)
		for j := range len(s.bytes) {
			feed(&single, s.who, s.bytes[j:j+1])
		}
		for rest := s.bytes; rest != ""; {
			n := 1 + rng.IntN(len(rest))
			feed(&random, s.who, rest[:n])
			rest = rest[n:]
		}
		feedSkipping(&skipping, s.who, s.bytes)
		want := r.verdict()
		for _, l := range []struct {
			name   string
			ledger *Ledger
		}{{"whole", &whole}, {"bytes", &single}, {"chunks", &random}, {"skipping", &skipping}} {
			if got := l.ledger.verdict(); got != want {
				t.Fatalf("%s, offering %s, step %d of %s:\n got %s\nwant %s", l.name, offer, i, tell(steps),
					describe(got), describe(want))
			}
		}
	}
}

func tell(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "%c %q, ", s.who, s.bytes)
	}
	return b.String()
}

// FuzzLedger feeds arbitrary bytes.
func FuzzLedger(f *testing.F) {
	for _, d := range format.Read(f, dialogueFiles, 9) {
		data := []byte(scriptOf(stepsOf(d)))
		f.Add(data, uint64(len(data)))
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		checkScript(t, parseScript(data), seed)
	})
}

// scriptOf turns a dialogue into what parseScript reads.
func scriptOf(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		switch s.who {
		case 'C':
			b.WriteByte(toClientSide)
		case 'S':
			b.WriteByte(toBackendSide)
		default:
			continue
		}
		b.WriteString(strings.NewReplacer("\x01", "", "\x02", "").Replace(s.bytes))
	}
	return b.String()
}

// fragments are what FuzzLedgerWords puts scripts together from; a byte of its
// input picks one, one of the first 64 more often than the rest.
var fragments = []string{
	"\x01", "\x02", "\x01", "\x02", "\r\n", "\r\n", "\n", " ", "A ", "B ", "C ", "NOOP", "OK", "NO", "BAD", "* ",
	"+ go\r\n", "+\r\n", "A OK x\r\n", "B OK x\r\n", "C OK x\r\n", "A NO x\r\n", "B NO x\r\n", "A BAD x\r\n",
	"B BAD x\r\n",
	"A NOOP\r\n", "B NOOP\r\n", "C NOOP\r\n", "A IDLE\r\n", "B IDLE\r\n", "DONE\r\n", "done\n", "A SELECT x\r\n",
	"B SELECT x\r\n", "C CLOSE\r\n", "A COMPRESS DEFLATE\r\n", "B COMPRESS DEFLATE\r\n", "A APPEND x ", "B APPEND x ",
	"A SELECT ", "{3}\r\n", "{3+}\r\n", " {2}\r\n", " {2+}\r\n", "(~{1}\r\n", "{0}\r\n", "{0+}\r\n", "abc", "a\nc", "x",
	"* 1 FETCH (BODY[] {3}\r\n", "* 1 EXISTS\r\n", "* OK {3}\r\n", "* BYE x\r\n", " {3}\r\n", ")\r\n", "A LOGOUT\r\n",
	"A FETCH 1 FLAGS\r\n", "B STORE 1 (UNCHANGEDSINCE 1)\r\n", "C SEARCH RETURN (UPDATE) ALL\r\n", "A ENABLE X\r\n",
	"B UID ",
	"C XFOO\r\n", "\x02A OK x\r\n\x01",
	"B STARTTLS\r\n", "A AUTHENTICATE PLAIN\r\n", "UID ", "SEARCH ", "UPDATE ", "context", "MODSEQ", "HIGHESTMODSEQ",
	"\"", "\\", "(",
	"{", "}", "+}", "-}", "{99999999999999999999}\r\n", "{9223372036854775807}", "{9223372036854775808}",
	"0000000000000000", "~",
	"* BAD x\r\n", "* PREAUTH x\r\n", "\x00", "\x7f", "\xff", "\r", "A", "LOGIN ", "NOTIFY NONE", "LANGUAGE",
	"COMPARATOR",
	"{4096+}\r\n", "{4097+}\r\n",
	"UNAUTHENTICATE", "UNSELECT", "EXAMINE ", "123456789012345678901234567890123", "\r\r\n",
}

func script(picks []byte) []byte {
	var b []byte
	for _, p := range picks {
		i := int(p)
		if i >= len(fragments) {
			i %= 64
		}
		b = append(b, fragments[i]...)
	}
	return b
}

// FuzzLedgerWords puts scripts together from what matters to a ledger, which
// gets deeper than arbitrary bytes do.
func FuzzLedgerWords(f *testing.F) {
	f.Add([]byte{28, 1, 16, 0, 30, 1, 18, 0, 25}, uint64(1))
	f.Add([]byte{37, 40, 1, 16, 0, 47, 4, 1, 18}, uint64(2))
	f.Add([]byte{37, 41, 47, 43, 1, 21, 0, 47, 4}, uint64(3))
	f.Add([]byte{25, 26, 35, 1, 18, 19, 18, 0, 49}, uint64(4))
	f.Fuzz(func(t *testing.T, picks []byte, seed uint64) {
		if len(picks) > 200 {
			return
		}
		checkScript(t, parseScript(script(picks)), seed)
	})
}

// TestLedgerRandomWords is FuzzLedgerWords without the fuzzer: 20,000 scripts.
func TestLedgerRandomWords(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 7))
	for range 20_000 {
		picks := make([]byte, rng.IntN(24))
		for i := range picks {
			picks[i] = byte(rng.IntN(256))
		}
		checkScript(t, parseScript(script(picks)), rng.Uint64())
	}
}

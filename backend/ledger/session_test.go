package ledger

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// commandLines are commands that sessions are made of, without their tags.
var commandLines = []string{
	"NOOP\r\n", "NOOP\n", "FETCH 1 BODY[]\r\n", "UID FETCH 1:* (FLAGS)\r\n", "SELECT INBOX\r\n", "EXAMINE x\r\n",
	"CLOSE\r\n", "UNSELECT\r\n",
	"IDLE\r\n", "IDLE\r\n", "APPEND x {5}\r\n", "APPEND x (\\Seen) {7+}\r\n", "APPEND x ~{3}\r\n", "SELECT {4}\r\n",
	"SEARCH SUBJECT {0}\r\n",
	"COMPRESS DEFLATE\r\n", "STARTTLS\r\n", "STORE 1 (UNCHANGEDSINCE 5) FLAGS (x)\r\n",
	"SEARCH RETURN (UPDATE) ALL\r\n", "LOGOUT\r\n", "XFOO y\r\n",
	"CREATE \"a \\\" {3}\"\r\n", "LIST \"\" " + strings.Repeat("*", 300) + "\r\n",
}

// untaggedLines are what a backend says by itself.
var untaggedLines = []string{
	"* 3 EXISTS\r\n", "* OK Still here {3}\r\n", "* 1 FETCH (BODY[] {6}\r\n", "* 1 FETCH (FLAGS ())\r\n",
	"* BYE now\r\n", "* LIST () \"/\" {0}\r\n",
	"* SEARCH " + strings.Repeat("1234567 ", 40) + "\r\n",
}

// script bytes of a literal: line ends and what looks like lines among them.
const literalBytes = "A OK\r\nB LOGOUT\r\n{3+}\r\n* BYE\r\n+\r\nDONE\r\n"

// session makes up a dialogue that is mostly right, by asking the reference what
// may come next; now and then it is wrong.
func session(rng *rand.Rand, length int) []step {
	var steps []step
	var r reference
	for range length {
		s := nextStep(rng, &r, len(steps))
		r.feed(s.who, s.bytes)
		steps = append(steps, s)
	}
	return steps
}

func pick(rng *rand.Rand, from ...string) string { return from[rng.IntN(len(from))] }

func nextStep(rng *rand.Rand, r *reference, n int) step {
	switch {
	case rng.IntN(100) == 0:
		return step{who: pick(rng, "C", "S")[0], bytes: strings.Trim(pick(rng, fragments...), "\x01\x02")}
	case rng.IntN(2) == 0:
		if s := backendStep(rng, r); s != "" {
			return step{who: 'S', bytes: s}
		}
	}
	if s := clientStep(rng, r, n); s != "" {
		return step{who: 'C', bytes: s}
	}
	return step{who: 'S', bytes: backendStep(rng, r)}
}

// clientStep gives what the client may say, "" when it has to wait.
func clientStep(rng *rand.Rand, r *reference, n int) string {
	switch {
	case r.pending == "done":
		return pick(rng, "DONE\r\n", "done\n")
	case r.pending != "":
		return ""
	case r.clientLiteral > 0:
		return literalBytes[:1+rng.IntN(int(min(r.clientLiteral, int64(len(literalBytes)))))]
	case r.writing != nil:
		return pick(rng, "\r\n", "\r\n", ")\n", " {4}\r\n", " (FLAGS) {5+}\r\n")
	}
	return fmt.Sprintf("t%d %s", n, pick(rng, commandLines...))
}

// backendStep gives what the backend may say.
func backendStep(rng *rand.Rand, r *reference) string {
	switch {
	case r.backendLiteral > 0:
		return literalBytes[:1+rng.IntN(int(min(r.backendLiteral, int64(len(literalBytes)))))]
	case r.inData:
		return pick(rng, ")\r\n", ")\n", " FLAGS () BODY[] {3}\r\n")
	case (r.pending == "literal" || r.pending == "idle") && rng.IntN(4) > 0:
		return pick(rng, "+ go on\r\n", "+\n")
	case len(r.open) > 0 && rng.IntN(4) > 0 && !(r.pending == "done" && len(r.open) == 1):
		of := rng.IntN(len(r.open))
		if r.pending != "" && of == len(r.open)-1 {
			return r.open[of].tag + " NO refused\r\n"
		}
		return r.open[of].tag + pick(rng, " OK done\r\n", " OK\n", " NO [X] {5}\r\n", " BAD x\r\n")
	}
	return pick(rng, untaggedLines...)
}

// TestLedgerRandomSessions plays 5,000 sessions that are mostly right, and most
// of which have to stay free of doubt for a while: else it would test little.
func TestLedgerRandomSessions(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 11))
	long := 0
	for range 5_000 {
		steps := session(rng, 30)
		checkScript(t, steps, rng.Uint64())
		var l Ledger
		for _, s := range steps[:12] {
			feed(&l, s.who, s.bytes)
		}
		if l.Doubt() == "" && !l.Compressed() {
			long++
		}
	}
	if long < 2_000 {
		t.Errorf("seed %d: only %d sessions went on for 12 steps", seed, long)
	}
}

// FuzzLedgerSessions varies sessions that are mostly right by their seeds.
func FuzzLedgerSessions(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint64(30), seed)
	}
	f.Fuzz(func(t *testing.T, seed, length, chunks uint64) {
		checkScript(t, session(rand.New(rand.NewPCG(seed, 3)), int(length%100)), chunks)
	})
}

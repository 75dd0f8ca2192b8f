package ledger

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// attacks are the policies that are attacked, with what may not get through.
var attacks = []struct {
	policy string
	bad    func(v *victim) string // what has
}{
	{"", hasName("UNAUTHENTICATE", "COMPRESS", "STARTTLS", "AUTHENTICATE", "LOGIN")},
	{"escapes", hasName("UNAUTHENTICATE", "COMPRESS", "STARTTLS", "AUTHENTICATE", "LOGIN")},
	{"deny=COPY,XFOO,IDLE", hasName("UNAUTHENTICATE", "COPY", "XFOO", "IDLE")},
	{"read_only", hasName("UNAUTHENTICATE", "SELECT", "STORE", "APPEND", "COPY", "XFOO", "CREATE")},
	{"append_limit=9", func(v *victim) string {
		if bad := hasName("UNAUTHENTICATE")(v); bad != "" {
			return bad
		}
		for _, line := range v.lines {
			m := victimLiteral.FindStringSubmatch(line)
			if m != nil && strings.HasPrefix(line, "APPEND ") && len(strings.TrimLeft(m[1], "0")) > 1 {
				return line
			}
		}
		return ""
	}},
}

func hasName(names ...string) func(*victim) string {
	return func(v *victim) string {
		for _, name := range v.names {
			if slices.Contains(names, name) || slices.Contains(names, strings.TrimPrefix(name, "UID ")) {
				return name
			}
		}
		return ""
	}
}

// attackWords are what attacks are put together from.
var attackWords = []string{
	"\r\n", "\r\n", "\r\n", "\n", " ", " ", "a ", "b ", "c ", "d ", "e ", "UNAUTHENTICATE", "UNAUTHENTICATE\r\n",
	"a UNAUTHENTICATE\r\n", "b COMPRESS DEFLATE\r\n", "c STARTTLS\r\n", "d LOGIN x y\r\n", "e AUTHENTICATE PLAIN\r\n",
	"a COPY 1 x\r\n", "b UID COPY 1 x\r\n", "c XFOO\r\n", "d SELECT x\r\n", "e STORE 1 x\r\n", "f uid store 1 x\r\n",
	"a CREATE x\r\n", "f CREATE x\r\n", "g NOOP\r\n", "h NOOP\r\n", "i IDLE\r\n", "DONE\r\n", "j APPEND x ",
	"a FETCH ", "b SEARCH ", "c APPEND x ", "{16+}\r\n", "{16}\r\n", "{3+}\r\n", "{3}\r\n", "{0+}\r\n", "{0}\r\n",
	"{9+}\r\n", "{12}\r\n", "{27+}\r\n", "~{5+}\r\n", "(", ")", "\"", "\\", "+", "{", "}", "\r",
	"\x00", "\t", "*", "UID ",
	"b UNAUTHENTICATE", "\rb UNAUTHENTICATE\r\n", "\x00b UNAUTHENTICATE\r\n",
	"a CREATE x\x00b UNAUTHENTICATE\x00\r\n", "b CREATE x\rc STARTTLS\rx\r\n", "x", "abc", " {5}",
	"{99999999999999999999+}\r\n",
	"j APPEND x \"b UNAUTHENTICATE\r\n", "j APPEND x {3}\r\nabc \"b UID COPY 1 x\r\n",
	"k REPLACE 1 x {y}d STARTTLS\r\n",
	"j APPEND x CATENATE (BAD)b COPY 1 x\r\n", " CATENATE (TEXT ", " (\\Seen ",
}

// attack plays an attack on each policy and each kind of backend. The client's bytes
// and the backend's pass in pieces, and the client may wait for answers.
func attack(t *testing.T, said string, seed uint64) {
	t.Helper()
	for _, a := range attacks {
		for kind := range 4 {
			rng := rand.New(rand.NewPCG(seed, uint64(kind)))
			v := &victim{rng: rng, lenient: kind&1 != 0, forgets: kind&2 != 0}
			r := newRelayed(t, a.policy)
			if v.forgets && !r.l.careful {
				continue // see Enforce
			}
			playAttack(r, v, said, rng)
			if bad := a.bad(v); bad != "" {
				t.Fatalf("policy %q, backend lenient %v, forgets %v, seed %d: %q has passed %q", a.policy, v.lenient,
					v.forgets, seed, said, bad)
			}
		}
	}
}

func playAttack(r *relayed, v *victim, said string, rng *rand.Rand) {
	answers := ""
	for said != "" || answers != "" || r.toBackend != "" {
		switch n := 1 + rng.IntN(12); {
		case r.toBackend != "" && rng.IntN(2) == 0:
			p := r.toBackend
			r.toBackend = ""
			answers += v.hear(p)
		case answers != "" && rng.IntN(2) == 0:
			n = min(n, len(answers))
			r.backend(answers[:n])
			answers = answers[n:]
		case said != "" && rng.IntN(2) == 0:
			n = min(n, len(said))
			r.client(said[:n])
			said = said[n:]
		}
	}
}

// TestAttacks tries 2,000 attacks.
func TestAttacks(t *testing.T) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), 3))
	for range 2_000 {
		var said strings.Builder
		for range 1 + rng.IntN(16) {
			said.WriteString(pick(rng, attackWords...))
		}
		attack(t, said.String(), rng.Uint64())
	}
}

// FuzzAttack is TestAttacks with any bytes.
func FuzzAttack(f *testing.F) {
	for i, w := range attackWords {
		f.Add("a NOOP\r\nb FETCH "+w+"c UNAUTHENTICATE\r\n", uint64(i))
	}
	f.Add("a FETCH ) {16+}\r\nb UNAUTHENTICATE\r\n", uint64(5))
	f.Add("a APPEND x {18}\r\nb UNAUTHENTICATE\r\n\r\nc NOOP\r\n", uint64(6))
	f.Fuzz(func(t *testing.T, said string, seed uint64) {
		if len(said) < 1000 {
			attack(t, said, seed)
		}
	})
}

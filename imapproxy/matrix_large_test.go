package imapproxy

import (
	"strings"

	"imapproxy/backend"
)

// largePhase is a phase in the middle of a literal that is large enough to be
// spliced between two sockets without TLS; with TLS on one of them it is copied.
// The fault matrix has a row for each direction and each choice of TLS.
type largePhase struct {
	size                  int // of the literal; 0 in all other phases
	clientTLS, backendTLS bool
}

// largeSize leaves far more than the bound of splicing when half of it has gone.
const largeSize = 2 << 20

// largePrefix begins the phases' names; the direction, then how the client and
// the backend are connected, follow: relay_large_c2s_plain_tls.
const largePrefix = "relay_large_"

// sizeOf finds the phase that a large one is a variant of; others stay as they are.
func sizeOf(c matrixCell) (matrixCell, largePhase) {
	rest, isLarge := strings.CutPrefix(c.Phase, largePrefix)
	words := strings.Split(rest, "_")
	if !isLarge || len(words) != 3 {
		return c, largePhase{}
	}
	c.Phase = "relay_literal_" + words[0]
	return c, largePhase{size: largeSize, clientTLS: words[1] == "tls", backendTLS: words[2] == "tls"}
}

func (l largePhase) listener() string {
	if l.clientTLS {
		return "tls"
	}
	return "plain"
}

// secureBackend gives the rig a backend with TLS from the first byte.
func secureBackend(r *rig) {
	r.backendTLS = true
	r.target.TLS = backend.TLSImplicit
	r.target.TLSConfig = clientTLS()
}

func (s *stage) inLargeClientLiteral() {
	s.appends(s.large.size)
	s.pour("5", func(text string) {
		s.c.write(text)
	}, func(text string) {
		s.hears("}\r\n" + s.first + text)
	})
}

func (s *stage) inLargeBackendLiteral() {
	s.fetches(s.large.size)
	s.pour("m", s.b.write, s.reads)
}

// pour sends the literal's bytes, each the same, until some have been spliced,
// where the phase allows that, and notes what has gone and what is left. The
// relay is held up while a piece is sent, so that it finds more than one read
// takes; how fast the machine is does not matter.
func (s *stage) pour(fill string, send, arrived func(string)) {
	s.t.Helper()
	piece := strings.Repeat(fill, 96<<10)
	r := &s.session().relay
	s.first = ""
	for s.first == "" || s.splices() && openPipes(s.server) == 0 {
		if len(s.first) > s.large.size/2 {
			s.t.Fatal("nothing was spliced")
		}
		func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			send(piece)
		}()
		arrived(piece)
		s.first += piece
	}
	s.second = strings.Repeat(fill, s.large.size-len(s.first))
}

// splices reports whether a large literal goes through the kernel in this phase.
func (s *stage) splices() bool { return !s.large.clientTLS && !s.large.backendTLS }

// junkHalf is a second half of the client's literal that looks like no literal.
func (s *stage) junkHalf() string {
	const junk = "\x00\xff\r\n!"
	return junk + s.second[len(junk):]
}

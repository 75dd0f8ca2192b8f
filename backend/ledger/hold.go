package ledger

// maxHeld bounds what may have to be held back: a tag, a space, LOGOUT and CR.
const maxHeld = MaxTag + 1 + len("LOGOUT") + 1

// hold is the state of a ledger that keeps the client's LOGOUT from the
// backend.
type hold struct {
	said   bool // the client's LOGOUT has come
	tag    string
	kept   [maxHeld]byte // the beginning of a line that may become LOGOUT
	n      int
	joined []byte // kept bytes in front of those that followed
}

// HoldLogout has Forward keep the client's LOGOUT, so that the connection can
// be used again.
func (l *Ledger) HoldLogout() { l.hold = &hold{} }

// HeldLogout returns the tag of the client's LOGOUT that has been kept.
func (l *Ledger) HeldLogout() (tag string, held bool) {
	if l.hold == nil || !l.hold.said {
		return "", false
	}
	return l.hold.tag, true
}

// Forward takes bytes that the client sends, and gives those that are to be
// written to the backend now: all of them, but for a LOGOUT that is held and
// what follows it, and for the beginning of a line that may become one, which
// comes with the bytes that decide. The result is valid until the next call.
func (l *Ledger) Forward(p []byte) []byte {
	h := l.hold
	if h == nil {
		l.Client(p)
		return p
	}
	if h.said {
		return nil
	}
	if h.n > 0 {
		h.joined = append(append(h.joined[:0], h.kept[:h.n]...), p...)
		p, h.n = h.joined, 0
	}
	done := 0
	for done < len(p) && l.doubt == noDoubt {
		rest := p[done:]
		if l.atCommand() {
			n, logout, open := logoutLine(rest)
			if logout {
				h.said, h.tag = true, string(rest[:n])
				return p[:done]
			}
			if open {
				h.n = copy(h.kept[:], rest)
				return p[:done]
			}
		}
		n := l.step(rest)
		l.Client(rest[:n])
		done += n
	}
	return p
}

// atCommand reports whether the client's next byte begins a command.
func (l *Ledger) atCommand() bool {
	return !l.client.begun() && !l.inCommand && l.wait == waitNothing && l.clientLiteral == 0
}

// step is how far to go on before the client's place has to be looked at again.
func (l *Ledger) step(p []byte) int {
	if l.clientLiteral > 0 && l.wait == waitNothing {
		return int(min(int64(len(p)), l.clientLiteral))
	}
	for i, b := range p {
		if b == '\n' {
			return i + 1
		}
	}
	return len(p)
}

// logoutLine reports whether p begins with a line that is LOGOUT and nothing
// else, with its tag in the first n bytes, or whether that is still open.
func logoutLine(p []byte) (n int, logout, open bool) {
	for n < len(p) && n <= MaxTag && tagByte(p[n]) {
		n++
	}
	if n == len(p) {
		return n, false, n > 0 && n <= MaxTag
	}
	if n == 0 || n > MaxTag || p[n] != ' ' {
		return n, false, false
	}
	rest := p[n+1:]
	const word = "LOGOUT"
	k := min(len(rest), len(word))
	if !foldEqual(rest[:k], word[:k]) {
		return n, false, false
	}
	if k < len(word) {
		return n, false, true
	}
	switch rest = rest[k:]; {
	case len(rest) == 0, len(rest) == 1 && rest[0] == '\r':
		return n, false, true
	case rest[0] == '\n', rest[0] == '\r' && rest[1] == '\n':
		return n, true, false
	}
	return n, false, false
}

package ledger

// maxWord bounds each word of a command's name where a policy is in force.
const maxWord = 64

// startKind says what a client's line begins with.
type startKind uint8

const (
	startOpen      startKind = iota // that is not decided yet
	startCommand                    // a tag and a command's name
	startBlank                      // an empty line, or a DONE after IDLE has ended
	startMalformed                  // neither
)

// start is the beginning of a client's line as far as it names a command.
type start struct {
	kind startKind
	tag  []byte // "*" where there is none
	name []byte // UID and the word after it count as one
	end  int    // where the name ends
	last bool   // the line ends there
}

var noTag = []byte("*")

// cutStart reads the beginning of a client's line. It is strict, since backends are
// not all alike: what one of them may take for another command is malformed.
func cutStart(p []byte) start {
	n := 0
	for n < len(p) && n <= MaxTag && tagByte(p[n]) {
		n++
	}
	malformed := start{kind: startMalformed, tag: noTag}
	switch {
	case n > MaxTag:
		return malformed
	case n == len(p):
		return start{}
	}
	ends, open := lineEnd(p[n:])
	switch {
	case open:
		return start{}
	case ends && (n == 0 || foldEqual(p[:n], "DONE")):
		return start{kind: startBlank}
	case n == 0, !ends && p[n] != ' ':
		return malformed
	}
	malformed.tag = p[:n]
	if ends {
		return malformed
	}
	s := cutWord(p, n+1)
	if s.kind == startCommand && !s.last && foldEqual(s.name, "UID") {
		s = cutWord(p, s.end+1)
	}
	switch s.kind {
	case startMalformed:
		return malformed
	case startCommand:
		s.tag, s.name = p[:n], p[n+1:s.end]
	}
	return s
}

// cutWord reads an atom that begins at an offset, and what may end it.
func cutWord(p []byte, from int) start {
	end := from
	for end < len(p) && end-from <= maxWord && atomByte(p[end]) {
		end++
	}
	switch {
	case end-from > maxWord:
		return start{kind: startMalformed}
	case end == len(p):
		return start{}
	case end == from:
		return start{kind: startMalformed}
	}
	ends, open := lineEnd(p[end:])
	switch {
	case open:
		return start{}
	case !ends && p[end] != ' ':
		return start{kind: startMalformed}
	}
	return start{kind: startCommand, name: p[from:end], end: end, last: ends}
}

// lineEnd reports whether p, which is not empty, begins with CRLF or LF, or whether
// that is still open.
func lineEnd(p []byte) (ends, open bool) {
	switch {
	case p[0] == '\n':
		return true, false
	case p[0] != '\r':
		return false, false
	case len(p) == 1:
		return false, true
	}
	return p[1] == '\n', false
}

// atomByte reports whether b may stand in an atom.
func atomByte(b byte) bool { return b == '+' || b != ']' && tagByte(b) }

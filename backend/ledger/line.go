package ledger

import (
	"bytes"
	"math"
)

// Bytes remembered of a line that is not complete: the first headSize (a tag,
// a space, the longest command name, a space) and the last tailSize (a literal's
// announcement, CR included). What lies between decides nothing.
const (
	headSize = MaxTag + 1 + maxName + 1
	tailSize = 32
)

// window remembers the beginning and the end of a line that comes in pieces. It
// takes its room with the first one, and keeps it: most idle connections have
// none.
type window struct{ *pieces }

type pieces struct {
	n    uint8 // bytes of the line so far; math.MaxUint8 stands for that many or more
	head [headSize]byte
	tail [tailSize]byte
}

// line is a whole line as far as it is remembered, without its LF or CRLF.
type line struct {
	head []byte // the first bytes, headSize at most
	tail []byte // the last bytes, tailSize at most
	n    int    // its length, math.MaxUint8 at most
	cr   bool   // it ended in CRLF
}

// begun reports whether a piece of a line is remembered.
func (w window) begun() bool { return w.pieces != nil && w.n > 0 }

// add remembers a piece of a line; the piece holds no LF.
func (w *window) add(p []byte) {
	if w.pieces == nil {
		w.pieces = new(pieces)
	}
	if int(w.n) < headSize {
		copy(w.head[w.n:], p)
	}
	if len(p) >= tailSize {
		copy(w.tail[:], p[len(p)-tailSize:])
	} else {
		have := min(int(w.n), tailSize)
		keep := min(have, tailSize-len(p))
		copy(w.tail[:keep], w.tail[have-keep:have])
		copy(w.tail[keep:], p)
	}
	w.n = saturate(int(w.n) + min(len(p), math.MaxUint8))
}

// end returns the whole line whose last piece is p (without LF), and forgets it.
// The answer is valid until the next add.
func (w *window) end(p []byte) line {
	if !w.begun() {
		return line{
			head: p[:min(len(p), headSize)],
			tail: p[max(0, len(p)-tailSize):],
			n:    min(len(p), math.MaxUint8),
		}.trim()
	}
	w.add(p)
	n := int(w.n)
	w.n = 0
	return line{head: w.head[:min(n, headSize)], tail: w.tail[:min(n, tailSize)], n: n}.trim()
}

func saturate(n int) uint8 { return uint8(min(n, math.MaxUint8)) }

// trim takes one CR off the end.
func (ln line) trim() line {
	if len(ln.tail) == 0 || ln.tail[len(ln.tail)-1] != '\r' {
		return ln
	}
	ln.tail = ln.tail[:len(ln.tail)-1]
	if len(ln.head) == ln.n {
		ln.head = ln.head[:ln.n-1]
	}
	ln.n--
	ln.cr = true
	return ln
}

// literalKind says how a literal is announced at a line's end.
type literalKind uint8

const (
	noLiteral      literalKind = iota
	syncLiteral                // {n}: its sender waits for "+"
	nonSyncLiteral             // {n+}: RFC 7888
	badLiteral                 // looks like one, but peers might disagree
)

// literal reads the announcement at the line's end: `{n}`, `{n+}`, `~{n}` or
// `~{n+}` after a space or an opening parenthesis (RFC 9051 section 9, RFC 7888
// section 8). Whatever else ends in "}" with a "{" before it is bad: one peer
// might take it for a literal and the other not.
func (ln line) literal() (int64, literalKind) {
	if !bytes.HasSuffix(ln.tail, []byte("}")) {
		return 0, ln.almostLiteral()
	}
	lit, found := CutLiteral(ln.tail)
	if !found {
		if ln.n > len(ln.tail) && allNumeric(ln.tail[:len(ln.tail)-1]) {
			return 0, badLiteral // a number too long for the window
		}
		return 0, noLiteral
	}
	n, err := lit.Size()
	if err != nil || lit.Mark == '-' || !argumentStart(lit.Before) {
		return 0, badLiteral
	}
	if lit.Mark == '+' {
		return n, nonSyncLiteral
	}
	return n, syncLiteral
}

// almostLiteral judges a line that does not end in "}": one that does but for
// white space is bad, since a peer might trim its lines.
func (ln line) almostLiteral() literalKind {
	t := bytes.TrimRight(ln.tail, " \t\r")
	if len(t) == len(ln.tail) {
		return noLiteral
	}
	if len(t) == 0 && ln.n > len(ln.tail) || bytes.HasSuffix(t, []byte("}")) && bytes.IndexByte(t, '{') >= 0 {
		return badLiteral
	}
	return noLiteral
}

// argumentStart reports whether an argument may begin after before, a "~" of a
// literal8 left aside.
func argumentStart(before []byte) bool {
	before = bytes.TrimSuffix(before, []byte("~"))
	if len(before) == 0 {
		return false
	}
	last := before[len(before)-1]
	return last == ' ' || last == '('
}

func allNumeric(p []byte) bool {
	for _, b := range p {
		if (b < '0' || b > '9') && b != '+' && b != '-' {
			return false
		}
	}
	return true
}

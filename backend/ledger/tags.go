package ledger

import "slices"

const (
	// maxTag is the longest tag that is tracked; RFC 9051 sets no limit, and
	// clients stay far below this one.
	maxTag = 32
	// maxOutstanding is how many commands may wait for their replies.
	maxOutstanding = 1000
	// keepOutstanding is the room that is kept when none is waiting: idle
	// connections are many.
	keepOutstanding = 4
)

// tag is a command's tag, padded with NUL, which no tag holds.
type tag [maxTag]byte

// outstanding is a command whose tagged reply has not come.
type outstanding struct {
	tag     tag
	kind    kind
	nonSync bool // it announced a non-synchronising literal
}

// cutTag splits head at its first space into a tag and what follows. It fails
// when the tag is empty, longer than maxTag or holds a byte that RFC 9051
// section 9 does not allow in a tag, and when no space follows.
func cutTag(head []byte) (t tag, rest []byte, ok bool) {
	for i, b := range head {
		if b == ' ' {
			return t, head[i+1:], i > 0
		}
		if i == maxTag || !tagByte(b) {
			return t, nil, false
		}
		t[i] = b
	}
	return t, nil, false
}

// tagByte tells whether b may stand in a tag: ASTRING-CHAR except "+".
func tagByte(b byte) bool {
	switch b {
	case '(', ')', '{', '%', '*', '"', '\\', '+':
		return false
	}
	return b > ' ' && b < 0x7F
}

// push adds a command behind all others.
func (l *Ledger) push(t tag, k kind) doubt {
	if l.find(t) >= 0 {
		return doubtDuplicate
	}
	if len(l.tags) == maxOutstanding {
		return doubtFlood
	}
	l.tags = append(l.tags, outstanding{tag: t, kind: k})
	return noDoubt
}

// find gives the place of a tag, -1 when no such command is outstanding.
func (l *Ledger) find(t tag) int {
	for i := range l.tags {
		if l.tags[i].tag == t {
			return i
		}
	}
	return -1
}

// remove takes a command out, and gives the room of a burst back with the last.
func (l *Ledger) remove(i int) {
	l.tags = slices.Delete(l.tags, i, i+1)
	if len(l.tags) == 0 && cap(l.tags) > keepOutstanding {
		l.tags = nil
	}
}

// selecting tells whether one of the first n outstanding commands changes which
// mailbox is selected.
func (l *Ledger) selecting(n int) bool {
	for i := range l.tags[:n] {
		if k := l.tags[i].kind; k == kindSelect || k == kindClose {
			return true
		}
	}
	return false
}

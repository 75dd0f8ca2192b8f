package ledger

import (
	"bytes"
	"slices"
)

// MaxTag is the longest tag that is taken, from clients before the login, from
// backends, and by the ledger; RFC 9051 sets no limit, and clients stay far below
// this one.
const MaxTag = 64

const (
	// maxOutstanding is how many commands may wait for their replies.
	maxOutstanding = 1000
	// keepRecords is the room in bytes that is kept when no command waits: idle
	// connections are many.
	keepRecords = 64
)

// IsTag reports whether b is a tag (RFC 9051 section 9) of at most MaxTag bytes.
func IsTag(b []byte) bool {
	for _, c := range b {
		if !tagByte(c) {
			return false
		}
	}
	return len(b) > 0 && len(b) <= MaxTag
}

// tagByte reports whether b may stand in a tag: ASTRING-CHAR except "+".
func tagByte(b byte) bool {
	switch b {
	case '(', ')', '{', '%', '*', '"', '\\', '+':
		return false
	}
	return b > ' ' && b < 0x7F
}

// cutTag splits head at its first space into a tag and what follows. It fails
// without a space and when what precedes it is no tag.
func cutTag(head []byte) (tag, rest []byte, ok bool) {
	tag, rest, ok = bytes.Cut(head, []byte(" "))
	return tag, rest, ok && IsTag(tag)
}

// queue holds the commands whose tagged replies have not come, in the order
// sent: for each one a record of its tag's length, its index in commands, its marks
// and its tag. A command is found by the offset of its record. Tags are short: a
// record takes 5 to 11 bytes as a rule, 67 at most, and all of them 67 kB at most.
type queue struct {
	n       int
	records []byte
}

const (
	recordHead = 3

	// The marks; the lower bits are a refusal.
	nonSync = 1 << 7 // it announced a {n+} literal that the backend does not offer to read
	refused = 1 << 6 // it never goes to the backend
	spoiled = 1 << 5 // its answer is replaced
	whyBits = spoiled - 1
)

// push adds a command after all others.
func (q *queue) push(tag []byte, c uint8) doubt {
	if q.find(tag) >= 0 {
		return doubtDuplicate
	}
	if q.n == maxOutstanding {
		return doubtFlood
	}
	q.n++
	q.records = append(append(q.records, uint8(len(tag)), c, 0), tag...)
	return noDoubt
}

// next returns the offset of the record after the one at an offset.
func (q *queue) next(at int) int { return at + recordHead + int(q.records[at]) }

// find returns the offset of a tag's record, -1 when the backend has no such
// command to answer.
func (q *queue) find(tag []byte) int {
	for at := 0; at < len(q.records); at = q.next(at) {
		if !q.has(at, refused) && bytes.Equal(q.tag(at), tag) {
			return at
		}
	}
	return -1
}

// command returns the command of a record.
func (q *queue) command(at int) *command { return &commands[q.records[at+1]] }

func (q *queue) kind(at int) kind { return q.command(at).kind }

// has reports whether a command has a mark.
func (q *queue) has(at int, mark uint8) bool { return q.records[at+2]&mark != 0 }

// why returns why a command is refused.
func (q *queue) why(at int) refusal { return refusal(q.records[at+2] & whyBits) }

// refuse adds a command that is refused, after all others, or before the last one,
// IDLE, which goes on.
func (q *queue) refuse(tag string, why refusal, inIdle bool) {
	at := len(q.records)
	for i := 0; inIdle && i < len(q.records); i = q.next(i) {
		at = i
	}
	q.n++
	record := append([]byte{uint8(len(tag)), 0, refused | uint8(why)}, tag...)
	q.records = slices.Insert(q.records, at, record...)
}

// due reports whether the first command of all is one that is refused: all before
// it have their answers.
func (q *queue) due() bool { return len(q.records) > 0 && q.has(0, refused) }

// full reports whether no command can be added.
func (q *queue) full() bool { return q.n >= maxOutstanding }

// tag returns the tag of a record, which is valid until the queue changes.
func (q *queue) tag(at int) []byte { return q.records[at+recordHead : q.next(at)] }

// isLast reports whether the command was sent last.
func (q *queue) isLast(at int) bool { return q.next(at) == len(q.records) }

// markNonSync notes that the last command announced a non-synchronising literal
// that the backend does not offer to read.
func (q *queue) markNonSync() { q.mark(nonSync, true) }

// mark sets or clears marks of the last command.
func (q *queue) mark(marks uint8, set bool) {
	for at := 0; at < len(q.records); at = q.next(at) {
		switch {
		case !q.isLast(at):
		case set:
			q.records[at+2] |= marks
		default:
			q.records[at+2] &^= marks
		}
	}
}

// anyNonSync reports whether markNonSync holds of any command.
func (q *queue) anyNonSync() bool {
	for at := 0; at < len(q.records); at = q.next(at) {
		if q.has(at, nonSync) {
			return true
		}
	}
	return false
}

// remove takes a command out. The last one of a burst frees its room.
func (q *queue) remove(at int) {
	q.n--
	q.records = slices.Delete(q.records, at, q.next(at))
	if q.n == 0 && cap(q.records) > keepRecords {
		q.records = nil
	}
}

// any reports whether one of the commands before an offset is of one of the kinds.
func (q *queue) any(before int, kinds ...kind) bool {
	for at := 0; at < before; at = q.next(at) {
		if slices.Contains(kinds, q.kind(at)) {
			return true
		}
	}
	return false
}

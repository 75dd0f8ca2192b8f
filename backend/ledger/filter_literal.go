package ledger

import "bytes"

// This file is what a filter does with literals.
//
// A backend that has given a command up may go on reading after its line, even one
// that offers LITERAL+: the bytes of a literal {n+} are then commands that no one
// has judged (Dovecot does so after a syntax error). Where a policy must not be
// escaped, the proxy asks first: the backend reads {n}, and the client's bytes
// wait for its "+".

// refuse begins to leave out a command, which is answered once all of it has come.
// A literal that waits for "+" is not invited: the answer takes its place.
func (l *Ledger) refuse(e *edit, at int, s start, why refusal) (int, bool) {
	switch {
	case l.deaf && why != notRefused:
		l.suspect(doubtGarbage) // there is no place for the answer
		return 0, true
	case !l.deaf && l.isCrowded():
		return l.stall(e, at)
	}
	f := l.state()
	f.swallow, f.answer, f.answerTag = true, why, string(s.tag)
	return 0, true
}

// swallow takes the next piece of a command that is left out, and returns its length.
func (l *Ledger) swallow(p []byte) int {
	f := l.filter
	if f.literal > 0 {
		return len(p) - len(skip(p, &f.literal))
	}
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		f.line.add(p)
		return len(p)
	}
	if n, kind := f.line.end(p[:end]).literal(); kind == nonSyncLiteral {
		f.literal = n
		return end + 1
	}
	f.swallow = false
	if f.answer != notRefused {
		f.count(f.answer)
		l.tags.refuse(f.answerTag, f.answer, l.wait == waitDone)
	}
	return end + 1
}

// openLiteral returns how many bytes at the end of an unfinished line may belong to
// the announcement of a literal that has to be changed.
func (l *Ledger) openLiteral(p []byte) int {
	if !l.careful {
		return 0
	}
	tail := p[max(0, len(p)-tailSize):]
	end := len(tail)
	for _, b := range []byte("\r}+") {
		if end > 0 && tail[end-1] == b {
			end--
		}
	}
	for end > 0 && tail[end-1] >= '0' && tail[end-1] <= '9' {
		end--
	}
	if end > 0 && tail[end-1] == '{' {
		return len(tail) - end + 1
	}
	return 0
}

// takeLiteral judges the literal that a line of n bytes has announced. The ledger
// has taken the line.
func (l *Ledger) takeLiteral(e *edit, at, n int) {
	limit := l.policy.appendLimit
	switch {
	case !l.careful:
	case l.answered && !l.syncing:
		l.suspect(doubtReply) // neither "+" nor a second refusal will come
	case limit > 0 && commands[l.last].stores && l.clientLiteral > limit:
		l.spoil(e, at, n)
	case !l.syncing:
		l.askFirst(e, at, n)
	}
}

// askFirst makes a literal a synchronising one.
func (l *Ledger) askFirst(e *edit, at, n int) {
	plus := at + bytes.LastIndexByte(e.in[at:at+n], '+')
	e.cut(plus, plus+1)
	l.tags.mark(nonSync, false)
	l.syncing, l.wait = true, waitLiteral
	f := l.state()
	f.plus, f.plusSize = true, l.clientLiteral
}

// spoil makes the backend refuse a command that it has the beginning of: NIL
// stands where its message was announced, and no backend stores that (Dovecot
// reads what follows a ")" as a command). Its answer is replaced.
func (l *Ledger) spoil(e *edit, at, n int) {
	line := e.in[at : at+n]
	from, to := bytes.LastIndexByte(line, '{'), bytes.LastIndexByte(line, '}')
	if from > 0 && line[from-1] == '~' {
		from--
	}
	e.cut(at+from, at+to+1)
	e.put(at+to+1, "NIL")
	f := l.state()
	f.spoiled++
	f.count(refusedTooBig)
	if !l.syncing {
		f.swallow, f.answer, f.literal = true, notRefused, l.clientLiteral
	}
	l.tags.mark(nonSync, false)
	l.tags.mark(spoiled|uint8(refusedTooBig), true)
	l.clientLiteral, l.wait, l.inCommand = 0, waitNothing, false
}

// askedFirst takes what came of a literal that the backend was asked about: where
// it does not want it, the client sends it all the same, and it is left out.
func (l *Ledger) askedFirst() {
	f := l.filter
	if l.blind || l.wait == waitLiteral {
		return
	}
	f.plus = false
	if !l.inCommand {
		f.swallow, f.answer, f.literal = true, notRefused, f.plusSize
	}
}

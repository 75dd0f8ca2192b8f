package ledger

import "bytes"

// Backend takes bytes that the backend sends to the client, just before they
// are written to it.
func (l *Ledger) Backend(p []byte) {
	for len(p) > 0 && !l.deaf && !l.compressed {
		if l.backendLiteral > 0 {
			p = skip(p, &l.backendLiteral)
			continue
		}
		p = p[l.backendLine(p, bytes.IndexByte(p, '\n')):]
	}
}

// backendLine takes a line that ends with the LF at an offset, or what there is of
// it when the offset is negative. It returns the length of what it has taken.
func (l *Ledger) backendLine(p []byte, end int) int {
	if end < 0 {
		l.backend.add(p)
		return len(p)
	}
	ln := l.backend.end(p[:end])
	if l.inData {
		l.data(ln)
	} else {
		l.response(ln)
	}
	return end + 1
}

// response takes a line that begins a response (RFC 9051 section 7).
func (l *Ledger) response(ln line) {
	h := ln.head
	switch {
	case len(h) > 2 && h[0] == '*' && h[1] == ' ':
		l.untagged(ln)
	case len(h) > 0 && h[0] == '+' && (len(h) == 1 || h[1] == ' '):
		l.proceed()
	default:
		tag, rest, ok := cutTag(h)
		status := statusOf(rest)
		if !ok || status < statusOK || status > statusBAD {
			l.deaf = true
			l.wonder(doubtGarbage)
			return
		}
		l.reply(tag, status)
	}
}

// status is a status response's word.
type status uint8

const (
	noStatus status = iota
	statusOK
	statusNO
	statusBAD
	statusBYE
	statusPREAUTH
)

// statusOf returns the status that begins p, noStatus when it is data.
func statusOf(p []byte) status {
	word := firstWord(p[:min(len(p), len("PREAUTH "))])
	switch {
	case foldEqual(word, "OK"):
		return statusOK
	case foldEqual(word, "NO"):
		return statusNO
	case foldEqual(word, "BAD"):
		return statusBAD
	case foldEqual(word, "BYE"):
		return statusBYE
	case foldEqual(word, "PREAUTH"):
		return statusPREAUTH
	}
	return noStatus
}

// untagged takes a line after "* ". What follows a status is text, where
// "{5}" at the end is no literal.
func (l *Ledger) untagged(ln line) {
	switch statusOf(ln.head[2:]) {
	case noStatus:
		l.data(ln)
	case statusBYE:
		l.byeSeen = true
	case statusBAD:
		if l.nonSync == NonSyncNone || l.tags.anyNonSync() { // RFC 9051 section 7.1.3: it can't tell which command
			l.wonder(doubtRefused)
		}
	case statusPREAUTH:
		l.deafen(doubtGarbage) // a greeting
	}
}

// data takes a line of untagged data, or its next piece after a literal.
func (l *Ledger) data(ln line) {
	n, kind := ln.literal()
	if kind == badLiteral {
		l.deafen(doubtLiteral)
		return
	}
	l.backendLiteral = n
	l.inData = kind != noLiteral
}

// proceed takes a "+" line. Only one thing at a time can wait for it, since the
// client has to wait as well.
func (l *Ledger) proceed() {
	switch {
	case l.blind:
	case l.wait == waitLiteral:
		l.wait = waitNothing
	case l.wait == waitIdle:
		l.wait = waitDone
	case l.tags.anyNonSync():
		l.wonder(doubtContinuation) // the backend reads {n+} as {n}, and the same bytes after it
	default:
		l.suspect(doubtContinuation)
	}
}

// reply takes a tagged line.
func (l *Ledger) reply(tag []byte, s status) {
	at := l.tags.find(tag)
	if at < 0 {
		l.deafen(doubtReply)
		return
	}
	current := l.tags.isLast(at) && !l.answered && (l.inCommand || l.wait != waitNothing)
	if s == statusOK {
		l.changeLayer(l.tags.kind(at))
	}
	switch {
	case l.blind:
	case s == statusBAD && l.tags.has(at, nonSync):
		l.wonder(doubtRefused) // it may have read the literal as commands
		l.answered = l.answered || current && l.wait == waitNothing
	case current:
		l.replyEarly(s)
	default:
		l.replySelect(at, s)
	}
	l.tags.remove(at)
}

// changeLayer takes the OK to a command after which the bytes may be another
// protocol's.
func (l *Ledger) changeLayer(k kind) {
	switch k {
	case kindCompress:
		l.compressed = true
	case kindStartTLS:
		l.deafen(doubtStartTLS)
	case kindAuthenticate:
		l.deafen(doubtAuthenticate)
	}
}

// replyEarly takes the reply to the command that the client is not through with.
func (l *Ledger) replyEarly(s status) {
	switch {
	case l.wait == waitReply:
		l.wait = waitNothing
	case l.wait == waitIdle && s != statusOK:
		l.wait = waitNothing
	case l.wait == waitIdle || l.wait == waitDone:
		l.wonder(doubtIdle)
		l.wait = waitNothing // the client's DONE may still come
	case l.wait == waitLiteral && s != statusOK: // refused: RFC 9051 section 4.3
		l.wait = waitNothing
		l.clientLiteral = 0
		l.inCommand = false
	case l.wait == waitNothing && (s == statusNO && l.clientLiteral == 0 || s != statusOK && !l.syncing):
		l.answered = true // what it has announced it will read: RFC 7888 section 4
	default:
		l.suspect(doubtReply)
	}
}

// replySelect takes the reply to a command that was sent whole.
func (l *Ledger) replySelect(at int, s status) {
	k := l.tags.kind(at)
	if k != kindSelect && k != kindClose {
		return
	}
	if l.tags.any(at, kindSelect, kindClose) {
		l.wonder(doubtReply) // overtaken: which mailbox is selected is open
		return
	}
	switch {
	case k == kindSelect && s == statusNO:
		l.unsure = l.selected
	case s == statusOK:
		l.selected, l.unsure = k == kindSelect, false
	}
}

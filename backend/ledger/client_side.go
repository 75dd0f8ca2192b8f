package ledger

import "bytes"

// Client takes bytes that the client sends to the backend, just before they are
// written to it.
func (l *Ledger) Client(p []byte) {
	for len(p) > 0 && !l.blind && !l.compressed {
		if l.wait != waitNothing && l.wait != waitDone {
			l.suspect(doubtEarly) // RFC 9051 section 4.3: wait for the "+"
			return
		}
		if l.clientLiteral > 0 {
			p = skip(p, &l.clientLiteral)
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			l.words.scan(p)
			l.client.add(p)
			if l.policy != nil && l.words.strays(p) {
				l.suspect(doubtLine) // before some peer may take it for a line's end
			}
			return
		}
		l.words.scan(p[:end+1])
		l.clientLine(l.client.end(p[:end]))
		p = p[end+1:]
	}
}

// clientLine takes a line that is whole, or whole up to a literal.
func (l *Ledger) clientLine(ln line) {
	seen := l.words
	l.words = scanner{}
	if seen.stray > 1 || seen.stray == 1 && !ln.cr {
		l.suspect(doubtLine)
		return
	}
	if l.wait == waitDone {
		l.done(ln)
		return
	}
	if !l.inCommand {
		if why := l.begin(ln); why != noDoubt {
			l.suspect(why)
			return
		}
	}
	l.addTaints(seen.found)
	n, kind := ln.literal()
	switch {
	case kind == noLiteral:
		l.complete()
	case kind == badLiteral || seen.quoted || commands[l.last].bare:
		l.suspect(doubtLiteral)
	case kind == syncLiteral && l.answered:
		l.suspect(doubtReply) // neither "+" nor a second refusal will come
	default:
		l.announce(n, kind)
	}
}

// done takes a line during IDLE.
func (l *Ledger) done(ln line) {
	if !foldEqual(ln.head, "DONE") {
		l.suspect(doubtIdle)
		return
	}
	l.wait = waitNothing
}

// begin takes the first line of a command.
func (l *Ledger) begin(ln line) doubt {
	tag, rest, ok := cutTag(ln.head)
	if !ok {
		return doubtLine
	}
	c := findCommand(rest)
	if c == noCommand {
		return doubtLine
	}
	l.last = c
	if why := l.tags.push(tag, c); why != noDoubt && !l.deaf {
		if why == doubtDuplicate {
			l.deaf = true // which of the two a reply is for may decide on COMPRESS
		}
		return why
	}
	if commands[c].kind == kindAuthenticate {
		return doubtAuthenticate
	}
	return noDoubt
}

// addTaints notes what can't be undone. It counts when sent: the reply may be OK.
func (l *Ledger) addTaints(found words) {
	c := &commands[l.last]
	l.taints |= c.taint
	if found&wordCondstore != 0 {
		l.taints |= taintCondstore
	}
	if found&wordContext != 0 && c.search {
		l.taints |= taintContext
	}
}

// announce opens a literal of n bytes after the line.
func (l *Ledger) announce(n int64, kind literalKind) {
	l.inCommand = true
	l.clientLiteral = n
	l.syncing = kind == syncLiteral
	switch {
	case l.syncing:
		l.wait = waitLiteral
	case !l.answered && !l.nonSync.covers(n):
		l.tags.markNonSync()
	}
}

// complete ends a command's last line.
func (l *Ledger) complete() {
	answered := l.answered
	l.inCommand, l.answered = false, false
	if answered {
		return
	}
	switch commands[l.last].kind {
	case kindIdle:
		l.wait = waitIdle
	case kindCompress, kindStartTLS:
		l.wait = waitReply
	case kindLogout:
		l.loggedOut = true
	}
}

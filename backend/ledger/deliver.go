package ledger

import "bytes"

// Deliver takes bytes that the backend sends, and returns those that are to be
// written to the client now: without the capabilities that the policy hides, and
// with the answers to refused commands, each once all commands before it have
// theirs. The result is valid until the next call.
func (l *Ledger) Deliver(p []byte) []byte {
	if l.policy == nil {
		l.Backend(p)
		return p
	}
	e, wasBlind := edit{in: p}, l.blind
	if f := l.filter; f != nil {
		e = f.down.edit(f.down.join(p))
	}
	for at, n := 0, 0; at < len(e.in) && !l.deaf && !l.compressed; at += n {
		if n = l.deliver(&e, at); n == 0 {
			l.state().down.hold(&e, at)
			break
		}
		if l.tags.due() && l.MayBye() {
			e.put(at+n, string(l.answers()))
		}
	}
	if l.blind && !wasBlind {
		l.state().blinded = true
	}
	if l.filter == nil {
		return e.result()
	}
	return l.filter.down.finish(&e)
}

// Due returns the answers to refused commands that may be said now, between two of
// the backend's lines. They count as said.
func (l *Ledger) Due() []byte {
	if !l.tags.due() || !l.MayBye() {
		return nil
	}
	return l.answers()
}

func (l *Ledger) answers() (out []byte) {
	for l.tags.due() {
		out = append(out, l.tags.tag(0)...)
		out = append(out, refusals[l.tags.why(0)]...)
		l.tags.remove(0)
	}
	return out
}

// deliver takes the next piece of the backend's bytes and returns its length; 0 when
// it has to wait for more.
func (l *Ledger) deliver(e *edit, at int) int {
	rest := e.in[at:]
	if l.backendLiteral > 0 {
		return len(rest) - len(skip(rest, &l.backendLiteral))
	}
	end := bytes.IndexByte(rest, '\n')
	n := end + 1
	if end < 0 {
		n = len(rest)
	}
	list := at
	if !l.inData && !l.backend.begun() && !isCounted(rest) {
		var open bool
		if list, open = l.lineStart(e, at, n, end >= 0); open {
			return 0
		}
	}
	if f := l.filter; f != nil && f.list != notList {
		if n = l.hide(e, list, at+n) - at; n < end+1 {
			end = -1
		}
	}
	if n == 0 {
		return 0
	}
	l.backendLine(rest[:n], end)
	if f := l.filter; f != nil && end >= 0 {
		f.list, f.token = notList, tokenNone
		if f.plus {
			l.askedFirst()
		}
	}
	return n
}

// isCounted reports whether a line begins like "* 12 FETCH": most lines do, and
// they are for the client as they are.
func isCounted(p []byte) bool {
	return len(p) > 2 && p[0] == '*' && p[1] == ' ' && p[2] >= '0' && p[2] <= '9'
}

// lineStart looks at the beginning of a line of the backend's of which n bytes have
// come. It returns where a list of capabilities begins, or that this is still open.
func (l *Ledger) lineStart(e *edit, at, n int, whole bool) (list int, open bool) {
	line := e.in[at : at+n]
	if f := l.filter; f != nil && (f.plus || f.spoiled > 0) {
		switch drop, open := l.replaces(e, at, line); {
		case open:
			return at, !whole
		case drop:
			f.list = listDropped
			return at, false
		}
	}
	from, kind, open := listStart(line)
	if kind != notList {
		l.state().list = kind
	}
	return at + from, open && !whole
}

// replaces reports whether a line is not for the client: a "+" that the client does
// not wait for, or an answer in the place of which another one is put.
func (l *Ledger) replaces(e *edit, at int, line []byte) (drop, open bool) {
	f := l.filter
	if line[0] == '+' {
		return f.plus, false
	}
	space := bytes.IndexByte(line[:min(len(line), MaxTag+1)], ' ')
	if space < 0 || f.spoiled == 0 {
		return false, f.spoiled > 0 && len(line) <= MaxTag
	}
	record := l.tags.find(line[:space])
	if record < 0 || !l.tags.has(record, spoiled) {
		return false, false
	}
	f.spoiled--
	e.put(at, string(line[:space])+refusals[l.tags.why(record)])
	return true, false
}

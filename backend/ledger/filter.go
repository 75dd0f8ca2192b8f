package ledger

import "bytes"

// filter is what a ledger remembers beyond the lines: what it keeps from the
// backend, and what it owes the client. A ledger has none until then.
type filter struct {
	up   held // client's bytes that are not judged yet
	down held // backend's bytes that are not delivered yet

	holdsLogout bool   // LOGOUT is kept from the backend
	saidLogout  bool   // it has come
	logoutTag   string // the tag of it

	stalled bool // the client is ahead: what it has sent waits for the backend's word
	crowded bool // it waits for many of its commands to be answered
	refused bool // the client has sent what can't be judged
	blinded bool // the backend is to blame for that

	swallow   bool    // the rest of the client's command is left out
	answer    refusal // what is owed once it has come; notRefused when the backend has answered
	answerTag string
	literal   int64  // bytes to come of its literal
	line      window // its line in flight

	plus     bool  // the backend's "+" is for us: the client does not wait for it
	plusSize int64 // the bytes that it asks for

	store   storeState // what comes next in a command that brings messages
	list    listState
	token   tokenState
	spoiled int // commands whose answers are replaced

	counts  [len(refusals)]uint32 // commands refused since TakeRefused
	counted bool                  // there are any
}

// state returns the ledger's filter.
func (l *Ledger) state() *filter {
	if l.filter == nil {
		l.filter = &filter{}
	}
	return l.filter
}

// Enforce puts a policy in force, before the first byte: Forward and Deliver
// refuse what it does not permit. escapes says that the backend has a command
// with which a client may escape it at once, so that every doubt must be avoided.
func (l *Ledger) Enforce(p *Policy, escapes bool) {
	l.policy = p
	l.careful = p != nil && (p.strict || escapes)
}

// HoldLogout has Forward keep the client's LOGOUT, so that the connection can
// be used again.
func (l *Ledger) HoldLogout() { l.state().holdsLogout = true }

// HeldLogout returns the tag of the client's LOGOUT that has been kept.
func (l *Ledger) HeldLogout() (tag string, held bool) {
	if l.filter == nil || !l.filter.saidLogout {
		return "", false
	}
	return l.filter.logoutTag, true
}

// Stalled reports whether Forward keeps bytes until the backend has answered:
// nothing more should be read from the client.
func (l *Ledger) Stalled() bool { return l.filter != nil && l.filter.stalled }

// Resumable reports whether what has stalled may go on, by a Forward of nothing.
func (l *Ledger) Resumable() bool {
	return l.Stalled() && (l.blind || l.deaf || !l.mustAwait() && !l.isCrowded() && !l.startsTwice(l.filter.up.bytes))
}

// Policy returns the policy in force, nil without one.
func (l *Ledger) Policy() *Policy { return l.policy }

// Midway reports whether the client is in the middle of something of which the
// backend knows nothing.
func (l *Ledger) Midway() bool {
	f := l.filter
	return f != nil && (len(f.up.bytes) > 0 || f.swallow)
}

// undelivered reports whether the beginning of a backend's line is kept.
func (l *Ledger) undelivered() bool { return l.filter != nil && len(l.filter.down.bytes) > 0 }

// Refused reports whether the client has sent what can't be judged any more. Only
// the end of the session is left.
func (l *Ledger) Refused() bool { return l.filter != nil && l.filter.refused }

// Blinded reports whether that is the backend's fault and not the client's.
func (l *Ledger) Blinded() bool { return l.deaf || l.filter != nil && l.filter.blinded }

// Forward takes bytes that the client sends, and returns those that are to be
// written to the backend now. What it keeps is a LOGOUT that is held and what
// follows it, a command that the policy refuses, and what can't be judged before
// more has come from either side. The result is valid until the next call.
func (l *Ledger) Forward(p []byte) []byte {
	if l.policy == nil && l.filter == nil {
		l.Client(p)
		return p
	}
	if l.compressed && !l.Stalled() {
		return p
	}
	e := edit{in: p}
	if f := l.filter; f != nil {
		f.stalled = false
		e = f.up.edit(f.up.join(p))
	}
	for at, goesOn := 0, true; goesOn && at < len(e.in) && !l.compressed; {
		var n int
		n, goesOn = l.pass(&e, at)
		at += n
	}
	if l.filter == nil {
		return e.result()
	}
	return l.filter.up.finish(&e)
}

// pass takes the next piece of the client's bytes, of length n, or changes what is
// to be done with it. It reports whether there is more to do; if not, the rest is
// held or dropped.
func (l *Ledger) pass(e *edit, at int) (n int, goesOn bool) {
	f, rest := l.filter, e.in[at:]
	switch {
	case f != nil && f.saidLogout:
		e.cut(at, len(e.in))
		return 0, false
	case l.blind && l.policy != nil:
		l.state().refused = true
		e.cut(at, len(e.in))
		return 0, false
	case l.blind:
		return 0, false
	case f != nil && f.swallow:
		n := l.swallow(rest)
		e.cut(at, at+n)
		return n, true
	case l.mustAwait() && l.policy == nil:
		l.suspect(doubtEarly)
		return 0, false
	case l.mustAwait() && l.deaf:
		l.suspect(doubtEarly) // what is awaited is not heard
		return 0, true
	case l.mustAwait():
		return l.stall(e, at)
	case l.clientLiteral > 0:
		n := min(int64(len(rest)), l.clientLiteral)
		l.clientLiteral -= n
		return int(n), true
	case l.wait == waitDone:
		return l.passDone(e, at)
	case !l.client.begun() && !l.inCommand:
		return l.passStart(e, at)
	case l.careful && commands[l.last].stores:
		return l.passStore(e, at, start{})
	}
	return l.passLine(e, at)
}

// mustAwait reports whether the backend's word has to come before the client's
// next byte can be understood.
func (l *Ledger) mustAwait() bool {
	return l.wait != waitNothing && l.wait != waitDone
}

// stall keeps all that has come, until the backend has answered.
func (l *Ledger) stall(e *edit, at int) (int, bool) {
	l.state().stalled = true
	return l.hold(e, at)
}

// hold keeps what has come of a line, until there is more of it.
func (l *Ledger) hold(e *edit, at int) (int, bool) {
	l.state().up.hold(e, at)
	return 0, false
}

// passDone takes what the client says in IDLE. A backend may take any other line
// than DONE for a command.
func (l *Ledger) passDone(e *edit, at int) (int, bool) {
	const word = "DONE"
	rest := e.in[at:]
	n := min(len(rest), len(word))
	ends, open := false, foldEqual(rest[:n], word[:n])
	if open && len(rest) > len(word) {
		ends, open = lineEnd(rest[len(word):])
	}
	switch {
	case ends, l.policy == nil:
		return l.passLine(e, at)
	case open:
		return l.hold(e, at)
	}
	return l.refuse(e, at, start{tag: noTag}, refusedInvalid)
}

// passStart takes the beginning of a command.
func (l *Ledger) passStart(e *edit, at int) (int, bool) {
	s := cutStart(e.in[at:])
	switch {
	case s.kind == startOpen:
		return l.hold(e, at)
	case l.isHeldLogout(s):
		l.filter.saidLogout, l.filter.logoutTag = true, string(s.tag)
		return 0, true
	case l.policy == nil:
		return l.passLine(e, at)
	case s.kind == startBlank:
		return l.refuse(e, at, s, notRefused)
	case s.kind == startMalformed:
		return l.refuse(e, at, s, refusedInvalid)
	}
	c := findCommand(s.name)
	if why := l.policy.refusal(c, s.name); why != notRefused {
		return l.refuse(e, at, s, why)
	}
	if !l.deaf && (l.isCrowded() || l.tags.find(s.tag) >= 0) {
		return l.stall(e, at)
	}
	switch {
	case l.policy.readOnly && commands[c].name == "SELECT":
		return l.examine(e, at, s)
	case l.careful && commands[c].stores:
		return l.passStore(e, at, s)
	}
	return l.passLine(e, at)
}

func (l *Ledger) isHeldLogout(s start) bool {
	return l.filter != nil && l.filter.holdsLogout && s.kind == startCommand && s.last && foldEqual(s.name, "LOGOUT")
}

// isCrowded reports whether so many commands wait that no other may join them,
// until half of them are answered.
func (l *Ledger) isCrowded() bool {
	if l.filter == nil && !l.tags.full() {
		return false
	}
	f := l.state()
	f.crowded = l.tags.full() || f.crowded && l.tags.n > maxOutstanding/2
	return f.crowded
}

// startsTwice reports whether bytes begin with a command under a tag that waits
// for its answer.
func (l *Ledger) startsTwice(p []byte) bool {
	if l.clientLiteral > 0 || l.inCommand || l.wait != waitNothing {
		return false
	}
	s := cutStart(p)
	return s.kind == startCommand && l.tags.find(s.tag) >= 0
}

// examine passes SELECT on as EXAMINE.
func (l *Ledger) examine(e *edit, at int, s start) (int, bool) {
	const word = "EXAMINE"
	end := at + s.end
	name := end - len(s.name)
	l.Client(e.in[at:name])
	l.Client([]byte(word))
	e.cut(name, end)
	e.put(end, word)
	return s.end, true
}

// passLine takes a line, or what there is of it.
func (l *Ledger) passLine(e *edit, at int) (int, bool) {
	rest := e.in[at:]
	end := bytes.IndexByte(rest, '\n')
	n := end + 1
	if end < 0 {
		n = len(rest) - l.openLiteral(rest)
		if n == 0 {
			return l.hold(e, at)
		}
	}
	l.Client(rest[:n])
	switch {
	case l.policy == nil:
	case l.blind:
		return 0, true
	case end >= 0 && l.inCommand:
		l.takeLiteral(e, at, n)
	}
	return n, true
}

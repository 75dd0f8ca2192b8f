// Package ledger follows the bytes of an IMAP connection and answers what may be
// done to it: say LOGOUT or BYE, use it again, leave it idle.
package ledger

// Ledger follows an IMAP connection after its login, by the bytes of both
// directions, and says what may be done to it. It does no I/O, keeps no time
// and takes no lock: its owner feeds it, in the order in which the bytes pass.
// The zero value stands for the authenticated state with nothing outstanding.
//
// Any doubt is a no, and a doubt is for good. Once the client's direction is in
// doubt, its bytes are looked at no more, and the only thing that may still be
// done is to say BYE between two of the backend's lines, as long as these can
// be told apart.
//
// Its judgement does not depend on how the bytes are chunked. Memory is bounded:
// a fixed part, room for a line of either direction once one has come in pieces,
// a record for each outstanding command, up to 1,000 of them, and what Forward and
// Deliver keep: of the client's bytes a chunk and the 4,096 bytes of a line before it,
// of the backend's the beginning of a line.
type Ledger struct {
	client  window // the client's line in flight
	backend window // the backend's line in flight
	words   scanner

	tags           queue
	clientLiteral  int64 // bytes to come; while "+" is awaited, all of them
	backendLiteral int64 // bytes to come

	taints taint
	doubt  doubt // the first one
	wait   wait
	last   uint8 // the last command, an index in commands

	nonSync NonSync

	blind      bool // the client's bytes can't be told apart any more
	deaf       bool // the backend's lines can't be told apart any more
	compressed bool // both directions, from the byte after the OK
	inCommand  bool // a command goes on after a literal
	answered   bool // that command has been refused before its end
	syncing    bool // its last literal was a synchronising one
	inData     bool // an untagged line of the backend goes on after a literal
	selected   bool
	unsure     bool // of selected: a SELECT was refused since
	byeSeen    bool
	loggedOut  bool

	careful bool    // no doubt may let the client escape the policy
	policy  *Policy // nil: the client may do all
	filter  *filter // nil where nothing is or has been held
}

// wait is what has to come before the client may go on.
type wait uint8

const (
	waitNothing wait = iota
	waitLiteral      // "+" or a refusal, for a literal's bytes
	waitIdle         // "+" or a refusal, for IDLE
	waitDone         // IDLE runs: the client's DONE
	waitReply        // the reply that may change the layer below: COMPRESS, STARTTLS
)

// MayLogout reports whether a LOGOUT line may be sent to the backend now, and
// whether a DONE line has to go before it. It may not inside a line or literal,
// while the backend's "+" is awaited (a backend that answers NO instead would
// take DONE or LOGOUT for something else; RFC 9051 section 6.3.13: DONE responds
// to the continuation), nor while COMPRESS or STARTTLS waits for its reply.
// Replies may be outstanding. After the client's own LOGOUT the answer is no, see
// LoggedOut; after a BYE it stays what it was, see ByeSeen.
func (l *Ledger) MayLogout() (ok, doneFirst bool) {
	if l.doubt != noDoubt || l.compressed || l.loggedOut || !l.clientBetweenLines() {
		return false, false
	}
	return true, l.wait == waitDone
}

// MayBye reports whether an untagged BYE line may be said to the client now, after
// all bytes fed so far: only between the backend's lines, never inside a literal.
func (l *Ledger) MayBye() bool {
	return !l.deaf && !l.compressed && !l.backend.begun() && !l.inData
}

// Idle reports whether nothing goes on but possibly a running IDLE: such a
// session may be drained.
func (l *Ledger) Idle() bool {
	if l.doubt != noDoubt || !l.clientBetweenLines() || !l.MayBye() || l.Midway() || l.undelivered() {
		return false
	}
	return l.tags.n == 0 || l.wait == waitDone && l.tags.n == 1
}

// Quiet reports whether nothing goes on at all, no IDLE either.
func (l *Ledger) Quiet() bool { return l.tags.n == 0 && l.Idle() }

// Reusable reports whether the connection may be given to another session of the
// same user; if not, why names the reason with a word from a small fixed set, fit
// for a metric's label. A selected mailbox is no hindrance: see Selected.
func (l *Ledger) Reusable() (ok bool, why string) {
	switch {
	case l.doubt != noDoubt:
		return false, "doubt"
	case l.compressed:
		return false, "compressed"
	case l.loggedOut:
		return false, "logout"
	case l.byeSeen:
		return false, "bye"
	case l.InIdle():
		return false, "idle"
	case l.taints != 0:
		return false, l.taints.name()
	case !l.clientBetweenLines() || !l.MayBye() || l.undelivered():
		return false, "unfinished"
	case l.tags.n > 0:
		return false, "outstanding"
	}
	return true, ""
}

// OnlyTainted reports whether nothing stands against Reusable but what RFC 8437
// undoes: it resets every extension, but COMPRESS blinds the ledger.
func (l *Ledger) OnlyTainted() bool {
	clean := *l
	clean.taints &^= taintEnable | taintNotify | taintLanguage | taintComparator | taintCondstore | taintContext
	ok, _ := clean.Reusable()
	return ok
}

// SelectRefused reports whether a mailbox was selected when the backend refused to
// select another: then none is (RFC 3501 section 6.3.1), but not every backend keeps
// to that, and Selected reports true.
func (l *Ledger) SelectRefused() bool { return l.unsure }

// Selected reports whether a mailbox is or may be selected, so that UNSELECT has
// to be sent before the connection is used again.
func (l *Ledger) Selected() bool {
	if l.selected || l.doubt != noDoubt || l.compressed {
		return true
	}
	return l.tags.any(len(l.tags.records), kindSelect)
}

// LastCommand returns the name of the client's last command, in upper case:
// "UID FETCH" for those after UID, "other" for one that is not known, "" when
// there was none. It never gives bytes of the client's.
func (l *Ledger) LastCommand() string { return commands[l.last].name }

// Command returns the name of the first command without a tagged reply, as
// LastCommand does; "" when there is none, or when replies can't be told any more.
func (l *Ledger) Command() string {
	if l.tags.n == 0 || l.deaf || l.compressed {
		return ""
	}
	return l.tags.command(0).name
}

// Outstanding returns the number of commands without a tagged reply.
func (l *Ledger) Outstanding() int { return l.tags.n }

// InIdle reports whether IDLE runs: from the backend's "+" to the client's DONE.
func (l *Ledger) InIdle() bool { return l.doubt == noDoubt && l.wait == waitDone }

// ByeSeen reports whether the backend has said BYE.
func (l *Ledger) ByeSeen() bool { return l.byeSeen }

// LoggedOut reports whether the client has sent LOGOUT.
func (l *Ledger) LoggedOut() bool { return l.loggedOut }

// Compressed reports whether COMPRESS is in force; nothing is known then.
func (l *Ledger) Compressed() bool { return l.compressed }

// Doubt names the reason of the first doubt with a word from a small fixed set,
// "" when there is none.
func (l *Ledger) Doubt() string { return doubtNames[l.doubt] }

// ClientLiteral returns the bytes still to come of the client's literal in flight:
// the next ones it sends. 0 when there is none, or its "+" is awaited.
func (l *Ledger) ClientLiteral() int64 {
	if l.blind || l.wait != waitNothing || l.Stalled() {
		return 0
	}
	return l.clientLiteral
}

// SkipClientLiteral accounts for n bytes of the client's literal that were
// moved without being shown. More than ClientLiteral, or less than 0, is a doubt.
func (l *Ledger) SkipClientLiteral(n int64) {
	if l.blind {
		return
	}
	if n < 0 || n > l.ClientLiteral() {
		l.deafen(doubtSkip)
		return
	}
	l.clientLiteral -= n
}

// BackendLiteral returns the bytes still to come of the backend's literal in
// flight, 0 when there is none.
func (l *Ledger) BackendLiteral() int64 {
	if l.deaf {
		return 0
	}
	return l.backendLiteral
}

// SkipBackendLiteral accounts for n bytes of the backend's literal that were
// moved without being shown. More than BackendLiteral, or less than 0, is a doubt.
func (l *Ledger) SkipBackendLiteral(n int64) {
	if l.deaf {
		return
	}
	if n < 0 || n > l.backendLiteral {
		l.deafen(doubtSkip)
		return
	}
	l.backendLiteral -= n
}

// clientBetweenLines reports whether the client is between commands, or may say
// DONE, and nothing is awaited that would have to come first.
func (l *Ledger) clientBetweenLines() bool {
	return !l.client.begun() && !l.inCommand && (l.wait == waitNothing || l.wait == waitDone)
}

// suspect puts the client's direction in doubt: where its commands begin is not
// known any more.
func (l *Ledger) suspect(why doubt) {
	if l.doubt == noDoubt {
		l.doubt = why
	}
	l.blind = true
}

// wonder notes a doubt about what the backend has made of commands. Where they
// begin is still known, which is enough for a policy, as long as the backend is
// heard or is not needed.
func (l *Ledger) wonder(why doubt) {
	if l.policy == nil || l.deaf && l.careful {
		l.suspect(why)
	} else if l.doubt == noDoubt {
		l.doubt = why
	}
}

// deafen puts both directions in doubt.
func (l *Ledger) deafen(why doubt) {
	l.suspect(why)
	l.deaf = true
}

// skip drops the bytes of p that belong to a literal, and counts them off.
func skip(p []byte, literal *int64) []byte {
	n := min(int64(len(p)), *literal)
	*literal -= n
	return p[n:]
}

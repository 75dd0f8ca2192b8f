package exits

// The faults of a server, by name. Names are in the JSON report, and in tests.
const (
	faultNone          = "closes cleanly"
	faultWantsLogout   = "wants LOGOUT"
	faultForgetsClose  = "forgets close() after the end of input"
	faultPolls         = "polls available()"
	faultStuck         = "stuck workers"
	faultStuckSending  = "stuck in the middle of a message"
	faultDeafInIdle    = "keeps connections that end in IDLE"
	faultHalfClosed    = "leaves half-closed sockets"
	faultBrokenAppend  = "forgets close() when a message breaks off"
	faultRefusedLogin  = "forgets close() after a refused login"
	faultDeafRefused   = "does not read after a refused login"
	faultNeverAccepts  = "never accepts"
	faultNeverGreets   = "does not greet"
	faultDeafInLogin   = "does not read while it judges a login"
	faultByeStays      = "says BYE and stays"
	faultClosesFirst   = "ends sessions by itself"
	faultResetsFirst   = "resets sessions by itself"
	faultKeeps         = "keeps connections that are over"
	faultForgetsOrMore = "keeps what its client has closed"
	faultDescriptors   = "keeps descriptors whatever ends the session"
	faultUnknown       = "not judged"
)

// fault is how one is found in the traces of a mode.
type fault struct {
	name string
	text string // continues "the server …"
	// found returns the traces that show it, and the endings that it explains; no trace means that it is not there.
	found func(ts traces) (shown []trace, explains []string)
}

// everything is what a fault explains that shows in every ending.
func everything() []string {
	var names []string
	for _, e := range allEndings() {
		names = append(names, e.name)
	}
	return names
}

// faults returns them, the one that explains the most first. The first that is found is the verdict.
func faults() []fault {
	return append(afterSelect(), atSpecialTimes()...)
}

// afterSelect returns the faults that show when clients of a selected mailbox leave.
func afterSelect() []fault {
	return []fault{
		{faultStuck, "has workers that are stuck: they read nothing any more, not even LOGOUT, so neither the " +
			"client's end nor a LOGOUT ever reaches close(). No client and no proxy can help",
			func(ts traces) ([]trace, []string) {
				unheard := func(t trace) bool { return t.unread() && t.recvQ > 1 }
				return ts.any(unheard, "logout", "unanswered"), everything()
			}},
		{faultForgetsClose, "forgets close() after the end of input: it reads the end and keeps the connection, " +
			"after LOGOUT too",
			func(ts traces) ([]trace, []string) { return both(ts, trace.read, trace.read) }},
		{faultWantsLogout, "wants LOGOUT: it closes after LOGOUT only. Where the input just ends it reads that, and " +
			"forgets close()",
			func(ts traces) ([]trace, []string) { return both(ts, trace.read, isClean) }},
		{faultPolls, "polls available() or the like, which never tells of the end of input: it reads LOGOUT, and " +
			"never notices that a client has closed",
			func(ts traces) ([]trace, []string) { return both(ts, trace.unread, isClean) }},
		{faultDescriptors, "keeps a descriptor whatever ends the session, LOGOUT included: its workers are stuck, " +
			"or it forgets close(); which of the two a proxy that resets has hidden",
			func(ts traces) ([]trace, []string) { return both(ts, keptOnly, keptOnly) }},
		{faultForgetsOrMore, "keeps connections whose client has closed; whether LOGOUT would help was not run " +
			"(ending logout)",
			func(ts traces) ([]trace, []string) {
				if _, ran := ts["logout"]; ran {
					return nil, nil
				}
				return ts.any(func(t trace) bool { return t.closeWait > 0 }, "idle", "rst"), everything()
			}},
	}
}

// both returns the traces of a client that leaves without LOGOUT, and of one with it, where both are so.
func both(ts traces, without, with func(trace) bool) ([]trace, []string) {
	left, asked := ts.any(without, "idle", "rst"), ts.any(with, "logout")
	if len(left) == 0 || len(asked) == 0 {
		return nil, nil
	}
	return append(left[:1], asked...), everything()
}

func isClean(t trace) bool { return !t.left() }

func keptOnly(t trace) bool { return t.closeWait == 0 && t.descriptors > 0 }

// atSpecialTimes returns the faults that show in one place only.
func atSpecialTimes() []fault {
	some := func(holds func(trace) bool, endings ...string) func(traces) ([]trace, []string) {
		return func(ts traces) ([]trace, []string) { return ts.any(holds, endings...), endings }
	}
	return []fault{
		{faultNeverAccepts, "never accepts: connections wait in the kernel's queue, without a descriptor in the server",
			some(func(t trace) bool { return t.descriptors >= 0 && !t.wasHeld }, "backend-never-greets")},
		{faultNeverGreets, "accepts a connection and does not greet, and reads nothing meanwhile",
			some(func(trace) bool { return true }, "backend-never-greets")},
		{faultByeStays, "says BYE and does not close, which RFC 9051 section 7.1.5 asks of it",
			some(func(t trace) bool { return t.open > 0 || t.wasOpen }, "backend-says-bye")},
		{faultDeafInLogin, "does not read while it judges a login: it notices only afterwards that the client has gone",
			some(func(t trace) bool { return t.late || t.left() }, "mid-login")},
		{faultDeafInIdle, "does not notice in IDLE that the client has closed",
			some(trace.left, "in-idle")},
		{faultStuckSending, "is stuck in the middle of a message that it sends, and notices no more that the client " +
			"has closed",
			some(trace.left, "stalled-fetch", "mid-fetch", "mid-fetch-small")},
		{faultBrokenAppend, "forgets close() when a message that it receives breaks off, where no LOGOUT may be sent",
			some(trace.left, "mid-append", "mid-append-large")},
		{faultDeafRefused, "does not read any more after a refused login, except for LOGOUT",
			some(trace.unread, "login-refused")},
		{faultRefusedLogin, "forgets close() after a refused login where the client closes without LOGOUT",
			some(trace.left, "login-refused")},
		{faultHalfClosed, "leaves half-closed sockets: it does not close when the client has closed its side",
			some(trace.left, "half-close")},
		{faultKeeps, "keeps connections that are over",
			func(ts traces) ([]trace, []string) { return ts.rest([]string{"vanish"}), everything() }},
		{faultResetsFirst, "resets sessions by itself, and leaves nothing of them",
			some(isClean, "backend-resets")},
		{faultClosesFirst, "ends sessions by itself, and leaves nothing of them",
			some(isClean, "backend-closes-vanished", "backend-closes-unread")},
	}
}

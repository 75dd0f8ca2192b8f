package exits

import (
	"fmt"
	"slices"
	"strings"

	"imapproxy/backend/wire"
)

// trace is what an ending left at the backend, by which a fault is known: its sockets in CLOSE_WAIT, how much of what
// came the program has not read, and its descriptors.
type trace struct {
	cell        *cellResult
	opened      int    // sessions
	closeWait   int    // sockets, at the last count
	recvQ       uint64 // the most that is unread in one of them, the FIN counted as a byte
	open        int    // sockets in ESTABLISHED, where that is the backend's own doing
	descriptors int    // -1 = can't be seen
	wasOpen     bool   // at the first count sockets were in ESTABLISHED
	wasHeld     bool   // at some count there were descriptors
	late        bool   // something was there when a proxy must be done, and is not at the end
}

// traceOf returns it; false where the cell has not been run, or no session came as far as its ending.
func traceOf(r *cellResult, direct bool) (trace, bool) {
	if r.NotRun != "" || r.Opened == 0 || len(r.Counts) == 0 {
		return trace{}, false
	}
	t := trace{cell: r, opened: r.Opened}
	for i, at := range r.Counts {
		left := at.Backend[wire.StateCloseWait].Sockets + max(at.JavaFDs, 0)
		t.wasOpen = t.wasOpen || i == 0 && at.Backend[wire.StateEstablished].Sockets > 0
		t.wasHeld = t.wasHeld || at.JavaFDs > 0
		t.late = t.late || left > 0 && at.Planned >= goneWithin.Seconds()
	}
	at := r.Counts[len(r.Counts)-1]
	t.closeWait, t.recvQ = at.Backend[wire.StateCloseWait].Sockets, at.Backend[wire.StateCloseWait].MaxRecvQ
	t.descriptors = at.JavaFDs
	established := at.Backend[wire.StateEstablished].Sockets
	switch {
	case direct || r.Ending == "backend-says-bye":
		t.open = established
	case established > 0: // the proxy holds the connection: the backend can't know that it is over
		t.descriptors = max(0, t.descriptors-established)
	}
	t.late = t.late && !t.left() && (direct || !endingOf(r.cell).vanishes) // a proxy has to find them first
	return t, true
}

// left reports whether something is left at the end.
func (t trace) left() bool { return t.closeWait > 0 || t.open > 0 || t.descriptors > 0 }

// read reports whether the program has read the end of input, and not closed.
func (t trace) read() bool { return t.closeWait > 0 && t.recvQ == 0 }

// unread reports whether the program has not read the end of input.
func (t trace) unread() bool { return t.closeWait > 0 && t.recvQ > 0 }

// String writes it for people.
func (t trace) String() string {
	var parts []string
	if t.closeWait > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d in CLOSE_WAIT, Recv-Q %d", t.closeWait, t.opened, t.recvQ))
	}
	if t.open > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d in ESTABLISHED", t.open, t.opened))
	}
	if t.closeWait+t.open == 0 && t.descriptors > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d descriptors without a socket", t.descriptors, t.opened))
	}
	switch {
	case t.late:
		return t.cell.Ending + ": nothing at the end, but late"
	case len(parts) == 0:
		return t.cell.Ending + ": nothing"
	}
	return t.cell.Ending + ": " + strings.Join(parts, ", ")
}

// traces are those of one mode of the backend, by ending.
type traces map[string]trace

// tracesOf returns what a mode left, as seen through the proxy that shows most: without one, or through the one that
// leaves the most. Its name is the second result.
func tracesOf(r *runResult, mode string) (traces, string) {
	var best traces
	var name string
	most := -1
	for i := range r.Proxies {
		p := &r.Proxies[i]
		seen, total := traces{}, 0
		for _, c := range p.Cells {
			if t, ran := traceOf(c, p.Direct); ran && c.Mode == mode {
				seen[c.Ending] = t
				total += t.closeWait + t.open + max(t.descriptors, 0)
			}
		}
		if len(seen) == 0 {
			continue
		}
		if p.Direct {
			return seen, p.Name
		}
		if total > most {
			best, name, most = seen, p.Name, total
		}
	}
	return best, name
}

// any returns the endings of this list that were run and for which the condition holds.
func (ts traces) any(holds func(trace) bool, endings ...string) []trace {
	var found []trace
	for _, e := range endings {
		if t, ran := ts[e]; ran && holds(t) {
			found = append(found, t)
		}
	}
	return found
}

// rest returns what was left by the endings that are not among these, in the order of allEndings.
func (ts traces) rest(explained []string) []trace {
	var found []trace
	for _, e := range allEndings() {
		if t, ran := ts[e.name]; ran && t.left() && !slices.Contains(explained, e.name) {
			found = append(found, t)
		}
	}
	return found
}

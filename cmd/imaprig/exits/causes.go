package exits

import (
	"fmt"
	"slices"
	"strings"

	"imapproxy/backend/wire"
)

// Whose fault it is that a target is missed.
const (
	faultOfServer = "the server's fault"
	faultOfProxy  = "the proxy's fault"
	faultOfNone   = "no proxy could help it"
	faultOpen     = "whose fault is not known"
)

// cause is why the targets of a cell are missed.
type cause struct {
	whose string
	why   string
	proxy string // what the proxy does, continues its name
}

func (c cause) String() string { return c.whose + ": " + c.why }

var (
	causeForeign = cause{faultOfProxy, "a session read what belongs to another", "mixes sessions up"}
	causeVanish  = cause{faultOfProxy, "it does not find out in time that the client has vanished, and holds the " +
		"server's connection", "holds the connections of clients that have vanished"}
	causeBye = cause{faultOfServer, "it has said BYE and does not close; the proxy waits for it without a limit",
		"waits without a limit for a server that has said BYE"}
	causeStays = cause{faultOfProxy, "its client has gone, and it stays connected to the server until that answers",
		"stays connected to the server after the client has gone"}
	causeRead = cause{faultOfServer, "it has read the end of input (Recv-Q 0) and does not close; a " +
		"reset by the proxy would take its socket out of CLOSE_WAIT", leavesCloseWait}
	causeUnread = cause{faultOfServer, "it does not read the end of input (Recv-Q 1 or more), so it can't close; a " +
		"reset by the proxy would take its socket out of CLOSE_WAIT", leavesCloseWait}
	causeNoCure = cause{faultOfNone, "the server reads nothing any more, or forgets close() whatever it reads: its " +
		"descriptor stays", "leaves descriptors that no proxy can free"}
	causeHeld = cause{faultOfServer, "its connection is gone and its descriptor is not; it would have closed after " +
		"LOGOUT, which it was not asked for", "leaves descriptors open in the server, which a LOGOUT closes"}
)

const leavesCloseWait = "only closes, with neither LOGOUT nor reset, so the server's sockets stay in CLOSE_WAIT"

// causeOf returns why a cell's targets are missed. v is the verdict on its mode.
func causeOf(c *cellResult, v verdict) cause {
	missed := func(target string) bool {
		return slices.ContainsFunc(c.Misses, func(m miss) bool { return m.Target == target })
	}
	at := c.missedAt()
	holds := at.Backend.sum(lingering) > 0 || at.Upstream.sum(lingering) > 0 || at.ProxyFDs > 0 // the proxy
	closeWait := at.Backend[wire.StateCloseWait]
	switch {
	case missed(targetForeign):
		return causeForeign
	case missed(targetPlanned) && len(c.Misses) == 1:
		why := fmt.Sprintf("%d of %d sessions came as far as their ending, %d reached the server", c.Opened, c.Sessions,
			c.Reached)
		if c.Problem != "" {
			why += "; the first problem: " + c.Problem
		}
		return cause{faultOpen, why, "lets sessions fail"}
	case closeWait.Sockets > 0 && closeWait.MaxRecvQ == 0:
		return causeRead
	case closeWait.Sockets > 0:
		return causeUnread
	case holds && endingOf(c.cell).vanishes:
		return causeVanish
	case holds && c.Ending == "backend-says-bye":
		return causeBye
	case holds:
		return causeStays
	case slices.Contains([]string{faultStuck, faultForgetsClose, faultDescriptors, faultNeverGreets}, v.Fault):
		return causeNoCure
	}
	return causeHeld
}

// missedAt returns the first count at which a target is missed.
func (c *cellResult) missedAt() count {
	for _, at := range c.Counts {
		if slices.ContainsFunc(c.Misses, func(m miss) bool { return m.Seconds == at.Seconds }) {
			return at
		}
	}
	return count{}
}

// MissText lists a cell's misses.
func (c *cellResult) MissText() string {
	var parts []string
	for _, m := range c.Misses {
		if m.Target == targetPlanned {
			parts = append(parts, fmt.Sprintf("%d sessions not as planned", m.Found))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d after %.0f s", m.Target, m.Found, m.Seconds))
	}
	return strings.Join(parts, ", ")
}

// causeGroup is a cause with the cells whose targets it makes missed.
type causeGroup struct {
	Cause cause
	Cells []*cellResult
}

// Whose names who is to blame.
func (g causeGroup) Whose() string { return g.Cause.whose }

// Why is the reason in words.
func (g causeGroup) Why() string { return g.Cause.why }

// causes returns why the targets of a proxy's cells are missed, in the order in which they are met first.
func (p *proxyResult) causes(all []verdict) []causeGroup {
	var groups []causeGroup
	for _, c := range p.Cells {
		if len(c.Misses) == 0 {
			continue
		}
		cause := causeOf(c, verdictOf(all, c.Mode))
		i := slices.IndexFunc(groups, func(g causeGroup) bool { return g.Cause == cause })
		if i < 0 {
			i, groups = len(groups), append(groups, causeGroup{Cause: cause})
		}
		groups[i].Cells = append(groups[i].Cells, c)
	}
	return groups
}

// verdictOf returns that of a mode.
func verdictOf(all []verdict, mode string) verdict {
	i := slices.IndexFunc(all, func(v verdict) bool { return v.Mode == mode })
	if i < 0 {
		return verdict{Fault: faultUnknown}
	}
	return all[i]
}

// proxyVerdict says in a sentence what a proxy does, "" where there is none.
func (p *proxyResult) proxyVerdict(r *runResult) string {
	met, missed, notRun := p.tally()
	if p.Direct {
		return p.unplanned(missed)
	}
	if p.NoLogin != "" {
		return fmt.Sprintf("%s can't log in to this server: %s; so %d of %d cells were not run", p.Name, p.NoLogin,
			notRun, len(p.Cells))
	}
	var parts []string
	for _, g := range p.causes(r.Verdicts) {
		i := slices.IndexFunc(parts, func(text string) bool { return text == g.Cause.proxy })
		if i < 0 {
			parts = append(parts, g.Cause.proxy)
		}
	}
	for _, m := range p.Misses {
		parts = append(parts, fmt.Sprintf("has left %s: %d", m.Target, m.Found))
	}
	switch {
	case len(parts) > 0:
		return fmt.Sprintf("%s %s (targets missed in %d of %d cells)", p.Name, strings.Join(parts, "; "), missed,
			met+missed)
	case met == 0:
		return p.Name + " was not judged: no cell was run"
	}
	text := fmt.Sprintf("%s leaves nothing that a proxy can prevent: every target holds in %d cells", p.Name, met)
	return text + p.heldText(r)
}

// unplanned says that sessions without a proxy have failed, "" where none has.
func (p *proxyResult) unplanned(missed int) string {
	i := slices.IndexFunc(p.Cells, func(c *cellResult) bool { return c.Problem != "" && len(c.Misses) > 0 })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf("Sessions have failed in %d of %d cells without a proxy, so less is known of the server; the "+
		"first problem: %s", missed, len(p.Cells), p.Cells[i].Problem)
}

// heldText says at the end of how many cells the backend holds descriptors, and in how many of those another proxy of
// the run leaves none.
func (p *proxyResult) heldText(r *runResult) string {
	held := 0
	var others []string
	freed := map[string]int{}
	for i, c := range p.Cells {
		if last := c.Last(); last == nil || last.JavaFDs <= 0 {
			continue
		}
		held++
		for _, other := range r.Proxies {
			if last := other.Cells[i].Last(); other.Direct || last == nil || last.JavaFDs != 0 {
				continue
			}
			if freed[other.Name]++; freed[other.Name] == 1 {
				others = append(others, other.Name)
			}
		}
	}
	if held == 0 {
		return ""
	}
	text := fmt.Sprintf("; in %d of them the server keeps descriptors", held)
	if len(others) == 0 {
		return text + ", which no proxy of this run frees"
	}
	for i, name := range others {
		others[i] = fmt.Sprintf("%s leaves none in %d of those", name, freed[name])
	}
	return text + "; " + strings.Join(others, ", ")
}

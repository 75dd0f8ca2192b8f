package imapproxy

import (
	"sync"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/fault"
)

// leakSlack is how far over its bound a phase must be before it counts: the
// task that ends it may have to wait for its turn.
const leakSlack = 5 * time.Second

// leakDetector finds backend connections that will not be ended. The clock is
// per phase, since a lease may rightly last for days.
type leakDetector struct {
	mu       sync.Mutex // protects reported; nothing blocks under it
	reported map[*backend.Conn]suspicion
}

// suspicion is why a connection looks leaked.
type suspicion struct {
	kind    string
	since   time.Time
	over    time.Duration // how long the state has lasted
	command string
	owner   *session // nil when the session is gone

	reclaimed bool // it has been ended; its owner is on the way
}

// The kinds; labels of metrics.
const (
	leakOrphan  = "orphan"    // its session is gone
	leakOverdue = "overdue"   // a phase is over its bound
	leakSilent  = "no_answer" // a command has no answer

	leakHalfClosed = "half_closed" // a peer has closed its side, and the limit for the other side is over
)

// findLeaks looks at every backend connection once: it reports a suspicion
// once, and once more when it resolves by itself, and takes back what has
// lasted for too long.
func (s *Server) findLeaks(now time.Time) {
	fault.Point("leak.scan")
	d := &s.leaks
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := map[*backend.Conn]bool{}
	for _, c := range s.dialer.Registry.All() {
		x, suspected := s.suspect(c, now)
		if !suspected {
			continue
		}
		seen[c] = true
		before, known := d.reported[c]
		if !known {
			d.report(s, c, x)
		}
		if !before.reclaimed && s.reclaim(c, x) {
			x.reclaimed = true
			d.reported[c] = x
		}
	}
	for c, x := range d.reported {
		if !seen[c] {
			delete(d.reported, c)
			s.metrics.leakResolved.WithLabelValues(x.kind).Inc()
			s.leakLine(c, x).Msg("backend connection that looked leaked: resolved")
		}
	}
}

func (d *leakDetector) report(s *Server, c *backend.Conn, x suspicion) {
	if d.reported == nil {
		d.reported = map[*backend.Conn]suspicion{}
	}
	d.reported[c] = x
	s.metrics.leakReported.WithLabelValues(x.kind).Inc()
	s.leakLine(c, x).Str("opened_at", c.Stack()).Msg("backend connection looks leaked")
}

// suspect judges one connection.
func (s *Server) suspect(c *backend.Conn, now time.Time) (suspicion, bool) {
	i := c.Info()
	x := suspicion{since: i.Since, over: now.Sub(i.Since), owner: s.sessions.byID(i.Owner)}
	switch {
	case i.Owner == backend.PoolOwner: // a pool's, in phases that have bounds
		x.kind = leakOverdue
		return x, i.Bound > 0 && x.over > i.Bound+leakSlack
	case x.owner == nil:
		x.kind = leakOrphan
		return x, s.dialer.Registry.Has(c) // else both have ended since
	case i.Bound > 0:
		x.kind = leakOverdue
		return x, x.over > i.Bound+leakSlack
	case i.Phase != backend.PhaseLease || !x.owner.relaying.Load():
		return x, false
	}
	if since, over := s.census.overdue(i.Owner); over {
		x.kind, x.since, x.over = leakHalfClosed, since, now.Sub(since)
		return x, true
	}
	since, command, waits := x.owner.relay.waiting()
	limit := x.owner.settings.Limits.LeakReport
	x.kind, x.since, x.over, x.command = leakSilent, since, now.Sub(since), command
	return x, waits && limit > 0 && x.over > limit
}

// reclaim ends a connection that has been suspect for too long, and with it
// frees its slot. It reports whether it has.
func (s *Server) reclaim(c *backend.Conn, x suspicion) bool {
	limit := s.Settings().Limits.LeakReclaim
	if limit <= 0 || x.over < limit {
		return false
	}
	s.metrics.leakReclaimed.WithLabelValues(x.kind).Inc()
	s.leakLine(c, x).Msg("backend connection reclaimed")
	if x.owner != nil {
		x.owner.interrupter.cut(endLeak, nil)
	} else {
		c.Force()
	}
	return true
}

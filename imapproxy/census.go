package imapproxy

import (
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// census compares what the proxy believes to hold with what the kernel says.
type census struct {
	mu         sync.Mutex // protects all; nothing blocks under it
	closeWait  map[uint64]halfClosed
	halfClosed map[string]time.Time // by session: since when one of its sockets is in CLOSE_WAIT, past the limit
}

// halfClosed is a socket of ours in CLOSE_WAIT.
type halfClosed struct {
	since time.Time // of the census that saw it first
	told  bool      // the log has a line about it
}

// overdue tells since when a peer of this session has closed its side, where
// that is past the limit.
func (c *census) overdue(session string) (since time.Time, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since, over = c.halfClosed[session]
	return since, over
}

// censusRecount is how long a difference has to last: sockets come and go
// while they are counted.
const (
	censusRecount = 200 * time.Millisecond
	censusRounds  = 3
)

// counted is one count. Sockets go by their inodes, and by those only.
type counted struct {
	known   map[uint64]SocketInfo
	missing map[uint64]bool // known to us, not held by the process
	unknown map[uint64]bool // held, ours by its addresses, and and not registered
}

// stillAfter leaves of the differences those that the count before had too: the
// others are sockets that came or went while they were counted.
func (c *counted) stillAfter(before counted) {
	transient := func(in map[uint64]bool) func(uint64, bool) bool {
		return func(inode uint64, _ bool) bool { return !in[inode] }
	}
	maps.DeleteFunc(c.missing, transient(before.missing))
	maps.DeleteFunc(c.unknown, transient(before.unknown))
}

func (c *counted) differences() int { return len(c.missing) + len(c.unknown) }

// takeCensus counts, and while something is wrong again: a socket is a
// difference when each count has it. Their number is a metric that must be 0.
func (s *Server) takeCensus(now time.Time) {
	fault.Point("census")
	c, err := s.countSockets()
	for i := 1; i < censusRounds && err == nil && c.differences() > 0; i++ {
		if !s.sleep(s.life, timerRecount, censusRecount) {
			return // one count proves nothing
		}
		before := c
		if c, err = s.countSockets(); err == nil {
			c.stillAfter(before)
		}
	}
	if err != nil {
		s.log.Warn().Err(err).Msg("census: the sockets can't be counted")
		return
	}
	n := c.differences()
	s.metrics.census.Set(float64(n))
	if n > 0 {
		s.log.Error().Int("unknown", len(c.unknown)).Int("missing", len(c.missing)).
			Msg("census: sockets that are not accounted for")
	}
	s.watchCloseWait(c.known, now)
}

// countSockets compares once.
func (s *Server) countSockets() (counted, error) {
	c := counted{known: map[uint64]SocketInfo{}, missing: map[uint64]bool{}, unknown: map[uint64]bool{}}
	states := map[[2]string]int{}
	note := func(raw *wire.Wire, i SocketInfo) {
		k, err := wire.AskSocket(raw)
		if err != nil {
			return // closed meanwhile
		}
		i.State = k.State
		c.known[k.Inode] = i
		states[[2]string{i.Side, string(k.State)}]++
	}
	s.sessions.each(func(ses *session) {
		v := ses.status.get()
		note(&ses.client.raw, SocketInfo{Side: "client", Session: ses.id, Peer: wire.ClientText(ses.address()),
			Phase: v.phase})
	})
	for _, conn := range s.dialer.Registry.All() {
		i := conn.Info()
		note(conn.Raw(), SocketInfo{Side: "backend", Session: i.Owner, Target: i.Target, Peer: i.Addr, Phase: i.Phase})
	}
	s.metrics.socketStates(states)
	held, err := wire.HeldSockets()
	if err != nil {
		return c, err
	}
	for inode := range c.known {
		if _, ok := held[inode]; !ok {
			c.missing[inode] = true
		}
	}
	listeners := s.listensOn()
	for inode, h := range held {
		_, known := c.known[inode]
		if !known && !h.Listening && (slices.ContainsFunc(listeners, h.On) || s.dialer.Registry.Dialled(h)) {
			c.unknown[inode] = true
		}
	}
	return c, nil
}

// listensOn returns the addresses of the listeners.
func (s *Server) listensOn() []net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []net.Addr
	for ln := range s.listeners {
		list = append(list, ln.Addr())
	}
	return list
}

// watchCloseWait reports our own sockets in CLOSE_WAIT past the limit: the
// peer has closed, and it is ours to explain why we have not.
func (s *Server) watchCloseWait(known map[uint64]SocketInfo, now time.Time) {
	d := &s.census
	d.mu.Lock()
	defer d.mu.Unlock()
	limit := s.Settings().Limits.HalfClose + leakSlack
	before := d.closeWait
	d.closeWait, d.halfClosed = map[uint64]halfClosed{}, map[string]time.Time{}
	over := 0
	for inode, i := range known {
		if i.State != wire.StateCloseWait {
			continue
		}
		h, seen := before[inode]
		if !seen {
			h.since = now
		}
		if now.Sub(h.since) > limit {
			over++
			d.halfClosed[i.Session] = h.since
			if !h.told {
				h.told = true
				s.log.Error().Str("side", i.Side).Str("session", i.Session).Str("peer", i.Peer).Str("phase", i.Phase).
					Dur("for", now.Sub(h.since)).Msg("a socket of ours is in CLOSE_WAIT past its limit")
			}
		}
		d.closeWait[inode] = h
	}
	s.metrics.closeWait.Set(float64(over))
}

// leakLine begins a log line about a connection that looks leaked.
func (s *Server) leakLine(c *backend.Conn, x suspicion) *zerolog.Event {
	i := c.Info()
	e := s.log.Warn().Str("kind", x.kind).Str("target", i.Target).Str("backend", i.Addr).Str("session", i.Owner).
		Str("phase", i.Phase).Time("since", x.since).Dur("for", x.over)
	optional(e, "command", x.command)
	return e
}

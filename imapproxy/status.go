package imapproxy

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// The phases of a session, as others see them.
const (
	phaseAccepted     = "accepted"
	phaseProxy        = "proxy"
	phaseTLS          = "tls"
	phaseLogin        = "login"
	phaseAuthenticate = "authenticate"
	phaseRoute        = "route"
	phaseBackend      = "backend"
	phasePool         = "pool" // waits for a pooled connection, or has it checked or made
	phaseRelay        = "relay"
	phaseEnding       = "ending"
)

// SessionInfo is what an administrator sees of a session.
type SessionInfo struct {
	ID       string    `json:"id"`
	Client   string    `json:"client"` // ip:port, or unix:
	Listener string    `json:"listener"`
	TLS      string    `json:"tls,omitempty"`
	User     string    `json:"user,omitempty"`
	AuthzID  string    `json:"authzid,omitempty"` // whose mailbox, in a master login
	Backend  string    `json:"backend,omitempty"` // the address
	Target   string    `json:"target,omitempty"`
	Phase    string    `json:"phase"`
	Started  time.Time `json:"started"`
	Since    time.Time `json:"since"` // of the phase
	Moved    time.Time `json:"moved"` // when bytes last moved in the relay
	BytesIn  int64     `json:"bytes_in"`
	BytesOut int64     `json:"bytes_out"`
	Command  string    `json:"command,omitempty"`      // the name of the first one without its answer
	Last     string    `json:"last_command,omitempty"` // the name of the last one in the relay
	Idle     bool      `json:"idle"`                   // in IDLE
}

// statusSnapshot is what changes of it.
type statusSnapshot struct {
	phase           string
	since           time.Time // of the phase
	tls             string
	user, authzID   string // as the client gave them, bounded; authzID: whose mailbox, in a master login
	backend, target string
}

// status holds what others may see of a session; its owner writes it.
type status struct {
	mu sync.Mutex // protects seen, and client.believed against those who only ask
	statusSnapshot
}

func (b *status) set(f func(*statusSnapshot)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(&b.statusSnapshot)
}

func (b *status) get() statusSnapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.statusSnapshot
}

// enter notes the session's phase.
func (s *session) enter(phase string) {
	s.status.set(func(v *statusSnapshot) { v.phase, v.since = phase, s.server.clock.Now() })
}

// address is the client's, for others: a PROXY header may change it.
func (s *session) address() netip.AddrPort {
	s.status.mu.Lock()
	defer s.status.mu.Unlock()
	return s.client.addr()
}

// info is the view with what the relay knows.
func (s *session) info() SessionInfo {
	w := s.status.get()
	v := SessionInfo{ID: s.id, Client: wire.ClientText(s.address()), Listener: s.listener.Name, TLS: w.tls,
		User: w.user, AuthzID: w.authzID,
		Backend: w.backend, Target: w.target, Phase: w.phase, Started: s.started, Since: w.since}
	if s.relaying.Load() {
		r := &s.relay
		r.mu.Lock()
		defer r.mu.Unlock()
		v.Moved, v.Idle = r.lastMoved(), r.ledger.InIdle()
		v.Command, v.Last = r.ledger.Command(), r.ledger.LastCommand()
		v.BytesIn, v.BytesOut = r.up.bytes.Load(), r.down.bytes.Load()
	}
	return v
}

// List returns every session, the oldest first.
func (s *Server) List() []SessionInfo {
	var all []SessionInfo
	s.sessions.each(func(ses *session) { all = append(all, ses.info()) })
	slices.SortFunc(all, func(a, b SessionInfo) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// Kick ends the sessions that match at their next safe point, or cuts them
// after Limits.Kick. It returns how many there are. Idle backend connections
// of the same users, or to the same backend, end at once.
func (s *Server) Kick(match func(SessionInfo) bool) int {
	n := 0
	defer s.dropPooled(func(u backend.PooledUser) bool {
		i := SessionInfo{User: bounded(u.Front), Target: u.Target, Phase: phasePool}
		if match(i) {
			return true
		}
		i.User = bounded(u.User)
		return match(i)
	}, backend.WhyKicked)
	s.sessions.each(func(ses *session) {
		if match(ses.info()) && ses.kick() {
			n++
		}
	})
	return n
}

// SocketInfo is what an administrator sees of a socket.
type SocketInfo struct {
	Side    string     `json:"side"` // client or backend
	Session string     `json:"session"`
	Target  string     `json:"target,omitempty"`
	Peer    string     `json:"peer"`
	Phase   string     `json:"phase"`
	Since   time.Time  `json:"since"`
	State   wire.State `json:"state"`
}

// Sockets returns every socket of every session with its state by the kernel.
func (s *Server) Sockets() []SocketInfo {
	var all []SocketInfo
	s.sessions.each(func(ses *session) {
		v := ses.status.get()
		if k, err := wire.AskSocket(&ses.client.raw); err == nil {
			all = append(all, SocketInfo{"client", ses.id, "", wire.ClientText(ses.address()), v.phase, v.since,
				k.State})
		}
	})
	for _, c := range s.dialer.Registry.All() {
		if k, err := wire.AskSocket(c.Raw()); err == nil {
			i := c.Info()
			all = append(all, SocketInfo{"backend", i.Owner, i.Target, i.Addr, i.Phase, i.Since, k.State})
		}
	}
	return all
}

package backend

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"imapproxy/backend/wire"
)

// The phases of a backend connection; each has a limit of its own, but for
// the lease, which lasts as long as its session.
const (
	phaseHeader     = "header"
	phaseTLS        = "tls"
	phaseGreeting   = "greeting"
	phaseStartTLS   = "starttls"
	phaseCapability = "capability"
	phaseReady      = "ready" // greeted, not yet logged in
	phaseLogin      = "login"
	PhaseLease      = "lease"  // in a session's hands
	phaseReset      = "reset"  // on the way back to the pool
	phasePooled     = "pooled" // idle in the pool
	phaseCheck      = "check"  // idle, and asked whether it still answers
	phaseEnding     = "ending"
)

// PoolOwner owns what lies in a pool. No session has such an id.
const PoolOwner = "pool"

// phase is where a connection is, whose, and since when.
type phase struct {
	name  string
	owner string // a session's id, or PoolOwner
	since time.Time
}

// Registry knows every backend connection from its socket's first moment to
// its last.
type Registry struct {
	mu      sync.Mutex // protects all; nothing blocks under it
	conns   map[*Conn]struct{}
	dialled map[string]struct{} // where sockets of ours may lead
	openers map[opener]*opener
}

// opener is where a connection was opened: program counters up to the first 0.
// There are few such places and many connections, which share them.
type opener [12]uintptr

// maxOpeners bounds the places that are kept; further ones are not shared.
const maxOpeners = 100

func (r *Registry) opener(at opener) *opener {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.openers[at]; known != nil {
		return known
	}
	if r.openers == nil {
		r.openers = map[opener]*opener{}
	}
	if len(r.openers) < maxOpeners {
		r.openers[at] = &at
	}
	return &at
}

func (r *Registry) add(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		r.conns = map[*Conn]struct{}{}
	}
	r.conns[c] = struct{}{}
	if len(r.dialled) >= maxAddresses || r.dialled == nil {
		r.dialled = map[string]struct{}{}
	}
	r.dialled[c.raw.RemoteText()] = struct{}{}
}

// Dialled reports whether a connection has led where this socket does.
func (r *Registry) Dialled(h wire.HeldSocket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.dialled[h.Remote]
	return ok
}

// Has reports whether a connection has not ended.
func (r *Registry) Has(c *Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.conns[c]
	return ok
}

func (r *Registry) remove(c *Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// Count is how many connections there are.
func (r *Registry) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// All returns the connections there are now.
func (r *Registry) All() []*Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*Conn, 0, len(r.conns))
	for c := range r.conns {
		all = append(all, c)
	}
	return all
}

// Info says where a connection stands. It is safe to ask from any goroutine.
type Info struct {
	Target string
	Addr   string
	Owner  string // the session's id, or PoolOwner
	Phase  string
	Since  time.Time // when the phase began
	Opened time.Time
	Bound  time.Duration // the limit of the phase, 0 for none
}

// Info says where the connection stands.
func (c *Conn) Info() Info {
	p := c.inPhase()
	return Info{Target: c.Target.Name, Addr: c.Addr, Owner: p.owner, Phase: p.name, Since: p.since,
		Opened: c.opened, Bound: c.bound(p.name)}
}

// bound is the limit of a phase.
func (c *Conn) bound(phase string) time.Duration {
	l := c.Target.Limits
	switch phase {
	case phaseHeader, phaseGreeting:
		return l.Greeting
	case phaseTLS:
		return l.TLS
	case phaseStartTLS, phaseCapability, phaseReady, phaseLogin:
		return l.Login
	case phaseEnding:
		return l.Logout
	case phaseReset:
		return 2 * resetLimit // DONE has a limit of its own
	case phaseCheck:
		return checkLimit
	case phasePooled:
		return c.Target.Pool.idleBound()
	}
	return 0
}

func (c *Conn) enter(name string) {
	c.hand(c.inPhase().owner, name)
}

// hand gives the connection to another owner.
func (c *Conn) hand(owner, name string) {
	now := c.dialer.Clock.Now()
	c.phaseMu.Lock()
	defer c.phaseMu.Unlock()
	c.phase = phase{name, owner, now}
}

func (c *Conn) inPhase() phase {
	c.phaseMu.Lock()
	defer c.phaseMu.Unlock()
	return c.phase
}

// Stack says where the connection was opened: functions and lines, made
// readable only when asked for.
func (c *Conn) Stack() string {
	depth := 0
	for depth < len(c.opener) && c.opener[depth] != 0 {
		depth++
	}
	frames := runtime.CallersFrames(c.opener[:depth])
	var at []string
	for {
		f, more := frames.Next()
		if f.Function != "" {
			at = append(at, fmt.Sprintf("%s:%d", f.Function[strings.LastIndexByte(f.Function, '/')+1:], f.Line))
		}
		if !more {
			return strings.Join(at, " < ")
		}
	}
}

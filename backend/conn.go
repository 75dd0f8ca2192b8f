package backend

import (
	"context"
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// Conn is one backend connection from dial to end, with its ledger. It is
// opened by Dialer.Dial and ended by End, and nowhere else. Its methods belong
// to the connection's owner and are not safe for concurrent use, but that one
// goroutine may read while another writes.
type Conn struct {
	Target *Target
	Addr   string        // the address that answered
	Ledger ledger.Ledger // fed by the relay

	raw    wire.Wire
	conn   net.Conn // raw, or TLS over it
	in     answers
	caps   capabilities
	clock  timing.Clock
	inStep bool          // before the relay: LOGOUT may be sent; no command is unfinished
	relay  bool          // the ledger answers for what may be sent
	bye    bool          // the backend has said BYE before the relay
	peer   error         // how the backend's side was closed: io.EOF or a reset; nil while it is open
	spent  time.Duration // of Limits.Login
	hidden hidden        // what no error may repeat, while a login runs
	alerts []string      // what the backend has said that the user must read
	broken atomic.Bool   // a write fell short
	reset  atomic.Bool   // a write has taken the kernel's word of a reset: a read gives io.EOF then
	ended  atomic.Bool
	hurry  atomic.Bool // see Hurry

	dialer *Dialer
	remote string // the other side's address, which a parked wire forgets
	opened time.Time
	phase  atomic.Pointer[phase]
	opener *opener // who opened it

	pooled pooled
}

// Raw is the socket, for options and for the door that cuts it. Deadlines
// belong to the owner.
func (c *Conn) Raw() *wire.Wire { return &c.raw }

// TLS returns the state of the TLS layer, nil without one.
func (c *Conn) TLS() *tls.ConnectionState {
	t, ok := c.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	s := t.ConnectionState()
	return &s
}

// source is the connection as the answers are read from it.
type source struct{ c *Conn }

// Read notes the end of the backend's side: after it nothing need be asked.
func (s source) Read(p []byte) (int, error) {
	n, err := s.c.conn.Read(p)
	fault.Point("backend.read")
	if isClosing(err) {
		s.c.peer = err
	}
	return n, err
}

// Read returns what the login left unread, then what the backend sends.
func (c *Conn) Read(p []byte) (int, error) {
	if c.in.Buffered() > 0 {
		return c.in.Copy(p), nil
	}
	return source{c}.Read(p)
}

// Write sends bytes to the backend. A write that falls short leaves the
// backend in the middle of something: no LOGOUT after it.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.conn.Write(p)
	if err != nil || n < len(p) {
		c.broken.Store(true)
	}
	if isReset(err) {
		c.reset.Store(true)
	}
	return n, err
}

// Enforce puts a policy in force for the session that takes the connection. A
// backend that has not said what it offers may have every command.
func (c *Conn) Enforce(p *ledger.Policy) {
	c.Ledger.Enforce(p, !c.caps.known() || c.caps.has("UNAUTHENTICATE"))
}

// Capabilities is what the backend offers after the login, less what the policy
// hides, for the client's tagged OK.
func (c *Conn) Capabilities() string { return c.caps.forClient(c.Ledger.Policy()) }

// SaysCapabilities reports whether the backend has said its capabilities in a line
// of their own, unasked, and not in its OK to the login.
func (c *Conn) SaysCapabilities() bool { return c.caps.untagged }

// StartRelay hands the question of what may be sent over to the ledger.
func (c *Conn) StartRelay() {
	c.relay = true
	c.Ledger.Offers(c.caps.nonSync())
	c.in.Release()
	c.enter(PhaseLease)
}

// mayLogout asks whether LOGOUT may be sent now, and whether DONE goes first.
func (c *Conn) mayLogout() (ok, doneFirst bool) {
	if c.broken.Load() {
		return false, false
	}
	if c.relay {
		return c.Ledger.MayLogout()
	}
	return c.inStep, false
}

// duringLogin is during for the phases that share Limits.Login.
func (c *Conn) duringLogin(ctx context.Context, f func() error) error {
	begun := c.clock.Now()
	defer func() { c.spent += c.clock.Now().Sub(begun) }()
	return c.during(ctx, c.Target.Limits.Login-c.spent, f)
}

// during runs f, which blocks on the socket, for as long as ctx and the limit
// allow. The limit's timer is named after the phase, as "backend_login". The
// deadline has one owner when it returns.
func (c *Conn) during(ctx context.Context, limit time.Duration, f func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	parent := ctx
	ctx, free := timing.Within(ctx, c.clock, "backend_"+c.phase.Load().name, limit, errLimit)
	defer free()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = c.raw.SetDeadline(time.Unix(1, 0)) // wakes whatever blocks
	})
	defer func() {
		if stop() {
			return
		}
		<-woken
		if parent.Err() == nil {
			_ = c.raw.SetDeadline(time.Time{}) // the limit came an instant too late
		}
	}()
	err := f()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Ahead reports whether Read has something that came with the login's last answer.
func (c *Conn) Ahead() bool { return c.in.Buffered() > 0 }

// Abandon tells the connection that bytes meant for the backend were lost.
func (c *Conn) Abandon() { c.broken.Store(true) }

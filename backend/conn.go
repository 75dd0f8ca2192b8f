package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// Conn is one backend connection from dial to end, with its ledger. It is
// opened by Dialer.Dial and ended by End, and nowhere else. Its methods belong
// to the connection's owner and are not safe for concurrent use, but for
// Hurry and Info.
type Conn struct {
	Target *Target
	Addr   string        // the address that answered
	Ledger ledger.Ledger // fed by the relay

	raw    wire.Wire
	conn   net.Conn // raw, or TLS over it
	in     *answers // nil in the relay, once all that the login left has been read
	caps   capabilities
	inStep bool          // before the relay: LOGOUT may be sent; no command is unfinished
	relay  bool          // the ledger answers for what may be sent
	bye    bool          // the backend has said BYE before the relay
	tuned  bool          // see Tune
	broken bool          // a write fell short
	reset  bool          // a write has taken the kernel's word of a reset: a read gives io.EOF then
	peer   error         // how the backend's side was closed: io.EOF or a reset; nil while it is open
	spent  time.Duration // of Limits.Login
	hidden *hidden       // what no error may repeat, while a login runs; nil for nothing
	alerts *[]string     // what the backend has said that the user must read; nil for nothing
	ended  atomic.Bool
	hurry  atomic.Bool               // see Hurry
	ending atomic.Pointer[loop.Task] // that runs End; nil before

	dialer *Dialer
	opened time.Time
	opener *opener // who opened it

	phaseMu sync.Mutex // protects phase against those who only ask; nothing blocks under it
	phase   phase

	pooled *pooled // nil where it has not been for a pool
}

// Raw is the socket, for its options and for what the kernel says of it. Limits
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

// ReleaseBuffers gives back what TLS has read into, unless something is left in it, and reports whether it has. No
// call may be under way.
func (c *Conn) ReleaseBuffers() bool {
	t, ok := c.conn.(*tls.Conn)
	return !ok || wire.ReleaseTLSBuffers(t)
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
	if c.Ahead() {
		return c.in.Copy(p), nil
	}
	if c.relay {
		c.in = nil
	}
	return source{c}.Read(p)
}

// readAnswers makes the connection read answers, and counts their bytes anew.
func (c *Conn) readAnswers() {
	if c.in == nil {
		c.in = &answers{}
		c.in.init(source{c})
	}
	c.in.budget.used = 0
}

// Write sends bytes to the backend. A write that falls short leaves the
// backend in the middle of something: no LOGOUT after it.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.conn.Write(p)
	if err != nil || n < len(p) {
		c.broken = true
	}
	if isReset(err) {
		c.reset = true
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
	if !c.Ahead() {
		c.in = nil
	}
	c.enter(PhaseLease)
}

// mayLogout asks whether LOGOUT may be sent now, and whether DONE goes first.
func (c *Conn) mayLogout() (ok, doneFirst bool) {
	if c.broken {
		return false, false
	}
	if c.relay {
		return c.Ledger.MayLogout()
	}
	return c.inStep, false
}

// duringLogin is during for the phases that share Limits.Login.
func (c *Conn) duringLogin(ctx context.Context, name string, f func() error) error {
	begun := c.dialer.Clock.Now()
	defer func() { c.spent += c.dialer.Clock.Now().Sub(begun) }()
	return c.during(ctx, name, c.Target.Limits.Login-c.spent, f)
}

// during runs f, which waits for the socket, for as long as ctx and the limit, which has a name, allow. ctx
// belongs to a task of a loop, which has the socket.
func (c *Conn) during(ctx context.Context, name string, limit time.Duration, f func() error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.raw.SetLimit(name, c.dialer.Clock.Now().Add(limit))
	defer c.raw.SetLimit("", time.Time{})
	err := f()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errLimit
	}
	return err
}

// hold makes the task that ctx belongs to wait for the socket, in the task's loop.
func (c *Conn) hold(ctx context.Context) error {
	t := loop.Of(ctx)
	if t == nil || c.raw.Place().Round != 0 && !t.Loop().Has(&c.raw) {
		return errNoLoop
	}
	c.raw.WaitBy(t)
	c.raw.WatchBy(t)
	if c.raw.Place().Round != 0 {
		return nil // it is the loop's already
	}
	return t.Loop().Add(&c.raw)
}

// rest takes the socket out of its loop, until the next hold.
func (c *Conn) rest(ctx context.Context) {
	c.raw.Forget()
	c.raw.WatchBy(nil)
	if t := loop.Of(ctx); t != nil {
		t.Loop().Remove(&c.raw)
	}
}

// errNoLoop is a fault of the caller's: see package loop.
var errNoLoop = errors.New("a backend connection needs the event loop that has it")

// Ahead reports whether Read has something that came with the login's last answer.
func (c *Conn) Ahead() bool { return c.in != nil && c.in.Buffered() > 0 }

// Abandon tells the connection that bytes meant for the backend were lost.
func (c *Conn) Abandon() { c.broken = true }

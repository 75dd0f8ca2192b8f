package backend

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/pool"
	"imapproxy/backend/wire"
)

// PoolRequest says for whom a connection is wanted.
type PoolRequest struct {
	Front     string // the user as the front end has authenticated them
	Mechanism string
	Judged    bool // the login has been checked just now; else the backend is the judge
}

// Lease is a pooled connection in a session's hands, logged in. Return ends it.
type Lease struct {
	Conn *Conn
	Text string // of the login's OK

	slot  *pool.Lease[poolKey, *Conn]
	pool  *connPool
	pools *Pools
	key   poolKey
	cred  Credentials
	age   time.Duration
}

// Why a connection was not used again, next to the words of package pool, of
// Ledger.Reusable and of the ends of sessions.
const (
	whyDead     = "dead"         // it had closed, or did not answer
	whyMismatch = "mismatch"     // it is another's: a fault of ours
	whyChanged  = "changed"      // the credentials have changed
	whyFailed   = "login_failed" // it could not be logged in
	whyPanic    = "panic"        // a fault of ours
	// WhyRefused drops a user whose login has been refused.
	WhyRefused = "refused"
	// WhyKicked drops a user whom an administrator has ended.
	WhyKicked = "kicked"
)

// ErrNoPool says that the target's connections are not pooled, or not any more.
var ErrNoPool = errors.New("the target has no pool")

// Lease returns a connection that is logged in: an idle one of the same key, or
// one that is logged in now. It waits its turn while the limits leave none. The
// error is ErrNoPool, a *Refused or an *Error; no socket is left open.
func (p *Pools) Lease(ctx context.Context, t *Target, cred Credentials, o Origin, q PoolRequest) (*Lease, error) {
	cp, err := p.of(t)
	if err != nil {
		return nil, &Error{Kind: KindConfig, Target: t.Name, Addr: t.Name, Phase: "pool", Err: err}
	}
	if cp == nil {
		return nil, ErrNoPool
	}
	l := &Lease{pool: cp, pools: p, key: p.key(t, cred, q), cred: cred, age: t.Pool.age(q.Judged)}
	l.slot, err = cp.Acquire(loop.Of(ctx), l.key, l.age)
	switch {
	case errors.Is(err, pool.ErrClosed):
		return nil, ErrNoPool
	case err != nil:
		e := wrap(ctx, t, t.Name, "wait", err)
		if ctx.Err() == nil {
			e.Kind = KindPool
		}
		return nil, e
	}
	logged := false
	defer func() {
		if !logged { // refused, failed, or a panic
			l.slot.Discard(whyFailed)
			if l.Conn != nil {
				o.Aside(l.Conn)
			}
		}
	}()
	if err := l.obtain(ctx, o); err != nil {
		return nil, err
	}
	logged = true
	return l, nil
}

// obtain goes on until a connection is logged in, or can't be.
func (l *Lease) obtain(ctx context.Context, o Origin) error {
	for {
		c, holds := l.slot.Resource()
		var err error
		switch holds {
		case pool.Used:
			err = l.reuse(ctx, c, o)
		case pool.Spare:
			err = l.useSpare(ctx, c, o)
		default:
			return l.open(ctx, o)
		}
		if err == nil || ctx.Err() != nil || holds == pool.Spare && isAnswered(err) {
			return err
		}
		l.Conn = nil
		o.Aside(c)
		why := whyDead
		if errors.Is(err, errMismatch) {
			why = whyMismatch
		}
		l.slot.Renew(why, l.age)
	}
}

// errMismatch can't happen.
var errMismatch = errors.New("the pool gave a connection with another key")

// reuse takes an idle connection, if it is still good and really this user's.
func (l *Lease) reuse(ctx context.Context, c *Conn, o Origin) error {
	l.Conn = c
	c.hand(o.SessionID, phaseCheck)
	k := c.pooled.key
	if subtle.ConstantTimeCompare(k.version[:], l.key.version[:]) != 1 || k != l.key {
		return errMismatch
	}
	command, ask := "NOOP", l.slot.Unused() >= c.Target.Pool.CheckAfter
	if c.Target.ForwardID && c.caps.has("ID") {
		command, ask = idCommand(o), true
	}
	if err := c.stillGood(ctx, command, ask); err != nil {
		return wrap(ctx, c.Target, c.Addr, "check", err)
	}
	l.Text = c.pooled.text
	return nil
}

// useSpare logs in on a connection that waits for a login.
func (l *Lease) useSpare(ctx context.Context, c *Conn, o Origin) error {
	l.Conn = c
	c.hand(o.SessionID, phaseReady)
	if err := c.hold(ctx); err != nil {
		return wrap(ctx, c.Target, c.Addr, "check", err)
	}
	if c.unread() || wire.Unread(&c.raw) {
		return wrap(ctx, c.Target, c.Addr, "check", errOutOfStep)
	}
	c.spent = 0
	c.readAnswers()
	text, err := c.logIn(ctx, l.cred, o)
	if err != nil {
		return err
	}
	l.loggedIn(text)
	return nil
}

// open makes a new connection and logs in.
func (l *Lease) open(ctx context.Context, o Origin) error {
	c, text, err := l.pools.dialer.Login(ctx, l.pool.target, l.cred, o)
	if err != nil {
		return err
	}
	l.Conn = c
	l.slot.Fill(c)
	l.loggedIn(text)
	return nil
}

// loggedIn notes whose the connection is.
func (l *Lease) loggedIn(text string) {
	l.Conn.pooled = &pooled{key: l.key, text: text, keeps: &l.pool.keeps}
	l.Text = text
	l.slot.Verified()
	l.pool.Drop(func(k poolKey) bool {
		return k.front == l.key.front && k.user == l.key.user && k.authID == l.key.authID && k.version != l.key.version
	}, whyChanged)
}

// Return makes the connection fit for its next session and gives it back, or
// ends it where that can't be, or where why says that it must not be used
// again. It returns how it ended, endNone where it has not.
func (l *Lease) Return(ctx context.Context, why string) Ending {
	c := l.Conn
	c.Tune()
	done := false
	defer func() {
		if !done { // a panic
			l.slot.Discard(whyPanic)
			c.End(ctx)
		}
	}()
	var forgotten bool
	if why == "" {
		l.slot.Resetting()
		forgotten, why, _ = c.makeFit(ctx)
	}
	if why != "" {
		e := c.End(ctx)
		l.slot.Discard(why)
		done = true
		return e
	}
	fault.Point("pool.return")
	done = true
	c.rest(ctx)
	c.hand(PoolOwner, phasePooled)
	if forgotten {
		l.slot.ReturnSpare()
	} else {
		l.slot.Return()
	}
	return endNone
}

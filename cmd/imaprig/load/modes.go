package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// runLogin runs whole sessions, with nothing between LOGIN and LOGOUT.
func runLogin(ctx context.Context, r *run) error {
	return r.measure(ctx, r.opts.Sessions, func(context.Context, int) error {
		began := time.Now()
		c, err := r.target.Dial()
		if err != nil {
			return err
		}
		login := time.Now()
		if err := c.login(); err != nil {
			c.Close()
			return err
		}
		r.meter.did(1, login)
		if err := c.logout(); err != nil {
			return err
		}
		r.meter.did(0, began)
		return nil
	})
}

func runRTT(ctx context.Context, r *run) error {
	return r.repeat(ctx, nothing, noop)
}

func nothing(*Conn) error { return nil }

func noop(c *Conn) error { return c.ok("NOOP") }

func runFetch(ctx context.Context, r *run) error {
	return r.repeat(ctx, r.selectMailbox, func(c *Conn) error { return c.fetch(r.message()) })
}

func runAppend(ctx context.Context, r *run) error {
	return r.repeat(ctx, nothing, func(c *Conn) error {
		return c.appendMessage(r.opts.Mailbox, r.body, r.opts.Size)
	})
}

// message returns the number of the message that fetch and mixed read.
func (r *run) message() int { return max(r.opts.Message, 1) }

func (r *run) selectMailbox(c *Conn) error {
	return c.ok("SELECT " + rig.Quoted(r.opts.Mailbox))
}

// repeat opens the sessions, measures one operation on each of them again and again, and logs out.
func (r *run) repeat(ctx context.Context, prepare, operation func(c *Conn) error) error {
	conns := r.open(ctx, r.opts.Sessions, prepare)
	if err := enough(conns); err != nil {
		return err
	}
	err := r.again(ctx, conns, prepare, operation)
	r.end(conns, (*Conn).logout)
	return err
}

// again measures an operation on each session, called again and again, or every Pace: then its time counts from when it
// was due. A session that fails is counted, and another replaces it.
func (r *run) again(ctx context.Context, conns []*Conn, prepare, operation func(c *Conn) error) error {
	turns := make([]time.Time, len(conns))
	for i := range turns {
		turns[i] = time.Now().Add(r.opts.Pace * time.Duration(i) / time.Duration(len(conns)))
	}
	return r.measure(ctx, len(conns), func(ctx context.Context, i int) error {
		if conns[i] == nil {
			c, err := r.session()
			if err != nil {
				return err
			}
			if err := prepare(c); err != nil {
				c.Close()
				return err
			}
			conns[i] = c
		}
		began := time.Now()
		if r.opts.Pace > 0 {
			began, turns[i] = turns[i], turns[i].Add(r.opts.Pace)
			if rig.Sleep(ctx, time.Until(began)) != nil {
				return errDone
			}
		}
		if err := operation(conns[i]); err != nil {
			conns[i].Close()
			conns[i] = nil
			return err
		}
		r.meter.did(0, began)
		return nil
	})
}

// runIdle opens sessions, waits in IDLE and looks at the proxy's memory before and after. Rates and costs are those of
// the opening; the wait has its own.
func runIdle(ctx context.Context, r *run) error {
	before, err := rig.UsageOf(r.opts.PIDs)
	if err != nil {
		return err
	}
	r.meter.on.Store(true)
	began := time.Now()
	conns := r.openIdle(ctx, r.opts.Sessions)
	opening := time.Since(began)
	if err := enough(conns); err != nil {
		return err
	}
	opened, err := rig.CPUOf(r.opts.PIDs)
	if err == nil {
		err = r.measure(ctx, len(conns), r.readIdle(conns))
	}
	after, afterErr := rig.UsageOf(r.opts.PIDs)
	r.result.Idle = &idleResult{Sessions: len(conns), HeldSeconds: r.result.Seconds}
	if len(r.opts.PIDs) > 0 && err == nil && afterErr == nil {
		r.result.Idle.cost(before, after, r.result.CPUSeconds)
	}
	r.result.Seconds, r.result.CPUSeconds = opening.Seconds(), (opened - before.CPU).Seconds()
	r.end(conns, leaveIdle)
	return errors.Join(err, afterErr)
}

// openIdle opens n sessions in IDLE.
func (r *run) openIdle(ctx context.Context, n int) []*Conn {
	return r.open(ctx, n, func(c *Conn) error {
		if err := r.selectMailbox(c); err != nil {
			return err
		}
		if r.opts.Message > 0 {
			if err := c.fetch(r.opts.Message); err != nil {
				return err
			}
		}
		if err := c.idle(); err != nil {
			return err
		}
		r.meter.did(0, c.began)
		return nil
	})
}

// readIdle reads what sessions in IDLE receive. Those that are lost become nil.
func (r *run) readIdle(conns []*Conn) func(ctx context.Context, i int) error {
	return func(ctx context.Context, i int) error {
		c := conns[i]
		until, _ := ctx.Deadline()
		before := c.exists
		err := c.waitIdle(until)
		r.meter.mail.Add(uint64(c.exists - before))
		if r.meter.failed(err) {
			c.Close()
			conns[i] = nil
		}
		return errDone
	}
}

func leaveIdle(c *Conn) error {
	if err := c.done(); err != nil {
		c.Close()
		return err
	}
	return c.logout()
}

// The life of a client in mixed.
const (
	mixedFetches = 4                      // at most, one at least
	mixedIdle    = 500 * time.Millisecond // in IDLE, at most
	mixedAbrupt  = 0.3                    // of the clients leave without LOGOUT
)

// runMixed runs whole sessions as mail clients have them.
func runMixed(ctx context.Context, r *run) error {
	return r.measure(ctx, r.opts.Sessions, func(context.Context, int) error {
		began := time.Now()
		c, err := r.target.Dial()
		if err != nil {
			return err
		}
		c.onBytes = r.meter.moved
		err = r.mixedSession(c)
		if err == nil && rand.Float64() >= mixedAbrupt {
			err = r.timed("LOGOUT", c.logout)
		}
		c.Close()
		if err == nil {
			r.meter.did(0, began)
		}
		return err
	})
}

// mixedSession runs a session from LOGIN to the end of IDLE.
func (r *run) mixedSession(c *Conn) error {
	if err := r.timed("LOGIN", c.login); err != nil {
		return err
	}
	if err := r.timed("SELECT", func() error { return r.selectMailbox(c) }); err != nil {
		return err
	}
	for range 1 + rand.IntN(mixedFetches) {
		if err := r.timed("FETCH", func() error { return c.fetch(r.message()) }); err != nil {
			return err
		}
	}
	if err := r.timed("NOOP", func() error { return c.ok("NOOP") }); err != nil {
		return err
	}
	if err := r.timed("IDLE", c.idle); err != nil {
		return err
	}
	before := c.exists
	if err := c.waitIdle(time.Now().Add(rand.N(mixedIdle))); err != nil {
		return err
	}
	r.meter.mail.Add(uint64(c.exists - before))
	return c.done()
}

// timed runs an operation of the mode, by its name, and records how long it took.
func (r *run) timed(name string, operation func() error) error {
	began := time.Now()
	if err := operation(); err != nil {
		return err
	}
	for i, known := range r.meter.names {
		if known == name {
			r.meter.did(i, began)
		}
	}
	return nil
}

package exits

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"imapproxy/cmd/imaprig/rig"
)

const (
	openAtOnce = 48               // sessions of a cell
	byServerIn = 15 * time.Second // for a backend that closes first
)

// drive opens the sessions of a cell and ends them. Its error is one of the rig; what sessions run into is kept in r.
func (x *proxyRun) drive(ctx context.Context, r *cellResult) error {
	if why := x.facts.lacks[r.Ending]; why != "" {
		r.NotRun = why
	}
	if r.NotRun != "" {
		return nil
	}
	w := endingOf(r.cell)
	d := &drive{proxyRun: x, ending: w, result: r, addr: x.proxy.Addr.String(), dial: dialTCP}
	if w.vanishes {
		if r.NotRun = x.noVanishing(); r.NotRun != "" {
			return nil
		}
		var err error
		if d.local, err = x.ns.NewClient(ctx); err != nil {
			return err
		}
		d.addr, d.dial = x.proxy.Outside.String(), x.ns.Dial
	}
	if err := x.backend.setMode(ctx, r.Mode); err != nil {
		return err
	}
	before, err := x.backend.stats(ctx)
	if err != nil {
		return err
	}
	if d.watch, err = x.monitor.Begin(r); err != nil {
		return err
	}
	return d.run(ctx, before)
}

// noVanishing returns the reason why clients can't vanish, "" when they can.
func (x *proxyRun) noVanishing() string {
	switch {
	case x.ns == nil:
		return x.nsProblem
	case !x.proxy.Outside.IsValid() && isDirect(x.proxy) && x.facts.info.Kind == kindJava:
		return "without a proxy clients can't vanish: the Java program of the rig listens on 127.0.0.1 only"
	case !x.proxy.Outside.IsValid() && isDirect(x.proxy):
		return "the server can't be reached from the rig's network namespace: it has to run on this machine, and to " +
			"listen on every address"
	case !x.proxy.Outside.IsValid():
		return "the proxy can't be reached from the rig's network namespace: let it listen on every address of this " +
			"machine"
	}
	return ""
}

// drive is one cell being driven.
type drive struct {
	*proxyRun
	ending ending
	result *cellResult
	watch  *watch
	addr   string // of the proxy
	local  netip.Addr
	dial   func(*net.Dialer, string) (net.Conn, error)

	mu      sync.Mutex // protects what follows, the result and the run's clients
	open    []*client
	aborted bool
}

func (d *drive) run(ctx context.Context, before rig.JavaStats) error {
	defer context.AfterFunc(ctx, d.abort)()
	if err := d.openAll(ctx); err != nil {
		return err
	}
	if err := d.backend.opened(ctx, d.result); err != nil {
		return err
	}
	if err := rig.Sleep(ctx, d.ending.wait); err != nil {
		return err
	}
	if err := d.monitor.Look(); err != nil { // while all is open
		return err
	}
	if d.ending.deaf {
		if err := d.ns.Deafen(ctx, d.local); err != nil {
			return err
		}
	}
	d.endAll()
	if d.ending.byServer {
		if err := d.awaitServer(ctx, before); err != nil {
			return err
		}
	}
	if d.ending.vanishes {
		if err := errors.Join(d.ns.Deafen(ctx, d.local), d.ns.Mute(ctx, d.local)); err != nil {
			return err
		}
	}
	d.monitor.Ended(d.watch, time.Now(), d.opts.after)
	return d.countReached(ctx, before)
}

// openAll opens every session and brings it to the state in which it is ended.
func (d *drive) openAll(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(openAtOnce)
	for range d.opts.sessions {
		if ctx.Err() != nil {
			break
		}
		d.sessions++
		c := d.opts.newClient(d.sessions)
		c.mail = d.facts.mail
		c.limit = cmp.Or(d.facts.limit, c.limit)
		if d.ending.password != "" {
			c.password = d.ending.password
		}
		group.Go(func() error { d.openOne(c); return nil })
	}
	_ = group.Wait() // what goes wrong is in the result
	return ctx.Err()
}

func (d *drive) openOne(c *client) {
	err := d.monitor.Connect(d.watch, c, func() error { return c.connect(d.dial, d.addr, d.local, d.ending.slow) })
	if err == nil {
		d.connected(c)
		err = d.ending.open(c)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.result.answered = append(d.result.answered, c.answered...)
	if err != nil {
		d.failed(err)
		if c.conn != nil {
			_ = c.conn.Close()
		}
		return
	}
	d.result.Opened++
	d.open = append(d.open, c)
}

// connected notes a client that has a socket.
func (d *drive) connected(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clients = append(d.clients, c)
	if d.ending.vanishes {
		// should we be killed: an orphan, whose FIN is never acknowledged, would keep the namespace
		_ = c.conn.SetLinger(0)
	}
	if d.aborted {
		_ = c.reset()
	}
}

// abort makes every session that waits for something fail.
func (d *drive) abort() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.aborted = true
	d.release()
}

// failed notes what a session ran into; the lock is held.
func (d *drive) failed(err error) {
	if errors.Is(err, errForeign) {
		d.result.Foreign++
	}
	if d.result.Problem == "" {
		d.result.Problem = err.Error()
	}
}

// endAll ends every session that is open, at the same time.
func (d *drive) endAll() {
	var ending sync.WaitGroup
	for _, c := range d.open {
		if d.ending.end == nil {
			break
		}
		ending.Go(func() {
			if err := d.ending.end(c); err != nil {
				d.mu.Lock()
				defer d.mu.Unlock()
				d.result.Opened--
				d.failed(err)
			}
		})
	}
	ending.Wait()
}

// awaitServer waits until the backend has closed first, for every session.
func (d *drive) awaitServer(ctx context.Context, before rig.JavaStats) error {
	limit := time.Now().Add(byServerIn)
	for {
		now, err := d.backend.stats(ctx)
		if err != nil {
			return err
		}
		closed := int(now.Server - before.Server)
		if closed >= d.result.Opened {
			return nil
		}
		if time.Now().After(limit) {
			d.result.Problem = fmt.Sprintf("the backend could close only %d of %d first", closed, d.result.Opened)
			d.result.Opened = closed
			return nil
		}
		if err := rig.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// countReached counts the connections that the backend saw. It is also seen in the kernel's table where the backend
// does not accept.
func (d *drive) countReached(ctx context.Context, before rig.JavaStats) error {
	now, err := d.backend.stats(ctx)
	if err != nil {
		return err
	}
	d.result.Reached = max(int(now.Accepted-before.Accepted), d.monitor.Reached(d.watch))
	if d.facts.counts || d.monitor.seesBackend() && !d.ending.brief() {
		d.result.Expected = d.ending.expected(d.result.Opened)
	}
	return nil
}

// logsIn reports whether a session comes further than its login.
func (w ending) logsIn() bool { return w.name != "before-login" && w.name != "backend-never-greets" }

// brief reports whether a connection to the backend may come and go between two looks.
func (w ending) brief() bool { return w.password != "" }

// expected returns how many of the opened sessions the backend must have seen.
func (w ending) expected(opened int) int {
	switch {
	case w.name == "before-login":
		return 0
	case w.backsOff:
		return min(1, opened)
	}
	return opened
}

package exits

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"imapproxy/cmd/imaprig/rig"
)

const (
	javaWorkers  = 20_000  // no cell waits for the workers that another has stuck
	javaMessage  = 4 << 20 // bytes: more than the buffers between it and a client that does not read
	javaStopTime = 10 * time.Second
)

// proxyRun is one proxy's run.
type proxyRun struct {
	opts      options
	backend   backend
	facts     backendFacts
	proxy     *rig.Proxy
	ns        *rig.Namespace // nil when there is none
	nsProblem string         // why
	monitor   *monitor
	progress  *progress
	clients   []*client
	sessions  int // so far
}

// runCells runs the cells one after the other, and counts all of them at their times.
func (x *proxyRun) runCells(ctx context.Context, cells []cell) (*proxyResult, error) {
	began := time.Now()
	x.monitor = newMonitor(x.facts, x.proxy, x.opts.proxy == "")
	result := &proxyResult{Name: x.proxy.Name, Version: x.proxy.Version, Settings: x.proxy.Settings,
		Direct: isDirect(x.proxy)}
	for _, c := range cells {
		result.Cells = append(result.Cells, &cellResult{cell: c, Sessions: x.opts.sessions, direct: result.Direct,
			defaults: x.opts.settings == settingsDefaults})
	}
	defer x.release()
	if err := x.tryLogin(ctx, result); err != nil {
		return nil, err
	}
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error { return x.monitor.Run(both, x.progress.tick) })
	group.Go(func() error { return x.driveAll(both, result.Cells) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	result.Seconds = time.Since(began).Seconds()
	for _, r := range result.Cells {
		r.Answers = answersOf(r.answered, began)
	}
	return result, x.finish(ctx, result)
}

// tryLogin logs in through a proxy to a server that is not ours. A proxy and a server that don't go together are said
// once.
func (x *proxyRun) tryLogin(ctx context.Context, result *proxyResult) error {
	if x.facts.counts || result.Direct {
		return nil
	}
	c := x.opts.newClient(1)
	c.limit = cmp.Or(x.facts.limit, c.limit)
	err := c.connect(dialTCP, x.proxy.Addr.String(), netip.Addr{}, false)
	if err == nil {
		defer c.closeAfter(ctx)()
		if err = openLoggedIn(c); err == nil {
			return endLogout(c)
		}
		_ = c.conn.Close()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	result.NoLogin = x.whyNoLogin(ctx, err)
	for _, r := range result.Cells {
		if endingOf(r.cell).logsIn() {
			r.NotRun = "no login is possible through " + x.proxy.Name
		}
	}
	return nil
}

// whyNoLogin returns why a login through a proxy to a server that takes the user has failed.
func (x *proxyRun) whyNoLogin(ctx context.Context, err error) string {
	if x.proxy.Literals && x.refusesLiterals(ctx) {
		return fmt.Sprintf("it sends the name and the password of LOGIN as literals, and the server takes none there "+
			"(%v)", err)
	}
	return err.Error()
}

// refusesLiterals reports whether the server answers no to the name of LOGIN as a literal.
func (x *proxyRun) refusesLiterals(ctx context.Context) bool {
	c := x.opts.newClient(1)
	if err := c.connect(dialTCP, x.facts.addr.String(), netip.Addr{}, false); err != nil {
		return false
	}
	defer c.conn.Close()
	defer c.closeAfter(ctx)()
	if c.greeting() != nil || c.command(fmt.Sprintf("LOGIN {%d}", len(c.user))) != nil {
		return false
	}
	err := c.continuation()
	return err != nil && !rig.IsTimeout(err)
}

// finish asks the backend what it has seen, and judges.
func (x *proxyRun) finish(ctx context.Context, result *proxyResult) error {
	stats, err := x.backend.stats(ctx)
	if err != nil {
		return err
	}
	result.Java = stats.Modes
	result.StoredUnasked = int(stats.Stored)
	if x.facts.counts {
		result.Unattributed = max(0, stats.Open-x.monitor.Attributed())
	}
	for _, r := range result.Cells {
		r.Misses = judge(r)
	}
	result.Misses = append(result.Misses, judgeRun(result)...)
	return nil
}

func (x *proxyRun) driveAll(ctx context.Context, cells []*cellResult) error {
	defer x.monitor.Complete()
	for _, r := range cells {
		if err := x.drive(ctx, r); err != nil {
			return fmt.Errorf("%v: %w", r.cell, err)
		}
		x.progress.driven(r)
	}
	return nil
}

// release closes the sockets of clients that have stayed.
func (x *proxyRun) release() {
	for _, c := range x.clients {
		_ = c.reset() // most are closed already
	}
}

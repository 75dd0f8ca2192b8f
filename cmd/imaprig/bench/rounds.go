package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"imapproxy/backend/printable"
	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/imaprig/term"
)

// run is a run of the benchmark.
type run struct {
	opts    options
	start   func(ctx context.Context, name string) (*rig.Proxy, error)
	stderr  io.Writer
	result  *result
	scales  [][]load.ScaleFigure // of our proxy, by round
	running map[string]*rig.Proxy
}

// run runs all rounds. A load that fails is noted, and the next one is run.
func (b *run) run(ctx context.Context) (err error) {
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, b.opts.limit)
	defer cancel()
	b.running = map[string]*rig.Proxy{}
	defer func() { err = errors.Join(err, b.stopAll()) }()
	fmt.Fprintf(b.stderr, "This takes about %v.\n", b.plan().Round(time.Minute))
	b.startAll(ctx)
	b.rounds(ctx)
	b.result.Scale = middle(b.scales)
	if ctx.Err() != nil {
		b.note("the rest", fmt.Errorf("no time left of %v", b.opts.limit))
	}
	b.result.Seconds = time.Since(b.result.Began).Seconds()
	if outer.Err() != nil {
		return errors.New("interrupted")
	}
	if len(b.result.NotRun) > 0 {
		return fmt.Errorf("not everything was measured: %s", b.result.NotRun[0])
	}
	return nil
}

// rounds runs them until ctx ends.
func (b *run) rounds(ctx context.Context) {
	for round := range b.opts.rounds {
		for i := range b.result.Rows {
			row := &b.result.Rows[i]
			for _, name := range rotated(row.row.proxies, round) {
				// that a proxy can't be had is noted already
				if ctx.Err() == nil && b.running[row.row.instance(name)] != nil {
					b.one(ctx, row, name, round)
				}
			}
		}
	}
}

// plan returns how long all rounds take, about.
func (b *run) plan() (total time.Duration) {
	for _, row := range b.result.Rows {
		for _, name := range row.row.proxies {
			total += time.Duration(b.opts.rounds) * row.row.length(name, b.opts.duration)
		}
	}
	return total
}

// rotated returns the names in an order that begins with another one in each round.
func rotated(names []string, round int) []string {
	k := round % len(names)
	return slices.Concat(names[k:], names[:k])
}

// startAll starts every proxy that a row needs. One that can't be had is missing in all of them.
func (b *run) startAll(ctx context.Context) {
	names := []string{proxyOwn}
	for _, row := range b.result.Rows {
		for _, name := range row.row.proxies {
			names = append(names, row.row.instance(name))
		}
	}
	for _, name := range names {
		if b.running[name] != nil || b.result.Missing[name] != "" {
			continue
		}
		p, err := b.start(ctx, name)
		if err != nil {
			b.result.Missing[name] = err.Error()
			b.note(name, err)
			continue
		}
		b.running[name] = p
		b.result.Proxies = append(b.result.Proxies, proxyInfo{name, p.Version, p.Settings})
	}
}

func (b *run) stopAll() error {
	var errs []error
	for _, p := range b.running {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}

func (b *run) note(what string, err error) {
	b.result.NotRun = append(b.result.NotRun, fmt.Sprintf("%s: %v", what, err))
	fmt.Fprintf(b.stderr, "%s: not measured: %v\n", what, err)
}

// one runs a row's load on a proxy.
func (b *run) one(ctx context.Context, row *measurement, name string, round int) {
	what := fmt.Sprintf("round %d, %s, %s", round+1, row.Name, name)
	p := b.running[row.row.instance(name)]
	if row.row.fresh {
		var err error
		if p, err = b.start(ctx, row.row.instance(name)); err != nil {
			b.note(what, err)
			return
		}
		defer func() {
			if err := p.Stop(); err != nil {
				b.note(what, err)
			}
		}()
	}
	o, err := row.row.options(p, b.opts.duration)
	if err != nil {
		b.note(what, err)
		return
	}
	run := b.countedLoad
	if row.row.handshakes {
		run = b.duringHandshakes
	}
	result, err := run(ctx, &o, what, p)
	// a large message may take longer than the measurement
	if err == nil && result.First().Count == 0 && result.Bytes == 0 {
		err = errors.New("nothing was done")
	}
	b.countErrors(what, result)
	if err != nil {
		b.note(what, err)
		return
	}
	row.take(name, round, result)
	if len(result.Scale) > 0 && name == proxyOwn {
		b.scales = append(b.scales, result.Scale)
	}
	fmt.Fprintf(b.stderr, "%s: %s\n", what, row.line(result))
}

// load runs one with a line of progress on a terminal.
func (b *run) load(ctx context.Context, o *load.Options, what string) (*load.Result, error) {
	stderr := b.stderr
	if !term.IsTerminal(stderr) {
		stderr = io.Discard // the line at its end is enough
	}
	return o.Run(ctx, stderr, what)
}

// countedLoad runs a load and counts the logins at the backend that the proxy leads to.
func (b *run) countedLoad(ctx context.Context, o *load.Options, what string, p *rig.Proxy) (*load.Result, error) {
	if !p.Backend.IsValid() {
		return b.load(ctx, o, what)
	}
	before, err := fastLogins(p.Backend)
	if err != nil {
		return nil, err
	}
	result, err := b.load(ctx, o, what)
	if err != nil {
		return result, err
	}
	after, err := fastLogins(p.Backend)
	result.Logins = after - before
	return result, err
}

// fastLogins asks a fast backend how many logins it has seen.
func fastLogins(addr netip.AddrPort) (uint64, error) {
	target := load.Target{Addr: addr.String(), TLS: "off", Limit: answerLimit}
	c, err := target.Dial()
	if err != nil {
		return 0, fmt.Errorf("count the logins at the backend: %w", err)
	}
	defer c.Close()
	if err := c.Send("ID NIL"); err != nil {
		return 0, fmt.Errorf("count the logins at the backend: %w", err)
	}
	line, err := c.Line()
	if err != nil {
		return 0, fmt.Errorf("count the logins at the backend: %w", err)
	}
	number, found := strings.CutPrefix(string(line), rig.LoginCountPrefix)
	n, err := strconv.ParseUint(strings.TrimSuffix(number, `")`), 10, 64)
	if !found || err != nil {
		return 0, fmt.Errorf("count the logins at the backend: it says %.*q", rig.MaxForeign, line)
	}
	return n, nil
}

func (b *run) countErrors(what string, r *load.Result) {
	if r == nil {
		return
	}
	for _, e := range r.Errors {
		b.result.Errors = append(b.result.Errors, fmt.Sprintf("%s: %d × %s (%s)",
			what, e.Count, printable.Text(e.Kind, 0), printable.Text(e.First, 0)))
	}
}

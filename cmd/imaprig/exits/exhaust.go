package exits

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// exhaustOptions are the flags of imaprig exhaust.
type exhaustOptions struct {
	runOptions
	fdLimit  int
	mode     string
	patience time.Duration // for one answer
}

// exhaustResult is how far one proxy came.
type exhaustResult struct {
	name    string
	served  int
	problem string // of the first session that was not served
	stats   rig.JavaStats
	took    time.Duration
}

const (
	unservedInARow = 3 // sessions after which the rest is given up
	exhaustEvery   = 50
)

const exhaustHelp = `usage: imaprig exhaust --proxy HOST:PORT [flags]
       imaprig exhaust --peer NAME[,NAME...] [flags]

Runs sessions one after the other through a proxy, against a Java backend that may hold only so many descriptors: each
logs in, selects INBOX and closes. A backend that does not get to close runs out of them. --proxy and --peer are as for
imaprig exits.

Exit code: 0 every session was served, 1 not every one or the run failed, 2 wrong usage.

`

// RunExhaust runs the subcommand exhaust and returns its exit code.
func RunExhaust(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseExhaust(args, stdout)
	if err != nil {
		return rig.Failed(stderr, "exhaust", rig.WrongInput(err))
	}
	return opts.run(ctx, stdout, stderr)
}

func (o *exhaustOptions) run(ctx context.Context, stdout, stderr io.Writer) int {
	if err := o.checkProxy(ctx); err != nil {
		return rig.Failed(stderr, "exhaust", err)
	}
	code := rig.ExitOK
	for _, name := range o.names() {
		r, err := o.runProxy(ctx, name, stderr)
		if err != nil {
			return rig.Failed(stderr, "exhaust", fmt.Errorf("%s: %w", name, err))
		}
		o.print(stdout, r)
		if r.served < o.sessions {
			code = rig.ExitFailed
		}
	}
	return code
}

// checkProxy returns an error for a proxy that does not run, before the backend is started.
func (o *exhaustOptions) checkProxy(ctx context.Context) error {
	if o.proxy == "" {
		return nil
	}
	addr, err := resolve(ctx, o.proxy)
	if err != nil {
		return rig.WrongInput(fmt.Errorf("--proxy: %w", err))
	}
	conn, err := dialTCP(&net.Dialer{Timeout: answerLimit}, addr.String())
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("nothing listens on %s", o.proxy)
	}
	if err != nil {
		return rig.WrongInput(fmt.Errorf("--proxy: %w", err))
	}
	return conn.Close()
}

func parseExhaust(args []string, stdout io.Writer) (exhaustOptions, error) {
	o := exhaustOptions{patience: answerLimit}
	flags := rig.NewFlags("exhaust")
	o.addTo(flags, 600)
	flags.IntVar(&o.fdLimit, "fd-limit", 400, "the `NUMBER` of connections that the backend can hold")
	flags.StringVar(&o.mode, "mode", "no-close-without-logout", "the `MODE` of the backend, see imaprig exits "+
		"--help")
	if err := rig.ParseFlags(flags, args, exhaustHelp, stdout); err != nil {
		return o, err
	}
	var modes []string
	for _, me := range modeEndings() {
		if slices.Contains(me.endings, "idle") {
			modes = append(modes, me.mode)
		}
	}
	switch {
	case o.fdLimit < 1:
		return o, fmt.Errorf("--fd-limit %d: want 1 or more", o.fdLimit)
	case checkNames("mode", []string{o.mode}, modes) != nil:
		return o, checkNames("mode", []string{o.mode}, modes)
	}
	return o, o.check()
}

// runProxy starts a backend and the proxy, and ends both.
func (o *exhaustOptions) runProxy(ctx context.Context, name string, stderr io.Writer) (r *exhaustResult, err error) {
	java, err := o.startJava(ctx, rig.JavaOptions{Mode: o.mode, FDLimit: o.fdLimit})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, java.Stop(javaStopTime)) }()
	p, err := o.startProxy(ctx, name, loopback(java.Port), netip.Addr{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := java.Reset(ctx); err != nil {
		return nil, err
	}
	r = &exhaustResult{name: nameAndVersion(p.Name, p.Version)}
	began := time.Now()
	if err := o.drive(ctx, p, r, stderr); err != nil {
		return nil, err
	}
	r.took = time.Since(began)
	r.stats, err = java.Stats(ctx)
	return r, err
}

// drive runs the sessions, until several in a row are not served.
func (o *exhaustOptions) drive(ctx context.Context, p *rig.Proxy, r *exhaustResult, stderr io.Writer) error {
	unserved := 0
	for n := 1; n <= o.sessions && unserved < unservedInARow; n++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c := o.newClient(n)
		c.limit = o.patience
		err := c.connect(dialTCP, p.Addr.String(), netip.Addr{}, false)
		if err == nil {
			stop := c.closeAfter(ctx)
			err = errors.Join(openSelected(c), c.conn.Close())
			stop()
		}
		if unserved++; err == nil {
			r.served++
			unserved = 0
		} else if r.problem == "" {
			r.problem = fmt.Sprintf("session %d: %v", n, err)
		}
		if n%exhaustEvery == 0 {
			fmt.Fprintf(stderr, "%s: %d of %d sessions, %d served\n", p.Name, n, o.sessions, r.served)
		}
	}
	return nil
}

func (o *exhaustOptions) print(w io.Writer, r *exhaustResult) {
	fmt.Fprintf(w, "%s: %d of %d sessions served by a backend in mode %s with %d descriptors, in %v\n", r.name,
		r.served, o.sessions,
		o.mode, o.fdLimit, r.took.Round(time.Millisecond))
	fmt.Fprintf(w, "  the backend: %d accepted, %d closed, %d open; "+
		"ended by LOGOUT %d, EOF %d, RST %d, never read %d\n", r.stats.Accepted,
		r.stats.Closed, r.stats.Open, r.stats.Logout, r.stats.EOF, r.stats.RST, r.stats.NeverRead)
	if r.problem != "" {
		fmt.Fprintf(w, "  not served: %s\n", r.problem)
	}
}

package exits

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"

	"imapproxy/cmd/imaprig/rig"
)

// run runs the proxies one after the other and adds them to the result. Between two of them nothing is left running.
func (o *options) run(ctx context.Context, result *runResult, stderr io.Writer) error {
	if err := rig.RaiseOpenFileLimit(); err != nil {
		return err
	}
	if o.proxyPID != 0 {
		if _, err := os.Stat(rig.ProcDir(o.proxyPID)); err != nil {
			return rig.WrongInput(fmt.Errorf("--proxy-pid %d: there is no such process", o.proxyPID))
		}
	}
	for _, d := range o.after {
		result.After = append(result.After, d.Seconds())
	}
	for _, name := range o.names() {
		p, err := o.runProxy(ctx, name, result, stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		result.Proxies = append(result.Proxies, *p)
	}
	return nil
}

// runProxy starts a backend, a namespace where that is possible, and the proxy; and ends all three.
func (o *options) runProxy(ctx context.Context, name string, about *runResult, stderr io.Writer) (result *proxyResult,
	err error) {
	x := &proxyRun{opts: *o, progress: newProgress(stderr, name, len(o.cells), o.after[len(o.after)-1])}
	defer x.progress.End()
	if x.backend, err = o.startBackend(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.backend.stop()) }()
	if x.facts, err = o.usable(x.backend); err != nil {
		return nil, err
	}
	about.Backend, about.Client = x.facts.info, o.clientInfo(x.facts.mail)
	var outside netip.Addr
	if slices.ContainsFunc(o.cells, func(c cell) bool { return endingOf(c).vanishes }) {
		if x.ns, err = rig.NewNamespace(ctx); err != nil {
			x.nsProblem = err.Error()
		} else {
			outside = x.ns.Outside()
			defer func() { err = errors.Join(err, x.ns.Remove()) }()
		}
	}
	if x.proxy, err = o.startProxy(ctx, name, x.facts.addr, outside); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.proxy.Stop()) }()
	if o.proxyPID != 0 {
		x.proxy.PID = o.proxyPID
	}
	return x.runCells(ctx, o.cells)
}

// usable returns what is known about a backend, or an error when it can't be run with an ending that was asked for.
func (o *options) usable(b backend) (backendFacts, error) {
	facts := b.facts()
	for _, name := range o.endings {
		if why := facts.lacks[name]; why != "" {
			return facts, rig.WrongInput(fmt.Errorf("--endings %s: can't be run: %s", name, why))
		}
	}
	if !slices.ContainsFunc(o.cells, func(c cell) bool { return facts.lacks[c.Ending] == "" }) {
		return facts, rig.WrongInput(errors.New("the backend can't be run with any of these endings"))
	}
	return facts, nil
}

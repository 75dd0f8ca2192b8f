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
			return fmt.Errorf("--proxy-pid %d: there is no such process", o.proxyPID)
		}
	}
	for _, d := range o.after {
		result.After = append(result.After, d.Seconds())
	}
	for _, name := range o.names() {
		p, err := o.runProxy(ctx, name, stderr)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		result.Proxies = append(result.Proxies, *p)
	}
	return nil
}

// runProxy starts a backend, a namespace where that is possible, and the proxy; and ends all three.
func (o *options) runProxy(ctx context.Context, name string, stderr io.Writer) (result *proxyResult, err error) {
	x := &proxyRun{opts: *o, progress: newProgress(stderr, name, len(o.cells), o.after[len(o.after)-1])}
	defer x.progress.End()
	x.java, err = o.startJava(ctx, rig.JavaOptions{Workers: javaWorkers, MessageSize: javaMessage,
		JVM: []string{"-Xss256k"}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.java.Stop(javaStopTime)) }()
	var outside netip.Addr
	if slices.ContainsFunc(o.cells, func(c cell) bool { return endingOf(c).vanishes }) {
		if x.ns, err = rig.NewNamespace(ctx); err != nil {
			x.nsProblem = err.Error()
		} else {
			outside = x.ns.Outside()
			defer func() { err = errors.Join(err, x.ns.Remove()) }()
		}
	}
	if x.proxy, err = o.startProxy(ctx, name, x.java.Port, outside); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.proxy.Stop()) }()
	if o.proxyPID != 0 {
		x.proxy.PID = o.proxyPID
	}
	return x.runCells(ctx, o.cells)
}

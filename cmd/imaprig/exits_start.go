package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// run goes through the proxies. Between two of them nothing is left running.
func (o *exitsOptions) run(ctx context.Context, stderr io.Writer) (*runResult, error) {
	if err := raiseOpenFileLimit(); err != nil {
		return nil, err
	}
	result := &runResult{Began: time.Now().Truncate(time.Second), Sessions: o.sessions}
	for _, d := range o.after {
		result.After = append(result.After, d.Seconds())
	}
	names := o.peers
	if o.proxy != "" {
		names = []string{o.proxy}
	}
	for _, name := range names {
		p, err := o.runProxy(ctx, name, stderr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		result.Proxies = append(result.Proxies, *p)
	}
	return result, nil
}

// runProxy starts a backend, a namespace where that is possible, and the proxy; and ends all three.
func (o *exitsOptions) runProxy(ctx context.Context, name string, stderr io.Writer) (result *proxyResult, err error) {
	source, err := findJavaSource(o.javaSource)
	if err != nil {
		return nil, err
	}
	x := &exitsRun{opts: *o, progress: newProgress(stderr, name, len(o.cells), o.after[len(o.after)-1])}
	defer x.progress.over()
	x.java, err = startJava(ctx, javaOptions{
		Source: source, Port: o.backendPort, Workers: javaWorkers, MessageSize: javaMessage, JVM: []string{"-Xss256k"},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.java.Stop(javaStopTime)) }()
	if slices.ContainsFunc(o.cells, func(c cell) bool { return wayOf(c).vanishes }) {
		if x.ns, err = newNamespace(ctx); err != nil {
			x.nsProblem = err.Error()
		} else {
			defer func() { err = errors.Join(err, x.ns.Remove()) }()
		}
	}
	if x.proxy, err = x.startProxy(ctx, name); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.proxy.stop()) }()
	return x.runCells(ctx, o.cells)
}

// startProxy starts a peer, or finds the one that runs already.
func (x *exitsRun) startProxy(ctx context.Context, name string) (*proxy, error) {
	var outside netip.Addr
	if x.ns != nil {
		outside = x.ns.Outside()
	}
	if x.opts.proxy == "" {
		p, err := findPeer(name, x.opts.self)
		if err != nil {
			return nil, err
		}
		return p.start(ctx, x.java.Port, outside)
	}
	addr, err := resolve(ctx, x.opts.proxy)
	if err != nil {
		return nil, err
	}
	if x.opts.proxyPID != 0 {
		if _, err := os.Stat(procDir(x.opts.proxyPID)); err != nil {
			return nil, fmt.Errorf("--proxy-pid %d: there is no such process", x.opts.proxyPID)
		}
	}
	p := &proxy{name: name, pid: x.opts.proxyPID, addr: addr, stop: func() error { return nil }}
	if other := netip.AddrPortFrom(outside, addr.Port()); x.ns != nil && listens(other) {
		p.outside = other
	}
	return p, nil
}

// resolve finds the address of host:port.
func resolve(ctx context.Context, hostport string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--proxy: %w", err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--proxy: %w", err)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--proxy: %w", err)
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(number)), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"imapproxy/backend"
	"imapproxy/imapproxy"
)

// openListeners opens the listeners that are not among those kept. On an error
// it closes again what it has opened.
func openListeners(listeners []listenerConfig, kept map[string]net.Listener) (map[string]net.Listener, error) {
	opened := map[string]net.Listener{}
	var problems error
	for i := range listeners {
		l := &listeners[i]
		if kept[l.Name] != nil {
			continue
		}
		lc := net.ListenConfig{KeepAlive: -1} // the server sets it
		lc.SetMultipathTCP(false)             // its sockets can't take TCP_USER_TIMEOUT
		ln, err := lc.Listen(context.Background(), listenNetwork(l.Address), l.Address)
		if err != nil {
			problems = errors.Join(problems, fmt.Errorf("listener %s can't listen on %s: %w%s", l.Name, l.Address, err, listenRemedy(err)))
			continue
		}
		opened[l.Name] = ln
	}
	if problems != nil {
		closeAll(opened)
		return nil, problems
	}
	return opened, nil
}

func closeAll(opened map[string]net.Listener) {
	for _, ln := range opened {
		_ = ln.Close()
	}
}

// listenNetwork keeps an IPv4 address to IPv4 and an IPv6 one to IPv6: only an
// address without a host means both.
func listenNetwork(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "tcp"
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case addr.Unmap().Is4():
		return "tcp4"
	}
	return "tcp6"
}

// listenRemedy says what to do about the usual reasons.
func listenRemedy(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "; another program has this port: end it, or give the listener another port"
	case errors.Is(err, syscall.EACCES):
		return "; ports below 1024 need root or CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "; this machine does not have the address"
	}
	return ""
}

// adopt serves listeners that have been opened.
func (d *daemon) adopt(opened map[string]net.Listener) {
	for name, ln := range opened {
		d.sockets[name] = ln
		d.log.Info().Str("listener", name).Stringer("address", ln.Addr()).Msg("listening")
		d.serving.Add(1)
		go d.serve(ln, name)
	}
}

func (d *daemon) serve(ln net.Listener, name string) {
	defer d.serving.Done()
	if err := d.server.Serve(ln, name); err != nil && !errors.Is(err, imapproxy.ErrClosed) {
		select {
		case d.failed <- fmt.Errorf("listener %s: %w", name, err):
		default:
		}
	}
}

// swapListeners opens what is new and closes what is gone. Whoever waits in
// the backlog of a listener that stays is not disturbed.
func (d *daemon) swapListeners(g *generation) error {
	old := map[string]string{}
	for _, l := range d.current.Config.Listeners {
		old[l.Name] = l.Address
	}
	kept := map[string]net.Listener{}
	for _, l := range g.Config.Listeners {
		if old[l.Name] == l.Address {
			kept[l.Name] = d.sockets[l.Name]
		}
	}
	backend.FaultPoint("reload.swap")
	opened, err := openListeners(g.Config.Listeners, kept)
	if err != nil {
		return err
	}
	admin, err := d.admin.open(g.Admin)
	if err != nil {
		closeAll(opened)
		return err
	}
	d.admin.adopt(admin, g.Admin)
	d.server.Reload(g.Settings)
	for name, ln := range d.sockets {
		if kept[name] == nil {
			d.log.Info().Str("listener", name).Stringer("address", ln.Addr()).Msg("no longer listening")
			_ = ln.Close()
			delete(d.sockets, name)
		}
	}
	d.adopt(opened)
	return nil
}

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"imapproxy/backend/fault"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/imapproxy"
)

// openListeners opens the sockets of listeners that are not among those kept.
// On an error it closes again what it has opened.
func (d *daemon) openListeners(specs []socketSpec, kept map[string]net.Listener) (map[string]net.Listener, error) {
	opened := map[string]net.Listener{}
	var problems error
	for _, s := range specs {
		if kept[s.key] != nil {
			continue
		}
		ln, err := d.inherited.take(s), error(nil)
		if ln == nil {
			ln, err = s.listen()
		}
		if err != nil {
			problems = errors.Join(problems,
				fmt.Errorf("listener %s can't listen on %s: %w%s", s.config.Name, s.address, plainNet(err),
					listenRemedy(s.address, err)))
			continue
		}
		opened[s.key] = ln
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

// plainNet drops from an error of package net what the message has said already.
func plainNet(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	return err
}

// listenRemedy returns what to do about the usual reasons.
func listenRemedy(address string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "; another program has this port: end it, or give the listener another port; `ss -ltnp` names it"
	case errors.Is(err, syscall.EACCES) && strings.HasPrefix(address, config.UnixPrefix):
		return "; the user " + config.ProcessUser() + " may not make a file there"
	case errors.Is(err, syscall.EACCES):
		return "; ports below 1024 need root or CAP_NET_BIND_SERVICE, which the user " + config.ProcessUser() + " lacks"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "; this machine does not have the address"
	}
	return ""
}

// adopt serves sockets that have been opened.
func (d *daemon) adopt(opened map[string]net.Listener) {
	for key, ln := range opened {
		name := listenerOf(key)
		d.sockets[key] = ln
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
	for _, s := range socketSpecs(d.current.Config.Listeners) {
		old[s.key] = s.address
	}
	kept := map[string]net.Listener{}
	specs := socketSpecs(g.Config.Listeners)
	for _, s := range specs {
		if old[s.key] == s.address {
			kept[s.key] = d.sockets[s.key]
		}
	}
	fault.Point("reload.swap")
	opened, err := d.openListeners(specs, kept)
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
	for key, ln := range d.sockets {
		if kept[key] == nil {
			d.log.Info().Str("listener", listenerOf(key)).Stringer("address", ln.Addr()).Msg("no longer listening")
			d.server.CloseListener(ln)
			delete(d.sockets, key)
		}
	}
	d.adopt(opened)
	return nil
}

package main

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/cmd/imapproxy/config"
)

// socketSpec is one socket of a listener; a range of ports has several.
type socketSpec struct {
	key     string // the listener's name, with the address after it in a range
	address string
	config  *config.Listener
}

// socketSpecs are the sockets of all listeners.
func socketSpecs(listeners []config.Listener) []socketSpec {
	var specs []socketSpec
	for i := range listeners {
		l := &listeners[i]
		addresses := config.PortRange(l.Address)
		for _, address := range addresses {
			key := l.Name
			if len(addresses) > 1 {
				key += keySep + address
			}
			specs = append(specs, socketSpec{key, address, l})
		}
	}
	return specs
}

const keySep = " "

// listenerOf is the name of the listener that a socket belongs to.
func listenerOf(key string) string {
	name, _, _ := strings.Cut(key, keySep)
	return name
}

// listen opens the socket with the options of its listener.
func (s socketSpec) listen() (net.Listener, error) {
	if path, isSocket := strings.CutPrefix(s.address, config.UnixPrefix); isSocket {
		return s.listenUnix(path)
	}
	lc := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		if !s.config.ReusePort {
			return nil
		}
		return withDescriptor(c,
			func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	lc.SetMultipathTCP(false) // Go's default; its sockets can't take TCP_USER_TIMEOUT
	ctx, cancel := context.WithTimeout(context.Background(), listenLimit)
	defer cancel()
	ln, err := lc.Listen(ctx, s.config.Network(s.address), s.address)
	if err != nil || s.config.Backlog == 0 {
		return ln, err
	}
	if err := s.setBacklog(ln); err != nil {
		_ = ln.Close()
		return nil, err
	}
	return ln, nil
}

// listenUnix opens a Unix socket.
func (s socketSpec) listenUnix(path string) (net.Listener, error) {
	mode, err := s.config.Mode()
	if err != nil {
		return nil, err
	}
	file, err := listenUnix(path, mode)
	if err != nil {
		return nil, err
	}
	if s.config.Backlog == 0 {
		return file, nil
	}
	if err := s.setBacklog(file); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// listenLimit is for looking up a name.
const listenLimit = 10 * time.Second

// setBacklog listens once more, which changes nothing but the backlog: Go has
// no option for it.
func (s socketSpec) setBacklog(ln net.Listener) error {
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	return withDescriptor(raw, func(fd int) error { return unix.Listen(fd, s.config.Backlog) })
}

// withDescriptor calls f with the descriptor.
func withDescriptor(c syscall.RawConn, f func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

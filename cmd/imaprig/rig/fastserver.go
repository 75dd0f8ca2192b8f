package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// acceptPause is how long a server without a free descriptor waits before it accepts again.
const acceptPause = 10 * time.Millisecond

// FastServer accepts connections and serves each in a goroutine, until it is closed.
type FastServer struct {
	Serve func(conn *net.TCPConn)

	mu     sync.Mutex // protects what follows
	open   map[*net.TCPConn]struct{}
	closed bool
	all    sync.WaitGroup
}

// Accept serves a listener until ctx ends, then closes the listener and every connection, and waits for them.
func (s *FastServer) Accept(ctx context.Context, listeners ...net.Listener) error {
	s.open = map[*net.TCPConn]struct{}{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() {
			errs <- s.acceptFrom(ctx, ln)
			cancel() // one that can't accept any more ends the others
		}()
	}
	<-ctx.Done()
	var all error
	for _, ln := range listeners {
		all = errors.Join(all, ln.Close())
	}
	for range listeners {
		all = errors.Join(all, <-errs)
	}
	s.closeAll()
	s.all.Wait()
	return all
}

func (s *FastServer) acceptFrom(ctx context.Context, ln net.Listener) error {
	for {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil && err != nil:
			return nil
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			time.Sleep(acceptPause)
			continue
		case err != nil:
			return fmt.Errorf("accept on %v: %w", ln.Addr(), err)
		}
		s.start(conn.(*net.TCPConn))
	}
}

// start registers a connection before its goroutine exists.
func (s *FastServer) start(conn *net.TCPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return
	}
	s.open[conn] = struct{}{}
	s.all.Add(1)
	go s.run(conn)
}

func (s *FastServer) run(conn *net.TCPConn) {
	defer s.all.Done()
	s.Serve(conn)
	_ = conn.Close() // all that matters was said or has failed before
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

func (s *FastServer) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.open {
		_ = conn.Close()
	}
}

// listenAll listens on each address.
func listenAll(ctx context.Context, addrs ...string) ([]net.Listener, error) {
	var all []net.Listener
	config := net.ListenConfig{KeepAlive: -1} // a system call less for each connection
	for _, a := range addrs {
		ln, err := config.Listen(ctx, "tcp", a)
		if err != nil {
			closeListeners(all)
			return nil, listenError(a, err)
		}
		all = append(all, ln)
	}
	return all, nil
}

// closeListeners closes those of a server that does not come about.
func closeListeners(all []net.Listener) {
	for _, ln := range all {
		_ = ln.Close() // the first error is the cause
	}
}

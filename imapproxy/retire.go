package imapproxy

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Retire lets no new client in and leaves the sessions as they are: another process has
// taken over, or will. Clients that are in a listener's queue, or come to it
// within grace, are still served. It returns nil when the last session has
// ended, or the cause of ctx when that is done before; the sessions go on then,
// until Drain or Close.
func (s *Server) Retire(ctx context.Context, grace time.Duration) error {
	s.retireListeners(grace)
	select {
	case <-s.sessions.empty():
		s.stopWork()
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retireListeners returns when every client that was accepted has its session.
func (s *Server) retireListeners(grace time.Duration) {
	s.mu.Lock()
	s.retiring.Store(true)
	for ln := range s.listeners {
		if d, ok := ln.(interface{ SetDeadline(time.Time) error }); !ok || d.SetDeadline(time.Now().Add(grace)) != nil {
			_ = ln.Close()
		}
	}
	for len(s.listeners) > 0 {
		s.fewer.Wait()
	}
	s.mu.Unlock()
	s.closeListeners()
}

// hasRetired distinguishes the end of a listener's grace from other errors of Accept.
func (s *Server) hasRetired(ln net.Listener, err error) bool {
	if !s.retiring.Load() || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	_ = ln.Close()
	return true
}

// isDraining reports whether sessions are to end; when the server has retired
// they are not.
func (s *Server) isDraining() bool { return s.isClosing() && !s.retiring.Load() }

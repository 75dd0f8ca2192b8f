package imapproxy

import (
	"context"
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
	s.retiring.Store(true)
	s.sleep(s.accepting, timerGrace, grace)
	for _, ln := range s.served() {
		s.CloseListener(ln)
	}
	s.awaitListeners()
	s.closeListeners()
}

// isDraining reports whether sessions are to end; when the server has retired
// they are not.
func (s *Server) isDraining() bool { return s.isClosing() && !s.retiring.Load() }

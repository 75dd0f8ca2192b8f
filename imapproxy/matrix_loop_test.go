package imapproxy

import (
	"context"
	"time"

	"imapproxy/backend/loop"
)

// blocked is how long a write makes no step when it is blocked.
const blocked = 20 * time.Millisecond

// settled waits until the relay's loop has taken all that has been asked of it.
func settled(s *session) {
	for range 2 {
		s.loop.do(func() {})
	}
}

// openPipes counts the pipes of splicing, idle ones included.
func openPipes(s *Server) int {
	p := &s.loops.pipes
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// dropIdlePipes closes the pipes that are kept for later sessions.
func dropIdlePipes(s *Server) { s.loops.pipes.close() }

// isSwept reports whether the server's next look at its sessions takes this one in.
func isSwept(s *session) (is bool) {
	s.loop.do(func() { is = s.relay.watching.IsSet() })
	return is
}

// inLoop runs a job as a task of a loop, and waits for its end.
func (r *rig) inLoop(job func(ctx context.Context)) {
	r.server.started.Do(r.server.startWork)
	over, l := make(chan struct{}), r.server.loops.all[0] // always the same: it has the sockets of earlier jobs
	l.do(func() { l.Go(func(t *loop.Task) { defer close(over); job(t) }) })
	<-over
}

// sessionOf returns a client's session.
func (r *rig) sessionOf(c *testClient) (found *session) {
	r.t.Helper()
	r.server.sessions.each(func(s *session) {
		if s.client.addr().Port() == c.port {
			found = s
		}
	})
	if found == nil {
		r.t.Fatal("the client has no session")
	}
	return found
}

package imapproxy

import "time"

// blocked is how long a write makes no step when it is blocked.
const blocked = 20 * time.Millisecond

// atWork reports whether the relay's loop is inside a step: what is busy then may
// be merely slow.
func atWork(r *relay) bool { return r.handling.Load() }

// openPipes counts the pipes of splicing, idle ones included.
func openPipes(s *Server) int {
	p := &s.relayLoops.pipes
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

// dropIdlePipes closes the pipes that are kept for later sessions.
func dropIdlePipes(s *Server) { s.relayLoops.pipes.close() }

// isSwept reports whether the server's next look at its sessions takes this one in.
func isSwept(s *session) bool { return s.relay.loop.Load() != nil }

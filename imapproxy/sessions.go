package imapproxy

import "sync"

// registry knows every session from before its task exists until its
// sockets are closed.
type registry struct {
	mu       sync.Mutex          // protects all; nothing blocks under it
	sessions map[string]*session // by their ids
	waiters  []chan struct{}
}

func (r *registry) init() { r.sessions = map[string]*session{} }

func (r *registry) add(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s.id] = s
}

func (r *registry) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s.id)
	if len(r.sessions) == 0 {
		for _, w := range r.waiters {
			close(w)
		}
		r.waiters = nil
	}
}

func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions)
}

// each calls f for every session there was at the time of the call, without
// the lock: f may take a session's own.
func (r *registry) each(f func(*session)) {
	r.mu.Lock()
	all := make([]*session, 0, len(r.sessions))
	for _, s := range r.sessions {
		all = append(all, s)
	}
	r.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}

// empty returns a channel that is closed once there is no session.
func (r *registry) empty() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := make(chan struct{})
	if len(r.sessions) == 0 {
		close(w)
	} else {
		r.waiters = append(r.waiters, w)
	}
	return w
}

// byID finds a session, nil when it has ended.
func (r *registry) byID(id string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

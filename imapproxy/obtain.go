package imapproxy

import (
	"context"
	"errors"

	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
)

// logoutText is what the client of a pooled connection reads after LOGOUT,
// which its backend never sees.
const logoutText = " OK Logout completed.\r\n"

// obtain gives the session a backend connection that is logged in: from the
// target's pool where that serves the session, else a new one.
func (s *session) obtain(ctx context.Context, t *backend.Target, cred backend.Credentials,
	q backend.PoolRequest) (text string, err error) {
	o := backend.Origin{Client: s.client.addr(), Local: s.client.local(), SessionID: s.id, TTL: s.login.ttl - 1,
		Aside: s.endConcurrently}
	if !t.Pool.Serves(s.listener.Name, s.client.addr().Addr(), s.login.clientName) {
		return s.dial(ctx, t, cred, o)
	}
	s.enter(phasePool)
	lease, err := s.settings.pools.Lease(ctx, t, cred, o, q)
	if errors.Is(err, backend.ErrNoPool) {
		s.enter(phaseBackend)
		return s.dial(ctx, t, cred, o)
	}
	if err != nil {
		return "", err
	}
	s.lease = lease
	lease.Conn.Ledger.HoldLogout()
	s.take(lease.Conn)
	return lease.Text, nil
}

// dial opens a connection for only this session.
func (s *session) dial(ctx context.Context, t *backend.Target, cred backend.Credentials,
	o backend.Origin) (string, error) {
	fault.Point("connect.dial")
	conn, text, err := s.server.dialer.Login(ctx, t, cred, o)
	if err != nil {
		return "", err
	}
	s.take(conn)
	return text, nil
}

// release is the end of the backend connection for this session: it goes back
// to its pool, or it ends. The relay is over and the interrupter is closed, so only
// the helper that this starts touches the socket.
func (s *session) release(reason endReason) {
	if s.lease == nil {
		s.endConcurrently(s.backend)
		return
	}
	if tag, held := s.relay.copyLedger(); held && reason == endLogout {
		s.owedReply = "* BYE Logging out\r\n" + tag + logoutText
	}
	turn := s.nextEnding()
	s.returning.Store(s.goHelper("return", func(t *loop.Task) {
		s.noteEnding(turn, s.lease.Return(t, s.notAgain(reason)))
	}))
	if s.server.isClosing() {
		s.stopReturning()
	}
}

// notAgain says why the session's end forbids to use its connection again, ""
// where it does not: the client has to have left in order.
func (s *session) notAgain(reason endReason) string {
	switch {
	case s.server.isClosing():
		return string(endShutdown)
	case reason == endLogout, reason == endClientClosed:
		return ""
	}
	return string(reason)
}

// stopReturning ends a connection that is on its way back to the pool; false
// when none is.
func (s *session) stopReturning() bool {
	t := s.returning.Load()
	if t != nil {
		t.Interrupt()
	}
	return t != nil
}

// dropIdle ends the idle connections of the user whose login has been refused:
// the password may have been changed, or the account locked.
func (s *session) dropIdle() {
	s.server.dropPooled(func(u backend.PooledUser) bool {
		return u.Front == s.login.authUser || s.login.backendUser != "" && u.User == s.login.backendUser
	}, backend.WhyRefused)
}

// copyLedger leaves the relay its own copy of the ledger: the connection's goes on
// with the next session. It returns the tag of the LOGOUT that the ledger has kept.
func (r *relay) copyLedger() (tag string, held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ledger == nil { // the end came before the relay
		return "", false
	}
	tag, held = r.ledger.HeldLogout()
	last := *r.ledger
	r.ledger = &last
	return tag, held
}

// heldLogout reports whether the client's LOGOUT has come and all before it is
// answered, or can't be any more; the lock is held.
func (r *relay) heldLogout() bool {
	_, held := r.ledger.HeldLogout()
	return held && (r.ledger.Outstanding() == 0 || r.ledger.Doubt() != "")
}

// loggedOut reports whether the client has said LOGOUT; the lock is held.
func (r *relay) loggedOut() bool {
	_, held := r.ledger.HeldLogout()
	return held || r.ledger.LoggedOut()
}

package main

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// maxTLSSession bounds what is kept of a session, in bytes; that is 100 without a
// client's certificates. A session with more is not resumed (nginx has the same bound).
const maxTLSSession = 4 << 10

// tlsSessions keeps the TLS sessions of one listener, whose clients get a random
// number in the place of a ticket. They are safe for concurrent use, and end with the
// files of the listener that they began with: a new certificate or authority makes new
// ones. What a client's certificate is worth is judged for each connection, and not here.
type tlsSessions struct {
	kept *lru.Cache[string, tlsSession] // by the ticket; never touched when it is read, so the oldest is first
	life time.Duration
	now  func() time.Time
}

// tlsSession is what is kept of a session.
type tlsSession struct {
	state  []byte // tls.SessionState.Bytes
	server string // the server name that the client has asked for (RFC 6066 section 3)
	until  time.Time
}

// newTLSSessions returns a store of most sessions at most, at least one.
func newTLSSessions(most int, life time.Duration) *tlsSessions {
	kept, err := lru.New[string, tlsSession](max(most, 1))
	if err != nil { // only for a size below 1
		panic(fmt.Sprintf("tlsSessions: %v", err))
	}
	return &tlsSessions{kept: kept, life: life, now: time.Now}
}

// use has a listener's TLS keep its sessions here.
func (s *tlsSessions) use(t *tls.Config) {
	t.SessionTicketsDisabled = false
	t.WrapSession, t.UnwrapSession = s.wrap, s.unwrap
}

// wrap keeps a session and returns its ticket.
func (s *tlsSessions) wrap(c tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
	state, err := session.Bytes()
	if err != nil {
		return nil, err
	}
	ticket := make([]byte, 32)
	rand.Read(ticket) // never fails
	if len(state) <= maxTLSSession {
		s.kept.Add(string(ticket), tlsSession{state: state, server: c.ServerName, until: s.now().Add(s.life)})
	}
	return ticket, nil
}

// unwrap returns the session of a ticket; nil when it is not to be resumed, and the
// handshake is made in full.
func (s *tlsSessions) unwrap(ticket []byte, c tls.ConnectionState) (*tls.SessionState, error) {
	found, good := s.kept.Peek(string(ticket))
	if !good || found.server != c.ServerName || s.now().After(found.until) {
		return nil, nil
	}
	return tls.ParseSessionState(found.state)
}

// expire forgets the sessions whose time is over.
func (s *tlsSessions) expire() {
	for range s.kept.Len() {
		ticket, oldest, found := s.kept.GetOldest()
		if !found || !s.now().After(oldest.until) {
			return
		}
		s.kept.Remove(ticket)
	}
}

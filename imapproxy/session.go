package imapproxy

import (
	"cmp"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// session is one client connection. It belongs to its loop: its task runs the login and the
// end, and the relay is between them. Only they touch what has no lock.
type session struct {
	id          string
	server      *Server
	settings    *Settings // the generation it began with
	listener    *Listener
	client      client
	interrupter interrupter
	loop        *sessionLoop
	task        *loop.Task  // the login, later the end; nil in the relay
	login       *loginState // nil once the relay has begun
	started     time.Time
	helpers     int32 // tasks that must be over before the session is
	endings     int32 // backend connections that have begun to end, and logins

	mechanism   string
	lastCommand string

	backend   *backend.Conn
	lease     *backend.Lease // nil where the connection is not pooled
	returning atomic.Pointer[loop.Task]
	speaking  bool // the client expects IMAP from us: greeted, and not within a handshake
	relaying  atomic.Bool
	relay     relay

	status    status         // what others may see of it
	owedReply string         // a tagged answer that is still owed when the session ends
	ending    backend.Ending // how the last login's backend connection ended
}

// loginState is what only the login needs of a session.
type loginState struct {
	limit       loop.Timer
	attemptedAt time.Time // the last login
	attempts    int
	refusals    int         // logins refused
	bad         int         // bad commands
	ttl         int         // what the client's ID says of x-proxy-ttl, or our own
	clientName  string      // of the client's ID
	authUser    string      // the user as authenticated
	backendUser string      // the user at the backend, once the route is known
	backendAddr string      // where the last login has got to
	failed      failedLogin // the last that failed; zero once one has gone well
	alerts      []string    // what its backend has said that the user must read
}

func (s *Server) newSession(conn wire.Descriptor, l *Listener, settings *Settings, in *sessionLoop) *session {
	ses := &session{id: newSessionID(), server: s, settings: settings, listener: l,
		started: s.clock.Now(), login: &loginState{ttl: settings.Limits.ProxyTTL}, loop: in}
	ses.client.init(conn)
	ses.status.statusSnapshot = statusSnapshot{phase: phaseAccepted, since: ses.started}
	return ses
}

func newSessionID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// errEnded says that the session has been cut, and has its reason.
var errEnded = errors.New("the session is over")

// beginLogin makes the task the session's.
func (s *session) beginLogin(t *loop.Task) {
	s.task = t
	if !s.interrupter.interrupts(t) {
		t.Interrupt()
	}
	s.holdClient()
	if err := s.loop.Add(&s.client.raw); err != nil {
		s.interrupter.cut(endOverload, err)
	}
}

// logIn is act one: to the greeting, through the dialogue, to a backend that
// is logged in. Every way out but success sets the reason.
func (s *session) logIn() error {
	if s.server.isDraining() {
		s.interrupter.cut(endShutdown, nil) // the drain came while it was accepted
	}
	if s.interrupter.why() != "" {
		s.speaking = s.listener.TLS != ImplicitTLS && !s.listener.Proxy.Required // BYE in the greeting's place
		return errEnded
	}
	d := s.listener.dialect()
	s.limitLogin()
	defer s.loop.Stop(&s.login.limit)
	if err := s.open(d); err != nil {
		return err
	}
	for {
		a, err := s.dialogue(d)
		if err != nil {
			return err
		}
		if d.limitsDialogue() {
			s.loop.Stop(&s.login.limit)
		}
		refusal, err := s.attempt(a)
		if err != nil {
			return err
		}
		if refusal == "" {
			s.reportLogin()
			d.granted(s)
			return nil
		}
		if err := s.refuseLogin(d, a, refusal); err != nil {
			return err
		}
		if d.limitsDialogue() {
			s.limitLogin()
		}
	}
}

// refuseLogin says that a login came to nothing; an error means that the client
// may not try again.
func (s *session) refuseLogin(d dialect, a *loginAttempt, ours string) error {
	text, end, err := d.refuse(s, a, ours)
	if err != nil {
		return err
	}
	if err := s.say(text + "\r\n"); err != nil {
		return err
	}
	if end != "" {
		return s.fail(end, nil)
	}
	return nil
}

// limitLogin begins the time that the client has to log in.
func (s *session) limitLogin() {
	limit := cmp.Or(s.listener.Login, s.settings.Limits.Login)
	s.login.limit = loop.Timer{Name: timerLogin, Do: (*loginTimeout)(s)}
	s.loop.Set(&s.login.limit, s.loop.In(limit))
}

// loginTimeout is a session whose client has not logged in in time.
type loginTimeout session

// Run cuts the session.
func (x *loginTimeout) Run() { (*session)(x).timeout(endLoginTimeout, nil) }

// timeout cuts the session since a limit has passed.
func (s *session) timeout(reason endReason, detail error) {
	defer s.recovered("timer")
	fault.Point("session.timer")
	s.interrupter.cut(reason, detail)
}

// open brings the client to the greeting.
func (s *session) open(d dialect) error {
	fault.Point("session.open")
	if err := s.readProxyHeader(); err != nil {
		return err
	}
	s.fields(s.server.log.Debug()).Msg("session begun")
	if s.listener.TLS == ImplicitTLS {
		s.enter(phaseTLS)
		fault.Point("session.tls")
		if err := s.client.startTLS(s.task, s.listener.TLSConfig); err != nil {
			return s.fail(handshakeReason(err), err)
		}
		if err := s.judgeCertificate(); err != nil {
			return err
		}
	}
	s.enter(phaseLogin)
	fault.Point("session.greet")
	s.speaking = true
	return d.greet(s)
}

// fail sets the reason and returns errEnded.
func (s *session) fail(reason endReason, detail error) error {
	s.interrupter.cut(reason, detail)
	return errEnded
}

// say writes to the client before the relay.
func (s *session) say(text string) error {
	if s.task.Err() != nil {
		return errEnded
	}
	if _, err := s.client.conn.Write([]byte(text)); err != nil {
		s.speaking = false // part of a line may be out
		return s.fail(clientReason(err), err)
	}
	return nil
}

// readFailed turns an error of reading from the client into the end of the session.
func (s *session) readFailed(err error) error {
	if isWoken(err) {
		return errEnded
	}
	return s.fail(clientReason(err), err)
}

// readFailedIf is readFailed for an error that may be nil.
func (s *session) readFailedIf(err error) error {
	if err == nil {
		return nil
	}
	return s.readFailed(err)
}

// handshakeReason distinguishes a client that left from a handshake that failed.
func handshakeReason(err error) endReason {
	switch r := clientReason(err); {
	case r != endClientAborted:
		return r
	case errors.Is(err, io.ErrUnexpectedEOF):
		return endClientClosed
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return endClientAborted
	}
	return endClientTLS
}

// drain asks the session to end at a safe point. Before the relay every point
// is safe.
func (s *session) drain(reason endReason) {
	if s.relaying.Load() {
		s.relay.drain(reason)
		return
	}
	s.interrupter.cut(reason, nil)
}

// kick asks the session to end at a safe point, and cuts it when none comes
// soon; false when it is ending already.
func (s *session) kick() bool {
	if s.interrupter.why() != "" {
		return s.stopReturning()
	}
	t := s.after(timerKick, s.settings.Limits.Kick, func() { s.interrupter.cut(endKicked, nil) })
	s.interrupter.cutsAt(t)
	s.drain(endKicked)
	return true
}

// loginAttempt is a login that the client asks for.
type loginAttempt struct {
	tag     string
	request *auth.Request
}

// request makes the question of a login.
func (s *session) request(mechanism, authzID, user string, secret auth.Secret) *auth.Request {
	s.login.attempts++
	return &auth.Request{
		Mechanism: mechanism, User: user, AuthzID: authzID, Secret: secret,
		Client: s.client.addr(), Local: s.client.local(), Listener: s.listener.Name,
		Proxied: s.client.proxied,
		TLS:     s.client.state(), TLSInFront: s.client.frontTLS, TLSVerify: s.client.verify, Attempt: s.login.attempts,
		SessionID: s.id,
	}
}

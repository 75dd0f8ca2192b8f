package imapproxy

import (
	"context"
	"errors"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/ledger"
)

// attempt tries one login: authenticate, route, dial, log in there. The client
// is watched meanwhile: one that leaves ends it at once. An empty refusal is
// success; an error means that the session is over.
func (s *session) attempt(a *loginAttempt) (refusal string, err error) {
	s.mechanism = a.request.Mechanism
	s.login.attemptedAt = s.server.clock.Now()
	s.forgetBackend()
	s.login.alerts = nil
	s.status.set(func(v *statusSnapshot) {
		v.user, v.authzID, v.tls = bounded(a.request.User), bounded(a.request.AuthzID), s.client.tlsVersion()
	})
	s.watch()
	text, refusal := s.connect(s.task, a.request)
	s.holdClient()
	if s.task.Err() != nil {
		return s.interrupted(a)
	}
	if refusal != "" {
		s.enter(phaseLogin)
		return refusal, nil
	}
	s.server.metrics.granted(s.server.clock.Now().Sub(s.login.attemptedAt))
	line, code := s.listener.dialect().offer(s.backend)
	return "", s.say(alertLines("OK", s.backend.TakeAlerts()) + line + a.tag + " OK " + code + text + "\r\n")
}

// interrupted answers a login that the session's end has overtaken, where the
// client is there to read it.
func (s *session) interrupted(a *loginAttempt) (string, error) {
	if s.interrupter.why() == endShutdown {
		s.owedReply = a.tag + " " + noBackend + "\r\n"
	}
	return "", errEnded
}

func loginCode(capabilities string) string {
	if capabilities == "" {
		return ""
	}
	return "[CAPABILITY " + capabilities + "] "
}

// connect turns a request into a backend connection that is logged in, or
// into a refusal.
func (s *session) connect(ctx context.Context, r *auth.Request) (text, refusal string) {
	s.enter(phaseAuthenticate)
	grant, err := s.authenticate(ctx, r)
	if err != nil {
		return "", s.refuse(err)
	}
	s.enter(phaseRoute)
	fault.Point("connect.route")
	route, err := s.settings.Router.Route(ctx, backend.Query{User: grant.User, Server: grant.Server})
	if err != nil {
		return "", s.refuseRoute(ctx, grant, err)
	}
	s.enter(phaseBackend)
	s.login.backendUser = route.User
	cred := backend.Credentials{User: route.User, AuthID: grant.AuthID, Secret: string(grant.Secret),
		Token: grant.Token, Issued: grant.Secret != r.Secret}
	q := backend.PoolRequest{Front: s.login.authUser, Mechanism: r.Mechanism, Judged: !grant.BackendJudges}
	text, err = s.obtain(ctx, route.Target, cred, q)
	for hops := 0; err != nil && hops < maxReferrals; hops++ {
		next := s.referral(route.Target, err)
		if next == nil {
			break
		}
		route.Target = next
		text, err = s.obtain(ctx, next, cred, q)
	}
	if err != nil {
		return "", s.refuse(err)
	}
	return text, ""
}

// maxReferrals bounds how many servers one login is referred to.
const maxReferrals = 3

// errOtherMaster says why a referral is not followed.
var errOtherMaster = errors.New("that server has a master login which the one that refers has not, and would let " +
	"the user in without a password")

// referral returns the target that a backend refers to, where it is to be followed
// and the configuration permits it; else nil. A target with a master login judges no
// password, so a backend that has not the same one can't say who belongs there.
func (s *session) referral(t *backend.Target, err error) *backend.Target {
	a, found := backend.AnswerOf(err)
	if !found || a.Referral == "" || !t.Follow || s.settings.Referred == nil {
		return nil
	}
	next, refused := s.settings.Referred(a.Referral)
	if refused == nil && next.Master.AuthID != "" && next.Master != t.Master {
		refused = errOtherMaster
	}
	if refused != nil {
		s.warning().Str("referral", a.Referral).Err(refused).Msg("a referral is not followed")
		return nil
	}
	s.event().Str("referral", a.Referral).Msg("a referral is followed")
	return next
}

// authenticate checks what any login must hold before anybody is asked.
func (s *session) authenticate(ctx context.Context, r *auth.Request) (*auth.Grant, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	r.User = s.settings.AuthName.Apply(r.User)
	if r.AuthzID != "" {
		r.AuthzID = s.settings.AuthName.Apply(r.AuthzID)
	}
	s.login.authUser, s.login.backendUser = r.User, ""
	fault.Point("connect.authenticate")
	grant, err := s.authenticator().Authenticate(ctx, r)
	s.pause(waitOf(err))
	return grant, err
}

// waitOf is how long an authenticator has the client wait for its refusal.
func waitOf(err error) time.Duration {
	var denied *auth.Denied
	var unavailable *auth.Unavailable
	switch {
	case errors.As(err, &denied):
		return denied.Wait
	case errors.As(err, &unavailable):
		return unavailable.Wait
	}
	return 0
}

// pause waits, but not past the session's end.
func (s *session) pause(d time.Duration) {
	if d > 0 {
		_ = s.task.Sleep(timerRefusal, d) // who calls it looks whether the session has been cut
	}
}

// policy is what the session's client may not do at the backend.
func (s *session) policy() *ledger.Policy {
	if s.listener.Policy != nil {
		return s.listener.Policy
	}
	return ledger.UsualPolicy()
}

// take makes the connection the session's.
func (s *session) take(conn *backend.Conn) {
	s.backend, s.login.failed = conn, failedLogin{}
	conn.Enforce(s.policy())
	s.login.backendAddr = conn.Addr
	s.status.set(func(v *statusSnapshot) { v.backend, v.target = conn.Addr, conn.Target.Name })
}

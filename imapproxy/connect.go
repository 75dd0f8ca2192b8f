package imapproxy

import (
	"context"
	"errors"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/timing"
)

// The refusals a client may read. An unknown user and a wrong password read
// the same.
const (
	noSuchLogin   = "NO [AUTHENTICATIONFAILED] Wrong user name or password"
	noAnswer      = "NO [UNAVAILABLE] Logins can't be checked just now; try again in a few minutes"
	noBackend     = "NO [UNAVAILABLE] The mail server can't be reached just now; try again in a few minutes"
	noRouteText   = "NO [CONTACTADMIN] No mail server is assigned to this account; ask your administrator"
	noServiceText = "NO [CONTACTADMIN] The mail server is set up wrongly; ask your administrator"
)

// attempt tries one login: authenticate, route, dial, log in there. The client
// is watched meanwhile: one that leaves ends it at once. An empty refusal is
// success; an error means that the session is over.
func (s *session) attempt(a *loginAttempt) (refusal string, err error) {
	s.user, s.authzID, s.mechanism = a.request.User, a.request.AuthzID, a.request.Mechanism
	s.login.attemptedAt = s.server.clock.Now()
	s.forgetBackend()
	s.status.set(func(v *statusSnapshot) {
		v.user, v.authzID, v.tls = bounded(s.user), bounded(s.authzID), s.client.tlsVersion()
	})
	stop := s.watch()
	text, refusal := s.connect(s.login.ctx, a.request)
	stop()
	if s.login.ctx.Err() != nil {
		return s.interrupted(a)
	}
	if refusal != "" {
		s.enter(phaseLogin)
		return refusal, nil
	}
	s.server.metrics.granted(s.server.clock.Now().Sub(s.login.attemptedAt))
	return "", s.say(s.alerts() + a.tag + " OK " + loginCode(s.backend.Capabilities()) + text + "\r\n")
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
		Token: grant.Token}
	text, err = s.obtain(ctx, route.Target, cred,
		backend.PoolRequest{Front: s.login.authUser, Mechanism: r.Mechanism, Judged: !grant.BackendJudges})
	if err != nil {
		return "", s.refuse(err)
	}
	return text, ""
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
	s.pause(ctx, waitOf(err))
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
func (s *session) pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	over, free := timing.Within(ctx, s.server.clock, timerRefusal, d, nil)
	defer free()
	<-over.Done()
}

// take makes the connection the session's.
func (s *session) take(conn *backend.Conn) {
	s.backend, s.login.failure = conn, nil
	s.backendAddr = conn.Addr
	s.interrupter.addSocket(conn.Raw())
	s.status.set(func(v *statusSnapshot) { v.backend, v.target = conn.Addr, conn.Target.Name })
}

// refuse finds the answer to a failed login, and logs the whole truth.
func (s *session) refuse(err error) string {
	var denied *auth.Denied
	var refused *backend.Refused
	var failed *backend.Error
	if errors.As(err, &failed) {
		s.backendAddr = failed.Addr
	}
	switch {
	case s.login.ctx.Err() != nil:
		return noBackend // it is not read
	case errors.As(err, &denied):
		s.denied(err)
		return denial(denied.Code, denied.Text)
	case errors.As(err, &refused):
		s.backendAddr = refused.Addr
		s.denied(err)
		s.server.refusalLatency.learn(s.server.clock.Now().Sub(s.login.attemptedAt))
		return denial(clientCode(refused.Code), "")
	case failed != nil:
		s.unavailable(err)
		if failed.Kind == backend.KindConfig || failed.Kind == backend.KindLoop {
			return noServiceText
		}
		return noBackend
	}
	s.unavailable(err)
	return noAnswer
}

// refuseRoute answers for a user without a backend. Where the backend would
// have judged the password, it was not judged: neither the answer nor the time it
// takes may tell who exists.
func (s *session) refuseRoute(ctx context.Context, g *auth.Grant, err error) string {
	if errors.Is(err, backend.ErrNotPermitted) {
		s.unavailable(err)
		return noServiceText
	}
	if !errors.Is(err, backend.ErrNoRoute) {
		s.unavailable(err)
		return noAnswer
	}
	if g.BackendJudges {
		s.pause(ctx, s.server.refusalLatency.usual()-s.server.clock.Now().Sub(s.login.attemptedAt))
		s.denied(err)
		return noSuchLogin
	}
	s.unavailable(err)
	return noRouteText
}

// clientCode is what a client may read of a backend's response code: those of
// RFC 5530 that tell the user what to do.
func clientCode(code string) string {
	switch code {
	case "EXPIRED", "AUTHORIZATIONFAILED", "PRIVACYREQUIRED", "CONTACTADMIN", "LIMIT":
		return code
	}
	return ""
}

// denial words a refusal; without a code of its own it is a wrong login.
func denial(code, text string) string {
	if code == "" || code == "AUTHENTICATIONFAILED" {
		if text == "" {
			return noSuchLogin
		}
		code = "AUTHENTICATIONFAILED"
	}
	if text == "" {
		text = denialTexts[code]
	}
	return "NO [" + code + "] " + text
}

var denialTexts = map[string]string{
	"EXPIRED":             "The password has expired",
	"AUTHORIZATIONFAILED": "This login may not act for that user",
	"PRIVACYREQUIRED":     "The mail server wants TLS for this account",
	"CONTACTADMIN":        "The login is not possible; ask your administrator",
	"LIMIT":               "Too many connections for this account; close one and try again",
}

func (s *session) denied(err error) {
	s.login.refusals++
	s.dropIdle()
	s.server.metrics.logins.WithLabelValues("denied").Inc()
	s.login.failure = err
	s.event().Err(err).Msg("login refused")
}

func (s *session) unavailable(err error) {
	s.server.metrics.logins.WithLabelValues("unavailable").Inc()
	s.login.failure = err
	s.warning().Err(err).Msg("login not possible")
}

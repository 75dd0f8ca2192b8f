package imapproxy

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/rs/zerolog"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/login"
)

// The refusals that a client may read. A user who reads noSuchLogin changes the
// password, so it is said only when the credentials of this user have been found
// wrong; and an unknown user reads the same.
const (
	noSuchLogin   = "NO [AUTHENTICATIONFAILED] " + wrongLogin
	noAnswer      = "NO [UNAVAILABLE] Logins can't be checked just now; try again in a few minutes"
	noBackend     = "NO [UNAVAILABLE] The mail server can't be reached just now; try again in a few minutes"
	noLogins      = "NO [UNAVAILABLE] " + takesNoLogins
	noRoom        = "NO [UNAVAILABLE] The mail server is busy just now; try again in a few minutes"
	noResources   = "NO [UNAVAILABLE] This server has too many connections just now; try again in a few minutes"
	notPossible   = "NO [UNAVAILABLE] The login is not possible just now; ask your administrator if it stays so"
	noRouteText   = "NO [CONTACTADMIN] No mail server is assigned to this account; ask your administrator"
	noServiceText = "NO [CONTACTADMIN] The mail server is set up wrongly; ask your administrator"
)

const (
	wrongLogin    = "Wrong user name or password"
	takesNoLogins = "The mail server takes no logins just now; try again in a few minutes"

	// loginRefused is said where the backend does not say why: some refuse wrong passwords so, and others
	// everything.
	loginRefused = "Login refused by the mail server"
)

// codeTexts are our texts for the response codes of RFC 5530 that can answer a
// login.
var codeTexts = map[string]string{
	"AUTHENTICATIONFAILED": wrongLogin,
	"EXPIRED":              "The password has expired",
	"AUTHORIZATIONFAILED":  "This login may not act for that user",
	"PRIVACYREQUIRED":      "The mail server wants TLS for this account",
	"CONTACTADMIN":         "The login is not possible; ask your administrator",
	"NOPERM":               "This account may not log in",
	"LIMIT":                "Too many connections for this account; close one and try again",
	"UNAVAILABLE":          takesNoLogins,
	"INUSE":                "The mailbox is in use; try again in a few minutes",
	"SERVERBUG":            "The mail server has an internal error; try again in a few minutes",
	"CORRUPTION":           "The mailbox is damaged; ask your administrator",
	"OVERQUOTA":            "The mailbox is over its quota",
	"CANNOT":               "The mail server can't do that for this account; ask your administrator",
	"CLIENTBUG":            "The mail server does not accept what the mail program sends",
	"NONEXISTENT":          "The mailbox does not exist; ask your administrator",
	"ALREADYEXISTS":        loginRefused,
	"EXPUNGEISSUED":        loginRefused,
}

// refuse finds the answer to a failed login, and logs the whole truth.
func (s *session) refuse(err error) string {
	var denied *auth.Denied
	var refused *backend.Refused
	var failed *backend.Error
	if errors.As(err, &failed) {
		s.login.backendAddr, s.login.alerts = failed.Addr, failed.Alerts
	}
	switch {
	case s.task.Err() != nil:
		return noBackend // it is not read
	case errors.As(err, &denied):
		s.denied(err, causeOfDenial(denied), denied.Code)
		return denial(denied.Code, denied.Text)
	case failed != nil:
		s.unavailable(err, causeOfFailure(failed), string(failed.Kind))
		return failureText(failed)
	case errors.As(err, &refused):
		s.login.backendAddr, s.login.alerts = refused.Addr, refused.Alerts
		s.denied(err, causeOfCode(refused.Code, causeBackend), refused.Code)
		s.server.refusals.learn(refused.Answer, s.server.clock.Now().Sub(s.login.attemptedAt))
		return answerText(refused.Answer)
	}
	s.unavailable(err, causeAuth, "")
	return noAnswer
}

// refuseRoute answers for a user without a backend. Where the backend would
// have judged the password, it was not judged: neither the answer nor the time it
// takes may tell who exists.
func (s *session) refuseRoute(ctx context.Context, g *auth.Grant, err error) string {
	if errors.Is(err, backend.ErrNotPermitted) {
		s.unavailable(err, causeSetup, "route")
		return noServiceText
	}
	if !errors.Is(err, backend.ErrNoRoute) {
		s.unavailable(err, causeRoute, "")
		return noAnswer
	}
	if g.BackendJudges {
		text, took := s.server.refusals.usual()
		s.pause(took - s.server.clock.Now().Sub(s.login.attemptedAt))
		s.denied(err, causeCredentials, "route") // an unknown user, as far as anyone can know
		return text
	}
	s.unavailable(err, causeRoute, "")
	return noRouteText
}

// failureText words a backend that could not be used.
func failureText(e *backend.Error) string {
	if a, found := backend.AnswerOf(e); found && a.Referral == "" {
		if a.Code == "" || a.Code == "AUTHENTICATIONFAILED" { // nothing has been checked
			a.Code = "UNAVAILABLE"
		}
		return answerText(a)
	}
	switch e.Kind {
	case backend.KindConfig, backend.KindLoop:
		return noServiceText
	case backend.KindCredentials, backend.KindReferral:
		return notPossible
	case backend.KindPool:
		return noRoom
	case backend.KindLocal:
		return noResources
	}
	return noBackend
}

// answerText words what the backend has answered.
func answerText(a login.Answer) string {
	if a.Code == "ALERT" {
		return "NO [ALERT] " + cmp.Or(a.Text, loginRefused)
	}
	text := cmp.Or(codeTexts[a.Code], loginRefused)
	if a.Texts == login.TextsAll {
		text = cmp.Or(a.Text, text)
	}
	if a.Code == "" || a.Texts == login.TextsNone {
		return "NO " + text
	}
	return "NO [" + a.Code + "] " + text
}

// denial words a refusal of the auth source. A text without a code can mean
// anything, but for the one that nginx's documentation has.
func denial(code, text string) string {
	if code == "" && (text == "" || strings.EqualFold(text, compatRefused)) {
		code = "AUTHENTICATIONFAILED"
	}
	if code == "" {
		return "NO " + text
	}
	return "NO [" + code + "] " + cmp.Or(text, codeTexts[code], loginRefused)
}

// alertLines are the untagged lines that bring a client what it must show to the
// user (RFC 9051 section 7.1).
func alertLines(word string, alerts []string) string {
	lines := ""
	for _, text := range alerts {
		lines += "* " + word + " [ALERT] " + text + "\r\n"
	}
	return lines
}

// denied notes a login that was judged and refused; code is the response code that
// says why, "" for none.
func (s *session) denied(err error, c cause, code string) {
	s.login.refusals++
	s.dropIdle()
	s.server.metrics.logins.WithLabelValues("denied").Inc()
	s.failed(s.server.log.Info(), failedLogin{err, c, strings.ToLower(code)}).Msg("login refused")
}

// unavailable notes a login that was not judged. What the operator has to mend is
// an error, what may pass a warning.
func (s *session) unavailable(err error, c cause, kind string) {
	s.server.metrics.logins.WithLabelValues("unavailable").Inc()
	e := s.server.log.Warn()
	if kind == string(backend.KindCredentials) || kind == string(backend.KindReferral) {
		e = s.server.log.Error()
	}
	s.failed(e, failedLogin{err, c, kind})
	if a, found := backend.AnswerOf(err); found && a.Referral != "" {
		e.Str("referral", a.Referral)
	}
	e.Msg("login not possible")
}

// failed keeps why the login failed for the session's end, and puts it into a
// line. The cause stands in front of all that a client or a server chose, where
// programs can find it without reading that.
func (s *session) failed(e *zerolog.Event, f failedLogin) *zerolog.Event {
	s.login.failed = f
	s.connection(e).Str("cause", string(f.cause))
	optional(e, "detail", f.detail)
	return s.identity(e).Err(f.err)
}

package imapproxy

import (
	"errors"
	"slices"
	"strings"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
)

// This file and compat_*.go are the manner of nginx's mail proxy, for those who
// come from it: its texts, its limits and what its log says. They reproduce what
// configurations and scripts can depend on, not what clients suffer from: a
// client that leaves is noticed, ID is answered, no session is cut off without the
// backend's LOGOUT, and its known bugs are not here.

// Compat says that a listener takes nginx's manner, and how.
type Compat struct {
	// silence of the client after the login (proxy_timeout); in the place of Limits.Idle
	ClientIdle        time.Duration
	PassBackendErrors bool // the backend's refusal, not our own (proxy_pass_error_message)
}

const (
	compatGreeting = "* OK IMAP4 ready\r\n"
	compatInvalid  = " BAD invalid command"
	compatFault    = "* BAD internal server error"
	compatDone     = " OK completed"

	// compatRefused stands in where there is no auth server whose words it could be.
	compatRefused = "Invalid login or password"
)

// nginxDialect is nginx's. The client has its time for the dialogue only, and
// anew after a refusal that lets it stay; each step of a login has a limit of its
// own.
type nginxDialect struct{ *Compat }

func (nginxDialect) greet(s *session) error {
	if err := s.say(compatGreeting); err != nil {
		return err
	}
	s.compatLog(false, "client %s connected to %s", s.client.addr(), s.client.local())
	return nil
}

func (nginxDialect) limitsDialogue() bool { return true }

// offer passes the backend's line on, as nginx does since 1.27.3.
func (nginxDialect) offer(c *backend.Conn) (line, code string) {
	list := c.Capabilities()
	if list == "" || !c.SaysCapabilities() {
		return "", loginCode(list)
	}
	return "* CAPABILITY " + list + "\r\n", ""
}

func (nginxDialect) granted(s *session) {
	s.compatLog(false, "client logged in%s", s.compatContext(""))
}

func (d nginxDialect) refuse(s *session, a *loginAttempt, ours string) (text string, end endReason, err error) {
	s.login.refusals = 0 // Auth-Wait is the limit of tries
	return d.refusal(s, a, ours)
}

func (d nginxDialect) silentUntil(r *relay) (at time.Time, inIdle bool) {
	return r.up.moved.Add(d.ClientIdle), true
}

// refusal words why the login failed. The client stays when the auth server has
// said how long it waits.
func (d nginxDialect) refusal(s *session, a *loginAttempt, ours string) (text string, end endReason, err error) {
	if waitOf(s.login.failed.err) <= 0 {
		end = endLoginFailed
	}
	if explained, err := s.compatExplain(a); err != nil || !explained {
		return a.tag + compatInvalid, end, err
	}
	var denied *auth.Denied
	var unavailable *auth.Unavailable
	switch {
	case errors.As(s.login.failed.err, &denied) && denied.Code == "CLIENTBUG": // nginx asks, and is answered so
		text = compatRefused
	case errors.As(s.login.failed.err, &denied):
		text = denied.Text
		if denied.Code != "" && text != "" {
			text = "[" + denied.Code + "] " + text
		}
		if text == "" {
			text = compatRefused
		}
	case errors.As(s.login.failed.err, &unavailable):
		text = "[UNAVAILABLE] " + unavailable.Text
	default:
		return d.failure(s, a, ours), endLoginFailed, nil
	}
	s.compatLog(false, "client login failed: %q%s", text, s.compatContext("in http auth state"))
	return a.tag + " NO " + text, end, nil
}

// failure words a login that was not judged, or that the backend has refused. Words
// that anyone on the way to the backend may have written are not passed on.
func (d nginxDialect) failure(s *session, a *loginAttempt, ours string) string {
	answer, _ := backend.AnswerOf(s.login.failed.err)
	var refused *backend.Refused
	if errors.As(s.login.failed.err, &refused) { // also where the password is the auth server's: nginx passes that too
		answer = refused.Answer
	}
	words := answer.Line
	passed := words != "" && d.PassBackendErrors
	s.compatLogFailure(words, passed)
	switch {
	case !passed:
		return compatFault
	case !answer.Trusted:
		return a.tag + " " + ours
	case strings.HasPrefix(words, "BYE"):
		return "* " + words
	}
	return a.tag + " " + words
}

// compatExplain hands the error challenge of a token on where there is one, as
// freenginx does; false when the client answers something else than it should.
func (s *session) compatExplain(a *loginAttempt) (bool, error) {
	challenge, found := s.errorChallenge(a.request)
	if !found || challenge == "" {
		return true, nil
	}
	line, err := s.dummyAnswer(challenge)
	if err != nil {
		return false, err
	}
	answer, valid := decodeResponse(line)
	return valid && string(answer) == auth.TokenDummy(a.request.Mechanism), nil
}

// compatOrder is how nginx lists mechanisms.
var compatOrder = [...]string{"PLAIN", "LOGIN", auth.CramMD5, auth.External, auth.XOAuth2, auth.OAuthBearer}

// compatCapabilities is the configured list with nginx's additions in nginx's
// order.
func (s *session) compatCapabilities() string {
	list := slices.Clone(s.listener.Capabilities)
	if list == nil {
		list = []string{"IMAP4", "IMAP4rev1", "UIDPLUS"}
	}
	for _, m := range compatOrder {
		if s.mayAuthenticate() && s.compatOffers(m) {
			list = append(list, "AUTH="+m)
		}
	}
	if s.listener.TLS == StartTLS && s.client.tls == nil {
		list = append(list, "STARTTLS")
	}
	if !s.mayAuthenticate() {
		list = append(list, "LOGINDISABLED")
	}
	return strings.Join(list, " ")
}

// compatOffers reports whether a mechanism is offered.
func (s *session) compatOffers(mechanism string) bool {
	if s.listener.Mechanisms == nil {
		return mechanism == "PLAIN"
	}
	return slices.Contains(s.listener.Mechanisms, mechanism)
}

// bye is what is said at the end. nginx says nothing, but about certificates;
// what nginx has no word for keeps ours.
func (nginxDialect) bye(s *session, r endReason) string {
	switch r {
	case endClientProtocol, endTooManyFailures, endLoginTimeout, endIdleTimeout, endHalfClose,
		endBackendClosed, endBackendAborted, endBackendVanished, endBackendProtocol:
		return ""
	case endClientCertificate:
		if s.client.verify == certificateNone {
			return "No required SSL certificate"
		}
		return "SSL certificate error"
	}
	return r.byeText()
}

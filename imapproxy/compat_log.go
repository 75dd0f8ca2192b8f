package imapproxy

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/rs/zerolog"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/printable"
)

// The lines that scripts look for in nginx's error log, as the message of lines
// next to our own. What nginx writes of a line that is too long, password and
// all, is not among them.

// compatLog writes a line, at error or at info.
func (s *session) compatLog(fault bool, format string, args ...any) {
	level := zerolog.InfoLevel
	if fault {
		level = zerolog.ErrorLevel
	}
	e := s.server.log.WithLevel(level)
	if !e.Enabled() { // most sites leave info out; the text would cost more than the login
		return
	}
	e.Str("session", s.id).Str("listener", s.listener.Name).
		Msgf("*%d %s", s.number(), printable.Text(fmt.Sprintf(format, args...), 0))
}

// number stands for nginx's of a connection: the session's id in digits.
func (s *session) number() uint64 {
	raw, err := base32.StdEncoding.DecodeString(strings.ToUpper(s.id[:min(len(s.id), 8)]))
	if err != nil || len(raw) < 4 {
		return 0
	}
	return uint64(binary.BigEndian.Uint32(raw))
}

// compatContext is what nginx puts after a message: what was being done, and for whom.
func (s *session) compatContext(doing string) nginxContext { return nginxContext{s, doing} }

// nginxContext becomes text only when a line is written.
type nginxContext struct {
	*session
	doing string
}

// String implements fmt.Stringer.
func (x nginxContext) String() string {
	var b strings.Builder
	s := x.session
	if x.doing != "" {
		b.WriteString(" while " + x.doing)
	}
	fmt.Fprintf(&b, ", client: %s", s.client.addr().Addr())
	if s.listener.TLS == StartTLS && s.client.tls != nil {
		b.WriteString(" using starttls")
	}
	fmt.Fprintf(&b, ", server: %s", s.client.local())
	if s.status.user != "" {
		fmt.Fprintf(&b, ", login: \"%s\"", s.status.user)
	}
	if addr := s.backendAddr(); addr != "" {
		b.WriteString(", upstream: " + addr)
	}
	return b.String()
}

// compatLogFailure writes the line of a login that was not judged, or that the
// backend has refused with these words.
func (s *session) compatLogFailure(words string, passed bool) {
	var failed *backend.Error
	var service *auth.ServiceError
	switch {
	case words != "":
		s.compatLog(!passed, "upstream sent invalid response: \"%s\"%s", words,
			s.compatContext("reading response from upstream"))
	case errors.As(s.login.failed.err, &service):
		s.compatLog(true, "auth http server %s %s%s", service.Server, compatAuthFault(service),
			s.compatContext("in http auth state"))
	case !errors.As(s.login.failed.err, &failed):
		s.compatLog(true, "%v%s", s.login.failed.err, s.compatContext("in http auth state"))
	case failed.Kind == backend.KindTimeout:
		s.compatLog(true, "upstream timed out (110: Connection timed out)%s", s.compatContext("connecting to upstream"))
	default:
		s.compatLog(true, "%v%s", s.login.failed.err, s.compatContext("connecting to upstream"))
	}
}

// compatAuthFault says in nginx's words what is wrong with the auth server, as
// far as nginx has some.
func compatAuthFault(e *auth.ServiceError) string {
	switch e.Fault {
	case auth.ServiceTimeout:
		return "timed out"
	case auth.ServiceNoServer:
		return "did not send server or port"
	case auth.ServiceNoPassword:
		return "did not send password"
	case auth.ServiceBadServer:
		return "sent invalid server address"
	case auth.ServiceBadPort:
		return "sent invalid server port"
	case auth.ServiceBadHeader:
		return "sent invalid header in response"
	}
	return "failed: " + e.Text
}

// compatNotBase64 logs a response that is not base64.
func (s *session) compatNotBase64(mechanism string) {
	s.compatLog(false, "client sent invalid base64 encoding in AUTH %s command%s", mechanism,
		s.compatContext("in auth state"))
}

func (nginxDialect) report(s *session, reason endReason, detail error) {
	switch {
	case s.relaying.Load() && reason == endIdleTimeout:
		s.compatLog(false, "client timed out (110: Connection timed out)%s", s.compatContext("proxying"))
	case s.relaying.Load():
		s.compatLog(false, "proxied session done%s", s.compatContext("proxying"))
	case reason == endProxyHeader && errors.Is(detail, errBadHeader):
		s.compatLog(false, "broken header%s", s.compatContext("reading PROXY protocol"))
	case reason == endLoginTimeout:
		s.compatLog(false, "client timed out (110: Connection timed out)%s", s.compatContext("in auth state"))
	case reason == endClientProtocol && s.login != nil && s.login.bad > 0:
		s.compatLog(false, "client sent too many invalid commands%s", s.compatContext("in auth state"))
	}
}

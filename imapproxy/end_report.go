package imapproxy

import (
	"errors"
	"io"

	"github.com/rs/zerolog"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// maxLogged bounds what a client chose of a log line.
const maxLogged = 256

// report writes the one line that every session leaves; phase is where the end came.
func (s *session) report(reason endReason, detail error, phase string) {
	e := s.event()
	if reason == endPanic {
		e = s.server.log.Error()
		s.fields(e)
	}
	if detail == nil || errors.Is(detail, io.EOF) { // EOF says no more than the reason does
		detail = s.loginFailure().err
	}
	if e.Enabled() {
		s.endLine(e, reason, detail, phase)
	}
	s.listener.dialect().report(s, reason, detail)
}

// endLine writes that line.
func (s *session) endLine(e *zerolog.Event, reason endReason, detail error, phase string) {
	last := s.lastCommand
	if s.relaying.Load() {
		if c := s.relay.ledger.LastCommand(); c != "" {
			last = c
		}
	}
	s.access(e)
	optional(e, "last_command", last)
	optional(e, "backend_end", string(s.ending))
	e.Int64("bytes_in", s.relay.up.bytes.Load()).
		Int64("bytes_out", s.relay.down.bytes.Load()).
		Int64("duration_ms", s.server.clock.Now().Sub(s.started).Milliseconds()).
		Str("phase", phase).
		Str("reason", string(reason))
	optional(e, "cause", string(s.loginFailure().cause))
	if detail != nil {
		e.AnErr("error", detail)
	}
	e.Msg("session ended")
}

// reportLogin writes the line of a client that is logged in.
func (s *session) reportLogin() {
	if e := s.event(); e.Enabled() {
		s.access(e)
		e.Msg("session logged in")
	}
}

// loginFailure is why the last login failed; the zero value once the client is logged in.
func (s *session) loginFailure() failedLogin {
	if s.login == nil {
		return failedLogin{}
	}
	return s.login.failed
}

// event begins a line about this session.
func (s *session) event() *zerolog.Event { return s.fields(s.server.log.Info()) }

func (s *session) warning() *zerolog.Event { return s.fields(s.server.log.Warn()) }

// fields puts in who it is about, unless the line is not written. What a client chose stands in a field,
// bounded, never in the message.
func (s *session) fields(e *zerolog.Event) *zerolog.Event {
	if !e.Enabled() {
		return e
	}
	return s.identity(s.connection(e))
}

// connection puts in where the client is: nothing of its choice.
func (s *session) connection(e *zerolog.Event) *zerolog.Event {
	return e.Str("session", s.id).Str("listener", s.listener.Name).Str("client", wire.ClientText(s.client.addr()))
}

// identity puts in who the client says it is, and where it was sent.
func (s *session) identity(e *zerolog.Event) *zerolog.Event {
	optional(e, "user", s.status.user)
	optional(e, "authzid", s.status.authzID)
	optional(e, "backend", s.backendAddr())
	return e
}

// backendAddr returns where the session, or its last login, has got to; "" for nowhere. The session's task
// calls it.
func (s *session) backendAddr() string {
	if s.login != nil {
		return s.login.backendAddr
	}
	return s.status.backend
}

// access puts in how the client has come in.
func (s *session) access(e *zerolog.Event) {
	optional(e, "tls", s.client.tlsVersion())
	optional(e, "certificate", bounded(s.client.verify))
	optional(e, "mechanism", s.mechanism)
}

// bounded cuts what a client chose.
func bounded(s string) string { return s[:min(len(s), maxLogged)] }

func optional(e *zerolog.Event, key, value string) {
	if value != "" {
		e.Str(key, value)
	}
}

// nextEnding makes the backend connection that begins to end the one that the
// end line tells of. An earlier one, of a login that was refused, may take
// longer to end.
func (s *session) nextEnding() (turn int32) {
	s.endings++
	s.ending = ""
	return s.endings
}

func (s *session) noteEnding(turn int32, e backend.Ending) {
	if turn == s.endings {
		s.ending = e
	}
}

// forgetBackend lets what an earlier login has left of its backend out of the
// lines about the next, which may reach none.
func (s *session) forgetBackend() {
	s.login.backendAddr = ""
	s.nextEnding()
}

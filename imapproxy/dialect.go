package imapproxy

import (
	"errors"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/fault"
)

// dialect is how a listener speaks to its clients before and after the relay:
// ours, or nginx's for those who depend on it (compat.go).
type dialect interface {
	// greet says the greeting.
	greet(*session) error
	// read reads one command and finds its answer.
	read(*session) (reply, error)
	// limitsDialogue reports whether the time to log in is that of the dialogue
	// only, and begins anew after a refused login.
	limitsDialogue() bool
	// offer words what the backend offers to a client that is logged in: a line before
	// the answer, or a response code in it.
	offer(*backend.Conn) (line, code string)
	// granted notes that the client is logged in.
	granted(*session)
	// refuse words a login that came to nothing, without the last CRLF; ours is the
	// refusal in our own words. The session then ends for the reason end; "" lets the
	// client try again.
	refuse(s *session, a *loginAttempt, ours string) (text string, end endReason, err error)
	// bye is what the client reads at the end, "" for no BYE.
	bye(*session, endReason) string
	// silentUntil is when the relay's silence has been too long; the relay's lock is
	// held. IDLE is an exception unless inIdle.
	silentUntil(r *relay) (at time.Time, inIdle bool)
	// report notes how the session ended, after the line that every session leaves.
	report(s *session, reason endReason, detail error)
}

// dialect returns the listener's.
func (l *Listener) dialect() dialect {
	if l.Compat != nil {
		return nginxDialect{l.Compat}
	}
	return ownDialect{}
}

// ownDialect is imapproxy's own: RFC 9051.
type ownDialect struct{}

func (ownDialect) greet(s *session) error {
	return s.say("* OK [CAPABILITY " + s.capabilities() + "] " + s.settings.Hostname + " imapproxy ready\r\n")
}

func (ownDialect) read(s *session) (reply, error) {
	cmd, err := s.readCommand()
	var refused *badCommand
	if errors.As(err, &refused) {
		r := reply{text: refused.tag + " BAD " + refused.text, bad: true, why: refused.text}
		if refused.fatal {
			r.end = endClientProtocol
		}
		return r, nil
	}
	if err != nil {
		return reply{}, err
	}
	h, _ := s.handler(cmd.name)
	if h == nil {
		return bad(&cmd, "Unknown command, or not before login"), nil
	}
	s.lastCommand = cmd.name
	fault.Point("dialogue.handler")
	return h(&cmd)
}

func (ownDialect) limitsDialogue() bool { return false }

func (ownDialect) offer(c *backend.Conn) (line, code string) { return "", loginCode(c.Capabilities()) }

func (ownDialect) granted(*session) {}

func (ownDialect) refuse(s *session, a *loginAttempt, ours string) (text string, end endReason, err error) {
	if err := s.explainToken(a); err != nil {
		return "", "", err
	}
	if s.login.refusals >= s.settings.Limits.FailedLogins {
		end = endTooManyFailures
	}
	return alertLines("NO", s.login.alerts) + a.tag + " " + ours, end, nil
}

func (ownDialect) bye(_ *session, r endReason) string { return r.byeText() }

func (ownDialect) silentUntil(r *relay) (at time.Time, inIdle bool) {
	return r.lastMoved().Add(r.s.settings.Limits.Idle), false
}

func (ownDialect) report(*session, endReason, error) {}

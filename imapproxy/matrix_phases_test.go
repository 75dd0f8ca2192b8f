package imapproxy

import (
	"crypto/tls"
	"slices"
	"strings"
	"syscall"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// matrixPhase brings a session into a phase. After enter, resume is set to
// what takes an undisturbed session to its usual end.
type matrixPhase struct {
	options func(s *stage) []option // nil for none
	enter   func(s *stage)
	limit   func(s *stage) (timer string, d time.Duration) // the phase's own; its timer is fired
	fail    func(s *stage)                                 // brings NO to a login that is being decided
}

var matrixPhases = map[string]matrixPhase{
	"accepted":               {enter: (*stage).accepted, limit: loginLimit},
	"tls_handshake":          {enter: (*stage).inHandshake, limit: loginLimit},
	"greeting_sent":          {enter: (*stage).greeted, limit: loginLimit},
	"preauth_cmd":            {enter: (*stage).inLiteralBeforeLogin, limit: loginLimit},
	"sasl_exchange":          {enter: (*stage).inSASL, limit: loginLimit},
	"auth_pending":           {enter: (*stage).authenticating, fail: func(s *stage) { s.askAuth.answer(errDirectory) }},
	"routing_pending":        {enter: (*stage).routing, fail: func(s *stage) { s.askRoute.answer(errDirectory) }},
	"dialing":                {enter: (*stage).dialing, options: dialOptions, limit: connectLimit, fail: fireLimit},
	"backend_tls":            {enter: (*stage).inBackendTLS, options: tlsOptions, limit: tlsLimit, fail: closeBackend},
	"backend_greeting":       {enter: (*stage).awaitingGreeting, limit: greetingLimit, fail: closeBackend},
	"backend_login":          {enter: (*stage).loggingIn, limit: backendLimit, fail: closeBackend},
	"relay_idle":             {enter: (*stage).relayIdle},
	"relay_literal_c2s":      {enter: (*stage).inClientLiteral},
	"relay_literal_s2c":      {enter: (*stage).inBackendLiteral},
	"relay_unanswered":       {enter: (*stage).unanswered},
	"idle_command":           {enter: (*stage).inIdle},
	"compress_active":        {enter: (*stage).compressed},
	"half_closed_by_client":  {enter: (*stage).halfClosedByClient, limit: halfCloseLimit},
	"half_closed_by_backend": {enter: (*stage).halfClosedByBackend, limit: halfCloseLimit, options: smallQueues},
	"draining":               {enter: (*stage).drainingCommand, limit: drainLimit},
	"shutdown_running":       {enter: (*stage).drainingLiteral, limit: drainLimit},
	"reload_running":         {enter: (*stage).reloading},
}

func fireLimit(s *stage) { s.fireOwn() }

func closeBackend(s *stage) { s.b.close() }

// fireOwn runs into the phase's own limit.
func (s *stage) fireOwn() {
	s.t.Helper()
	name, d := s.phase.limit(s)
	s.clock.awaitTimer(s.t, name, d)
	s.clock.fire(name)
}

// accepted stops the session's goroutine before its first word.
func (s *stage) accepted() {
	listener := "tls"
	if strings.HasPrefix(s.cell.Client, "BYE") {
		listener = "plain"
	}
	if s.cell.Reason == "c_protocol" {
		s.settings.Limits.Sessions = 0 // turned away at once
		s.ready(listener)
		s.c = s.connectRaw(listener)
		return
	}
	listener = heldPrefix + listener
	s.ready(listener)
	s.c = s.connectRaw(listener)
	s.clock.awaitTimer(s.t, timerLogin, s.settings.Limits.Login)
	s.inPhase(phaseAccepted)
	s.resume = func() endReason {
		s.clock.release()
		s.c.handshake(clientTLS("imap"))
		s.c.expect(`\* OK \[CAPABILITY [^]]+\] mail\.example\.test imapproxy ready`)
		return s.sayLogout()
	}
}

func (s *stage) inHandshake() {
	if s.cell.Reason == "cert_bad" {
		s.settings.Listeners["tls"].TLSConfig = &tls.Config{GetCertificate: noCertificate}
	}
	s.ready("tls")
	s.c = s.connectRaw("tls")
	s.inPhase(phaseTLS)
	s.resume = func() endReason {
		s.c.handshake(clientTLS("imap"))
		s.c.expect(`\* OK .* imapproxy ready`)
		return s.sayLogout()
	}
}

func (s *stage) greeted() {
	s.ready("plain")
	s.c = s.dial("plain")
	s.session()
	s.resume = s.sayLogout
}

// sayLogout shows that commands are answered, and ends the session.
func (s *stage) sayLogout() endReason {
	s.c.send("n1 NOOP")
	s.c.expect("n1 OK .*")
	s.c.send("n2 LOGOUT")
	s.c.expect(`\* BYE .*`)
	s.c.expect("n2 OK .*")
	s.c.expectEOF()
	return endLogout
}

func (s *stage) inLiteralBeforeLogin() {
	s.greeted()
	s.c.send("a LOGIN {3}")
	s.c.expect(`\+ .*`)
	s.c.write("j")
	s.resume = func() endReason {
		s.c.write("oe\r\n")
		s.c.expect("a BAD LOGIN .*") // the password is missing
		return s.sayLogout()
	}
}

func (s *stage) inSASL() {
	s.greeted()
	s.c.send("a AUTHENTICATE LOGIN")
	s.c.expect(`\+ .*`)
	s.resume = func() endReason {
		s.c.send("*")
		s.c.expect("a BAD .*")
		return s.sayLogout()
	}
}

func (s *stage) authenticating() {
	s.greeted()
	s.c.send("a LOGIN ask-auth %s", canary)
	s.await("the question", func() bool { return s.askAuth.waiting.Load() == 1 })
	s.resume = func() endReason { s.askAuth.answer(errDirectory); return s.refusedThenLogout() }
}

// refusedThenLogout reads NO for the login that was asked for.
func (s *stage) refusedThenLogout() endReason {
	s.c.expect(`a NO \[(UNAVAILABLE|CONTACTADMIN)\] .*`)
	return s.sayLogout()
}

func (s *stage) routing() {
	s.greeted()
	s.c.send("a LOGIN ask-route %s", canary)
	s.await("the question", func() bool { return s.askRoute.waiting.Load() == 1 })
	s.resume = func() endReason { s.askRoute.answer(errDirectory); return s.refusedThenLogout() }
}

// byName reports whether the dial is held while the name is looked up; the
// other cells hold it while the backend's kernel is silent.
func (s *stage) byName() bool {
	switch s.cell.Reason {
	case "b_rst", "emfile_or_memory", "dns_fail":
		return true
	}
	return false
}

func dialOptions(s *stage) []option {
	return []option{func(r *rig) {
		if s.byName() {
			r.target.Addresses = []string{"backend.example.test:" + strings.TrimPrefix(closedPort(), "127.0.0.1:")}
		}
	}}
}

func (s *stage) dialing() {
	s.greeted()
	if s.byName() {
		s.c.send("a LOGIN joe %s", canary)
		s.await("the look-up", func() bool { return s.askName.waiting.Load() == 1 })
		return
	}
	drop(s.t, s.backend.ln.(syscall.Conn))
	s.c.send("a LOGIN joe %s", canary)
	s.await("SYN_SENT", func() bool {
		return slices.ContainsFunc(s.sockets(true), func(e wire.TableEntry) bool { return e.State == "SYN_SENT" })
	})
	s.resume = func() endReason { s.fireOwn(); return s.refusedThenLogout() }
}

func tlsOptions(s *stage) []option {
	return []option{func(r *rig) {
		r.target.TLS = backend.TLSImplicit
		r.target.TLSConfig = clientTLS()
		if s.cell.Reason == "cert_bad" {
			r.target.TLSConfig.RootCAs = nil // nothing vouches for the backend's certificate
			r.script = func(c *backendConn) { s.shakeHands(c) }
		}
	}}
}

// held waits for the backend's connection and goes on to the phase's limit.
func (s *stage) held(user string) {
	s.greeted()
	s.c.send("a LOGIN %s %s", user, canary)
	s.b = s.backend.conn(0)
	s.resume = func() endReason { s.fireOwn(); return s.refusedThenLogout() }
}

func (s *stage) inBackendTLS() {
	s.held("joe")
	if s.cell.Reason != "cert_bad" {
		s.hears("\x16\x03")
	}
}

func (s *stage) awaitingGreeting() {
	s.held("joe")
	s.inPhase(phaseBackend)
	s.clock.awaitTimer(s.t, timerGreeting, s.target.Limits.Greeting)
}

func (s *stage) loggingIn() {
	s.held("joe")
	s.b.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello")
	s.hears("X2 AUTHENTICATE PLAIN ")
}

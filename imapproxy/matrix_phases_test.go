package imapproxy

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// matrixPhase brings a session into a phase. Behind enter, resume is set to
// what takes an undisturbed session to its usual end.
type matrixPhase struct {
	options func(s *stage) []option // nil for none
	enter   func(s *stage)
	limit   func(s *stage) (timer string, d time.Duration) // the phase's own; its timer is fired
	fail    func(s *stage)               // brings NO to a login that is being decided
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

func loginLimit(s *stage) (string, time.Duration) { return timerLogin, s.settings.Limits.Login }
func halfCloseLimit(s *stage) (string, time.Duration) {
	return timerHalfClose, s.settings.Limits.HalfClose
}
func drainLimit(s *stage) (string, time.Duration)   { return timerDrain, s.settings.Limits.Drain }
func connectLimit(s *stage) (string, time.Duration) { return timerConnect, s.target.Limits.Connect }

func tlsLimit(s *stage) (string, time.Duration)      { return timerTLS, s.target.Limits.TLS }
func greetingLimit(s *stage) (string, time.Duration) { return timerGreeting, s.target.Limits.Greeting }
func backendLimit(s *stage) (string, time.Duration)  { return timerBackend, s.target.Limits.Login }

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
	s.ready(listener)
	s.clock.holdAt(timerLogin)
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

// byName tells whether the dial is held while the name is looked up; the
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
			r.target.TLSConfig.RootCAs = nil // nobody vouches for the backend's certificate
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

// leaveAfterNoop shows that the relay works, and closes: that ends a session
// with the same reason whatever the ledger thinks of it.
func (s *stage) leaveAfterNoop() endReason {
	s.c.send("n1 NOOP")
	s.hears("n1 NOOP\r\n")
	s.b.send("n1 OK done")
	s.c.expect("n1 OK done")
	s.c.close()
	return endClientClosed
}

func (s *stage) relayIdle() {
	s.logIn("plain", "joe")
	s.resume = s.leaveAfterNoop
}

func (s *stage) inClientLiteral() {
	if s.large.size > 0 {
		s.inLargeClientLiteral()
	} else {
		s.appends(len(s.first + s.second))
		s.c.write(s.first)
	}
	s.hears("}\r\n" + s.first)
	s.resume = func() endReason { s.finishClientLiteral(s.second); return s.leaveAfterNoop() }
}

// appends begins a command with a literal of that size.
func (s *stage) appends(size int) {
	s.logIn(s.large.listener(), "joe")
	s.c.send("a APPEND x {%d}", size)
	s.hears("}\r\n")
	s.b.send("+ go on")
	s.c.expect(`\+ go on`)
}

// finishClientLiteral sends the rest, and the backend stores it.
func (s *stage) finishClientLiteral(rest string) {
	s.c.write(rest + "\r\n")
	s.hears(s.first + rest + "\r\n")
	s.b.send("a OK stored")
	s.c.expect("a OK stored")
}

func (s *stage) inBackendLiteral() {
	if s.large.size > 0 {
		s.inLargeBackendLiteral()
	} else {
		s.first, s.second = "mmmmm", "mmmmm"
		s.fetches(10)
		s.b.write(s.first)
		s.reads(s.first)
	}
	s.resume = func() endReason {
		s.finishBackendLiteral()
		return s.leaveAfterNoop()
	}
}

// fetches begins the answer to a command, a literal of that size.
func (s *stage) fetches(size int) {
	s.logIn(s.large.listener(), "joe")
	s.c.send("a FETCH 1 BODY[]")
	s.hears("FETCH 1")
	s.b.send("* 1 FETCH (BODY[] {%d}", size)
	s.c.expect(`\* 1 FETCH .*`)
}

func (s *stage) finishBackendLiteral() {
	s.b.write(s.second + ")\r\na OK fetched\r\n")
	s.reads(s.second)
	s.c.expect(`\)`)
	s.c.expect("a OK fetched")
}

// takes reads n bytes at the client.
func (s *stage) takes(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.c.in.ReadByte(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// unanswered has a command whose answer the backend owes, as a stuck worker does.
func (s *stage) unanswered() {
	s.commandPending()
	s.resume = func() endReason {
		s.b.send("w OK at last")
		s.c.expect("w OK at last")
		return s.leaveAfterNoop()
	}
}

func (s *stage) inIdle() {
	s.logIn("plain", "joe")
	s.c.send("i IDLE")
	s.hears("i IDLE\r\n")
	s.b.send("+ idling")
	s.c.expect(`\+ idling`)
	s.resume = func() endReason {
		s.c.send("DONE")
		s.hears("DONE\r\n")
		s.b.send("i OK")
		s.c.expect("i OK")
		return s.leaveAfterNoop()
	}
}

func (s *stage) compressed() {
	s.logIn("plain", "joe")
	s.c.send("z COMPRESS DEFLATE")
	s.hears("COMPRESS DEFLATE\r\n")
	s.b.send("z OK from here on")
	s.c.expect("z OK .*")
	s.c.write("\x01\x02\xff\n")
	s.hears("\x01\x02\xff\n")
	s.b.write("\xfe\x00\n")
	s.takes(3)
	s.resume = s.leaveAfterNoop // any bytes would do
}

func (s *stage) halfClosedByClient() {
	s.commandPending()
	s.c.halfClose()
	s.clock.awaitTimer(s.t, timerHalfClose, s.settings.Limits.HalfClose)
	s.resume = func() endReason {
		s.b.send("w OK at last")
		s.c.expect("w OK at last")
		s.c.expectEOF()
		return endClientClosed
	}
}

// smallQueues lets a client that does not read stop the relay early.
func smallQueues(*stage) []option {
	return []option{func(r *rig) {
		if r.settings.TCP.KeepAliveIdle == 0 {
			r.settings.TCP.KeepAliveIdle = time.Hour // any option bounds what is unsent
		}
	}}
}

// halfClosedByBackend lets the backend say more than the client's kernel takes,
// then close. The proxy's write is stuck, and the FIN is behind it.
func (s *stage) halfClosedByBackend() {
	s.logIn("plain", "joe")
	drop(s.t, s.c.raw) // its kernel would take some more, now and then
	sent := s.stuff()
	_ = s.b.raw.CloseWrite()
	s.await("the FIN found behind a stuck write", func() bool {
		s.clock.advance(sweepEvery)
		return s.clock.pending(timerHalfClose) == 1
	})
	s.resume = func() endReason {
		s.hearAgain()
		got, err := s.c.rest()
		if want := strings.Repeat(stuffing, sent/len(stuffing)) + "* BYE " + endBackendClosed.byeText() + "\r\n"; got != want || err != nil {
			s.t.Errorf("the client reads %d bytes and %v, want %d, BYE included", len(got), err, len(want))
		}
		s.c.close()
		return endBackendClosed
	}
}

var stuffing = "* OK " + strings.Repeat("stuffing", 255) + "!\r\n"

// stuff sends lines until the proxy's write is stuck for good, and gives how
// many bytes that took. What waits behind the write leaves room for a FIN in
// the proxy's window.
func (s *stage) stuff() int {
	s.t.Helper()
	const chunk = 16 << 10
	sent, quiet := 0, time.Now()
	r := &s.session().relay
	down := &r.down
	stuck := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return down.busy && !atWork(r)
	}
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(time.Millisecond) {
		switch {
		case sent-int(down.bytes.Load()) < chunk:
			s.b.write(strings.Repeat(stuffing, chunk/len(stuffing)))
			sent, quiet = sent+chunk, time.Now()
		case !stuck():
			quiet = time.Now()
		case time.Since(quiet) > blocked:
			return sent
		}
	}
	s.t.Fatal("the relay does not get stuck")
	return 0
}

// drainingCommand drains while a command waits for its answer.
func (s *stage) drainingCommand() {
	s.commandPending()
	s.startDrain()
	s.resume = func() endReason {
		s.b.send("w OK at last")
		s.c.expect("w OK at last")
		s.c.expectBye(byeShutdown)
		return endShutdown
	}
}

// drainingLiteral drains inside a literal of the client's.
func (s *stage) drainingLiteral() {
	s.inClientLiteral()
	s.startDrain()
	s.resume = func() endReason {
		s.finishClientLiteral(s.second)
		s.c.expectBye(byeShutdown)
		return endShutdown
	}
}

// startDrain starts a drain and waits until the session knows.
func (s *stage) startDrain() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	s.again = cancel
	s.over = s.drainBeside(ctx)
	r := &s.session().relay
	s.await("the drain", func() bool {
		if s.ses.interrupter.why() != "" {
			return true
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.draining != "" && s.clock.pending(timerDrain) == 1
	})
}

// reloading stands in the relay while one reload follows the other.
func (s *stage) reloading() {
	s.relayIdle()
	stop := make(chan struct{})
	same, next := *s.settings, *s.settings
	next.Hostname = "next.example.test"
	next.Limits.Idle *= 3
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-stop:
				return
			default:
				for _, settings := range []Settings{next, same} { // each generation has its own
					s.server.Reload(&settings)
				}
				time.Sleep(50 * time.Microsecond)
			}
		}
	}()
	s.stopReloads = sync.OnceFunc(func() { close(stop); <-over })
	s.t.Cleanup(s.stopReloads)
}

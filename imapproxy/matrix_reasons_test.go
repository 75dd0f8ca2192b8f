package imapproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// injection finds what makes a cell's reason happen, nil when there is none:
// first of all what is special to the cell.
func injection(c matrixCell) func(*stage) {
	if f := specialInjections[c.String()]; f != nil {
		return f
	}
	if c.Reason == "timeout" && matrixPhases[c.Phase].limit != nil {
		return (*stage).fireOwn
	}
	if c.Reason == "c_protocol" && matrixPhases[c.Phase].fail != nil {
		return (*stage).babbleInLogin
	}
	return injections[c.Reason]
}

// injections are the reasons as they are in most phases.
var injections = map[string]func(*stage){
	"c_fin":      func(s *stage) { s.c.halfClose() },
	"c_rst":      func(s *stage) { s.c.reset() },
	"c_vanish":   func(s *stage) { vanish(s.t, s.c.raw) },
	"c_protocol": (*stage).babble,
	"b_fin":      func(s *stage) { _ = s.b.raw.CloseWrite() },
	"b_rst":      func(s *stage) { s.b.reset() },
	"b_vanish":   func(s *stage) { vanish(s.t, s.b.raw); s.clock.fire(timerRelay) }, // it gives the socket its options
	"b_protocol": func(s *stage) { s.b.write(junk) },
	"b_bye":      func(s *stage) { s.saysBye(); s.clock.advance(s.settings.Limits.HalfCloseIdle) },
	"timeout":    (*stage).idleTooLong,
	"kick":       (*stage).kickAll,
	"shutdown":   (*stage).shutDown,
	"reload":     (*stage).reloadOnce,
}

// junk is no IMAP, in either direction.
const junk = "\x00\xff!! junk !!\r\n"

// junkRefused is what a client reads that sends it where a command should be.
const junkRefused = "* BAD Invalid command"

// errOutOfFiles is what the kernel says when the process has no descriptor left.
var errOutOfFiles = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EMFILE}

var specialInjections = map[string]func(*stage){
	"accepted/c_fin":            func(s *stage) { s.c.halfClose(); s.clock.release() },
	"accepted/c_rst":            func(s *stage) { s.c.reset(); s.clock.release() },
	"accepted/c_vanish":         func(s *stage) { vanish(s.t, s.c.raw); s.clock.release() },
	"accepted/c_protocol":       func(*stage) {}, // it was turned away
	"accepted/timeout":          func(s *stage) { s.fireOwn(); s.clock.release() },
	"accepted/shutdown":         func(s *stage) { s.shutDown(); s.clock.release() },
	"accepted/emfile_or_memory": func(*stage) {}, // see queued

	"tls_handshake/c_fin":      func(s *stage) { _ = s.c.raw.CloseWrite() },
	"tls_handshake/c_protocol": func(s *stage) { s.c.write("\x16\x03\x01\x00\x05junk!") },
	"tls_handshake/cert_bad":   func(s *stage) { s.alert = s.c.tryHandshake(clientTLS("imap")) },

	"preauth_cmd/c_protocol":   func(s *stage) { s.c.write("oe\r\n" + nonsense(2)) },
	"sasl_exchange/c_protocol": func(s *stage) { s.c.write("!!!\r\n" + nonsense(2)) },
	"greeting_sent/c_protocol": func(s *stage) { s.c.write(nonsense(3)) },

	"auth_pending/timeout":             func(s *stage) { s.askAuth.answer(context.DeadlineExceeded) },
	"auth_pending/emfile_or_memory":    func(s *stage) { s.askAuth.answer(errOutOfFiles) },
	"auth_pending/auth_down":           func(s *stage) { s.askAuth.answer(errDirectory) },
	"routing_pending/timeout":          func(s *stage) { s.askRoute.answer(context.DeadlineExceeded) },
	"routing_pending/emfile_or_memory": func(s *stage) { s.askRoute.answer(errOutOfFiles) },
	"routing_pending/auth_down":        func(s *stage) { s.askRoute.answer(errDirectory) },
	"routing_pending/dns_fail":         func(s *stage) { s.askRoute.answer(noSuchHost) },

	"dialing/b_rst":             func(s *stage) { s.askName.answer(nil) }, // nothing listens there
	"dialing/b_vanish":          (*stage).fireOwn,                         // no answer to SYN
	"dialing/dns_fail":          func(s *stage) { s.askName.answer(noSuchHost) },
	"dialing/emfile_or_memory":  (*stage).dialWithoutDescriptors,
	"backend_tls/cert_bad":      func(*stage) {}, // the handshake goes on by itself
	"backend_tls/b_vanish":      vanishInLogin,
	"backend_greeting/b_vanish": vanishInLogin,
	"backend_login/b_vanish":    vanishInLogin,

	"relay_literal_s2c/c_fin": func(s *stage) {
		s.c.close()
		s.await("the FIN",
			s.closedByClient)
		s.b.write("mmmm")
	},
	"relay_literal_s2c/b_protocol":     func(s *stage) { s.b.write(s.second + junk) },
	"relay_unanswered/c_fin":           (*stage).leaveUnanswered,
	"relay_unanswered/shutdown":        func(s *stage) { s.startDrain(); s.clock.fire(timerDrain) },
	"compress_active/shutdown":         func(s *stage) { s.startDrain(); s.clock.fire(timerDrain) },
	"half_closed_by_client/b_protocol": func(s *stage) { s.b.write("* " + junk) },
	"half_closed_by_client/shutdown":   func(s *stage) { s.startDrain(); s.clock.fire(timerDrain) },
	"half_closed_by_backend/c_fin":     func(s *stage) { s.hearAgain(); s.c.close() },
	"half_closed_by_backend/shutdown":  func(s *stage) { s.startDrain(); s.clock.fire(timerDrain) },
	"draining/c_fin": func(s *stage) {
		s.c.halfClose()
		s.await("the FIN",
			s.closedByClient)
		s.b.send("w OK at last")
	},
	"draining/b_protocol":          func(s *stage) { s.b.write("* " + junk) },
	"draining/shutdown":            func(s *stage) { s.again() },
	"shutdown_running/shutdown":    func(s *stage) { s.again() },
	"shutdown_running/b_protocol":  func(s *stage) { s.b.write("* " + junk) },
	"shutdown_running/c_protocol":  func(s *stage) { s.c.write(s.junkHalf()) },
	"relay_literal_c2s/c_protocol": func(s *stage) { s.c.write(s.junkHalf()) },

	"reload_running/emfile_or_memory": func(s *stage) { s.reloadBroken(errOutOfFiles) },
	"reload_running/auth_down":        func(s *stage) { s.reloadBroken(errDirectory) },
	"reload_running/dns_fail":         func(s *stage) { s.reloadBroken(noSuchHost) },
	"reload_running/cert_bad":         func(s *stage) { s.reloadBroken(nil) },
}

var noSuchHost = &net.DNSError{Err: "no such host", Name: "backend.example.test", IsNotFound: true}

// nonsense is n bad commands; each is answered BAD.
func nonsense(n int) string { return strings.Repeat("g NONSENSE\r\n", n) }

// babble is a client that does not speak IMAP in the relay: the backend's
// business.
func (s *stage) babble() { s.c.write(junk) }

// babbleInLogin sends bad commands while the login is being decided; they are
// answered in order after its answer.
func (s *stage) babbleInLogin() {
	s.c.write(nonsense(3))
	s.phase.fail(s)
	s.c.expect(`a NO \[UNAVAILABLE\] .*`)
}

// leaveUnanswered closes the client, and lets the limit on silence pass.
func (s *stage) leaveUnanswered() {
	s.written()
	s.c.close()
	s.clock.awaitTimer(s.t, timerHalfCloseIdle, s.settings.Limits.HalfCloseIdle)
	s.clock.advance(s.settings.Limits.HalfCloseIdle)
}

// closedByClient reports whether the relay goes on after the client has closed its side.
func (s *stage) closedByClient() bool {
	r := &s.session().relay
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clientEOF && !r.stopped
}

// idleTooLong lets the idle limit pass.
func (s *stage) idleTooLong() {
	s.written()
	s.clock.advance(stageIdle)
	for range 5 {
		if s.session().interrupter.why() != "" {
			return // no more: the end has limits, too
		}
		s.clock.awaitTimer(s.t, timerSweep, sweepEvery)
		s.clock.advance(sweepEvery)
	}
}

// written waits until the relay has noted when its last write came through: the
// peer may have read it before. A write that is stuck stays as it is.
func (s *stage) written() {
	ses := s.session()
	busy := func() bool {
		r := &ses.relay
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.up.busy || r.down.busy
	}
	for begun := time.Now(); ses.relaying.Load() && busy() && time.Since(begun) < time.Second; {
		time.Sleep(time.Millisecond)
	}
}

// kickAll kicks the session, and comes to the limit where no safe point does.
func (s *stage) kickAll() {
	if n := s.server.Kick(func(SessionInfo) bool { return true }); n != 1 {
		s.t.Errorf("%d sessions kicked, want 1", n)
	}
	if s.session().interrupter.why() == "" {
		s.clock.awaitTimer(s.t, timerKick, stageKick)
		s.clock.fire(timerKick)
	}
}

func (s *stage) shutDown() { s.startDrain() }

func (s *stage) reloadOnce() {
	next := *s.settings
	next.Hostname = "next.example.test"
	s.server.Reload(&next)
}

// reloadBroken puts a generation in force in which nothing works.
func (s *stage) reloadBroken(err error) {
	next := *s.settings
	down := newGate()
	down.answers = make(chan error, 1)
	down.answers <- err
	next.Auth, next.Router = gatedAuth{down}, gatedRouter{down, nil}
	next.Listeners = map[string]*Listener{"plain": {Name: "plain", TLS: ImplicitTLS,
		TLSConfig: &tls.Config{GetCertificate: noCertificate}}}
	s.stopReloads()
	s.server.Reload(&next)
}

var errCertificate = errors.New("the certificate has expired")

func noCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errCertificate }

// dialWithoutDescriptors lets the look-up succeed while the process may open
// nothing more.
func (s *stage) dialWithoutDescriptors() {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		s.t.Fatal(err)
	}
	none := syscall.Rlimit{Cur: 0, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		s.t.Fatal(err)
	}
	s.askName.answer(nil)
	_, err := s.c.in.Peek(1) // until it is answered
	if back := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); back != nil || err != nil {
		s.t.Fatalf("after the dial: %v, %v", err, back)
	}
}

// shakeHands is a backend with TLS whose certificate nothing vouches for.
func (s *stage) shakeHands(c *backendConn) {
	t := tls.Server(heardConn{c.raw, c.in}, serverTLS())
	if err := t.Handshake(); err == nil {
		_, _ = io.Copy(io.Discard, t)
	}
}

// heardConn reads through what records.
type heardConn struct {
	net.Conn
	in io.Reader
}

// Read implements io.Reader.
func (c heardConn) Read(p []byte) (int, error) { return c.in.Read(p) }

// queued lets a client in only after the listener has got descriptors again.
func (s *stage) queued() {
	s.serveBroke(2)
	s.ready("plain")
	s.c = s.connectRaw("plain")
	for _, pause := range []time.Duration{firstPause, 2 * firstPause} {
		s.clock.awaitTimer(s.t, timerAccept, pause)
		if s.server.Sessions() != 0 {
			s.t.Error("a session without a descriptor")
		}
		s.clock.advance(pause)
	}
	s.c.expect(`\* OK .* imapproxy ready`)
	s.sayLogout()
	s.endsWith(s.c, endLogout)
}

// vanishInLogin has the backend vanish before its socket has options: the phase's limit finds it.
func vanishInLogin(s *stage) {
	vanish(s.t, s.b.raw)
	s.fireOwn()
}

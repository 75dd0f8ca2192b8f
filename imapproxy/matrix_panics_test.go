package imapproxy

import (
	"strings"
	"testing"
)

// panicPoint is where a panic cell panics.
type panicPoint struct {
	point   string
	enter   func(*stage) // to just before the phase, where the point is passed as it begins; nil is the phase's own
	trigger func(*stage) // makes the goroutine pass the point
}

// panicPoints are the panic cells. The goroutine that reads the client is the
// session's own before the relay, the watcher while a login is decided, and
// the session's own again in the relay; the one that reads the backend is the
// session's until the relay, a helper in it; timers and the sweep supervise.
var panicPoints = map[string]panicPoint{
	"accepted/panic_client_side": {"session.open", nil, func(s *stage) { s.clock.release() }},
	"accepted/panic_supervisor": {"session.timer", nil,
		func(s *stage) { s.clock.fire(timerLogin); s.clock.release() }},
	"tls_handshake/panic_client_side":   {"session.tls", (*stage).accepted, func(s *stage) { s.clock.release() }},
	"tls_handshake/panic_supervisor":    {"session.timer", nil, fireLogin},
	"greeting_sent/panic_client_side":   {"dialogue.parse", nil, clientSays("x NOOP\r\n")},
	"greeting_sent/panic_supervisor":    {"session.timer", nil, fireLogin},
	"preauth_cmd/panic_client_side":     {"dialogue.handler", nil, clientSays("oe\r\n")},
	"preauth_cmd/panic_supervisor":      {"session.timer", nil, fireLogin},
	"sasl_exchange/panic_client_side":   {"sasl.step", nil, clientSays("am9l\r\n")},
	"sasl_exchange/panic_supervisor":    {"session.timer", nil, fireLogin},
	"auth_pending/panic_client_side":    {"watch.read", nil, clientSays("x NOOP\r\n")},
	"auth_pending/panic_supervisor":     {"session.timer", nil, fireLogin},
	"routing_pending/panic_client_side": {"watch.read", nil, clientSays("x NOOP\r\n")},
	"routing_pending/panic_backend_side": {"connect.route", (*stage).authenticating,
		func(s *stage) { s.askAuth.answer(nil) }},
	"routing_pending/panic_supervisor": {"session.timer", nil, fireLogin},
	"dialing/panic_client_side":        {"watch.read", nil, clientSays("x NOOP\r\n")},
	"dialing/panic_backend_side": {"dial.connect", (*stage).routing,
		func(s *stage) { s.askRoute.answer(nil) }},
	"dialing/panic_supervisor":      {"session.timer", nil, fireLogin},
	"backend_tls/panic_client_side": {"watch.read", nil, clientSays("x NOOP\r\n")},
	"backend_tls/panic_backend_side": {"dial.tls", (*stage).routing,
		func(s *stage) { s.askRoute.answer(nil); s.b = s.backend.conn(0) }},
	"backend_tls/panic_supervisor":         {"session.timer", nil, fireLogin},
	"backend_greeting/panic_client_side":   {"watch.read", nil, clientSays("x NOOP\r\n")},
	"backend_greeting/panic_backend_side":  {"backend.read", nil, backendSays("* OK hello\r\n")},
	"backend_greeting/panic_supervisor":    {"session.timer", nil, fireLogin},
	"backend_login/panic_client_side":      {"watch.read", nil, clientSays("x NOOP\r\n")},
	"backend_login/panic_backend_side":     {"backend.read", nil, backendSays("X2 OK in\r\n")},
	"backend_login/panic_supervisor":       {"session.timer", nil, fireLogin},
	"relay_idle/panic_client_side":         {"relay.up.write", nil, clientSays("x NOOP\r\n")},
	"relay_idle/panic_backend_side":        {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"relay_idle/panic_supervisor":          {"relay.sweep", nil, (*stage).sweep},
	"relay_literal_c2s/panic_client_side":  {"relay.up.write", nil, clientSays("6")},
	"relay_literal_c2s/panic_backend_side": {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"relay_literal_c2s/panic_supervisor":   {"relay.sweep", nil, (*stage).sweep},
	"relay_literal_s2c/panic_client_side":  {"relay.up.write", nil, clientSays("x NOOP\r\n")},
	"relay_literal_s2c/panic_backend_side": {"relay.down.write", nil, backendSays("m")},
	"relay_literal_s2c/panic_supervisor":   {"relay.sweep", nil, (*stage).sweep},
	"relay_unanswered/panic_client_side":   {"relay.up.write", nil, clientSays("x NOOP\r\n")},
	"relay_unanswered/panic_backend_side":  {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"relay_unanswered/panic_supervisor":    {"relay.sweep", nil, (*stage).sweep},
	"idle_command/panic_client_side":       {"relay.up.write", nil, clientSays("D")},
	"idle_command/panic_backend_side":      {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"idle_command/panic_supervisor":        {"relay.sweep", nil, (*stage).sweep},
	"compress_active/panic_client_side":    {"relay.up.write", nil, clientSays("\x01")},
	"compress_active/panic_backend_side":   {"relay.down.write", nil, backendSays("\xfe")},
	"compress_active/panic_supervisor":     {"relay.sweep", nil, (*stage).sweep},

	"half_closed_by_client/panic_client_side": {"relay.read.failed", (*stage).commandPending,
		func(s *stage) { s.c.halfClose() }},
	"half_closed_by_client/panic_backend_side": {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"half_closed_by_client/panic_supervisor":   {"session.timer", nil, (*stage).fireOwn},
	"half_closed_by_backend/panic_client_side": {"relay.up.write", nil, clientSays("x NOOP\r\n")},
	// once the client reads on
	"half_closed_by_backend/panic_backend_side": {"relay.down.written", nil, func(*stage) {}},
	"half_closed_by_backend/panic_supervisor":   {"session.timer", nil, (*stage).fireOwn},
	"draining/panic_client_side":                {"relay.up.write", nil, clientSays("x NOOP\r\n")},
	"draining/panic_backend_side":               {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"draining/panic_supervisor":                 {"relay.sweep", nil, (*stage).sweep},
	"shutdown_running/panic_client_side":        {"relay.up.write", nil, clientSays("6")},
	"shutdown_running/panic_backend_side":       {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"shutdown_running/panic_supervisor":         {"relay.sweep", nil, (*stage).sweep},
	"reload_running/panic_client_side":          {"relay.up.write", nil, clientSays("x NOOP\r\n")},
	"reload_running/panic_backend_side":         {"relay.down.write", nil, backendSays("* 1 EXISTS\r\n")},
	"reload_running/panic_supervisor":           {"relay.sweep", nil, (*stage).sweep},
}

func fireLogin(s *stage) { s.clock.fire(timerLogin) }

func clientSays(text string) func(*stage) { return func(s *stage) { s.c.write(text) } }

func backendSays(text string) func(*stage) { return func(s *stage) { s.b.write(text) } }

// sweep lets the server look after its sessions once.
func (s *stage) sweep() {
	s.await("the session to be looked after", func() bool { return isSwept(s.session()) })
	s.clock.awaitTimer(s.t, timerSweep, sweepEvery)
	s.clock.advance(sweepEvery)
}

// commandPending has a command that waits for its answer.
func (s *stage) commandPending() {
	s.logIn("plain", "joe")
	s.c.send("w WAIT")
	s.hears("w WAIT\r\n")
}

// TestMatrixPanics runs the panic cells, which need -tags faultpoints.
func TestMatrixPanics(t *testing.T) {
	notQuick(t)
	cells := chosen(t, isPanic)
	if !faultPoints {
		t.Logf("%d cells need the fault points and have not run: make matrix", len(cells))
		return
	}
	stalled.run(t)
	rounds(t, func(t *testing.T) {
		for _, c := range cells {
			t.Run(c.String(), func(t *testing.T) { runPanic(t, c) })
		}
	})
}

// runPanic is runCell with a panic for a reason.
func runPanic(t *testing.T, c matrixCell) {
	s := newStage(t, c)
	at := panicPoints[s.cell.String()]
	enter := at.enter
	if enter == nil {
		enter = s.phase.enter
	}
	enter(s)
	f := arm(t, at.point)
	s.begin()
	at.trigger(s)
	s.finishCell()
	if !f.has(at.point) {
		t.Errorf("the point %s was not passed", at.point)
	}
	places := counts(t, s.server.Metrics(), "imapproxy_panics_total", "place")
	if len(places) != 1 {
		t.Errorf("the metric counts panics at %v, want one", places)
	}
	if l := s.endOf(s.c); !strings.Contains(l.str("error"), "panic of type string") {
		t.Errorf("the end line has the error %q", l.str("error"))
	}
}

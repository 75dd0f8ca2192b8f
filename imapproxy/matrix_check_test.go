package imapproxy

import (
	"errors"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"imapproxy/backend/wire"
)

// Bounds of rule 1, from where the event is noticed.
const (
	goneBound   = time.Second
	logoutBound = 2 * time.Second
	vanishBound = 4 * time.Second // until the kernel notices, with quickTCP
)

// runCell brings a session into the phase, makes the reason happen and checks
// both sides, the counts and the log.
func runCell(t testing.TB, c matrixCell, crowd bool) {
	s := newStage(t, c, crowdOption(crowd))
	s.crowd = crowd
	if c.String() == "accepted/emfile_or_memory" {
		s.queued()
		s.begin()
		s.checkGone()
		s.checkBack()
		return
	}
	s.phase.enter(s)
	s.begin()
	injection(s.cell)(s)
	s.finishCell()
}

// crowdOption keeps a rig among others from counting the process's descriptors.
func crowdOption(crowd bool) option {
	return func(r *rig) {
		if crowd {
			r.files = 1 << 20
		}
	}
}

// finishCell checks what the cell's event has led to.
func (s *stage) finishCell() {
	s.t.Helper()
	if s.stopReloads != nil && s.cell.Client != "=" {
		defer s.stopReloads()
	}
	s.checkClient()
	s.checkBackend()
	if s.stopReloads != nil {
		s.stopReloads()
	}
	s.checkGone()
	s.checkEnd()
	s.checkBack()
}

// clientGone tells whether the client's own socket is closed, or deaf.
func (s *stage) clientGone() bool {
	return s.cell.Reason == "c_rst" || s.cell.Reason == "c_vanish" || s.cell.Reason == "c_fin" && s.c.raw.SetDeadline(time.Now().Add(patience)) != nil
}

// checkClient reads what the client must read.
func (s *stage) checkClient() {
	s.t.Helper()
	bye := regexp.QuoteMeta(s.end.byeText())
	if s.cell.String() == "half_closed_by_backend/panic_backend_side" {
		s.expectByeOrCut()
		return
	}
	switch s.cell.Client {
	case "X":
		s.expectClosed()
	case "AL":
		s.expectAlert()
	case "BYE", "BYE?":
		if s.end == endBackendClosed && s.cell.Phase == "half_closed_by_backend" {
			s.undisturbed()
			return
		}
		s.c.expectBye(bye)
	case "NO+BYE":
		s.c.expect(`a NO \[UNAVAILABLE\] .*`)
		s.c.expectBye(bye)
	case "NO":
		s.c.expect(`a NO \[(UNAVAILABLE|CONTACTADMIN)\] .*`)
		s.checkGoneAtBackend()
		s.end = s.sayLogout()
		s.begin()
	case "ERR":
		for range 3 - strings.Count(s.c.said.String(), " BAD ") {
			s.c.expect(`[ag] BAD .*`)
		}
		s.c.expectBye(bye)
	case "CUT":
		if s.cell.Phase == "half_closed_by_backend" { // the reset has been lost; the next packet brings another
			s.await("the session to be gone", func() bool { return s.server.Sessions() == 0 })
			s.hearAgain()
			_, _ = s.c.conn.Write([]byte("x"))
		}
		if got := s.c.expectReset(); strings.Contains(got, "BYE") {
			s.t.Errorf("BYE in the middle of something: %q", got)
		}
		s.c.close()
	case "D":
		s.finishLiteral()
		s.c.expectBye(bye)
	case "=":
		s.undisturbed()
	default:
		s.t.Fatalf("no check for the client's %q", s.cell.Client)
	}
}

// expectByeOrCut reads on behind a stuck write, and then BYE where the write
// has ended between two lines, a reset elsewhere.
func (s *stage) expectByeOrCut() {
	s.t.Helper()
	s.hearAgain()
	got, err := s.c.rest()
	words := strings.Index(got, "* BYE ")
	switch {
	case words < 0 && errors.Is(err, syscall.ECONNRESET):
	case words >= 0 && err == nil && words%len(stuffing) == 0 && got[words:] == "* BYE "+s.end.byeText()+"\r\n":
	default:
		s.t.Errorf("the client reads %d bytes, BYE at %d, and %v", len(got), words, err)
	}
	s.c.close()
}

// expectClosed reads the end and nothing before it.
func (s *stage) expectClosed() {
	s.t.Helper()
	if s.clientGone() {
		return
	}
	if s.cell.Phase == "draining" {
		s.c.expect("w OK at last")
	}
	if got, err := s.c.rest(); got != "" || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		s.t.Errorf("the client reads %q and %v, want the end alone", got, err)
	}
	s.c.close()
}

// expectAlert reads a fatal TLS alert, then the end.
func (s *stage) expectAlert() {
	s.t.Helper()
	if s.cell.Reason == "cert_bad" {
		if s.alert == nil || !strings.HasPrefix(s.alert.Error(), "remote error: tls: ") {
			s.t.Errorf("the client's handshake ends with %v, want an alert", s.alert)
		}
		s.c.close()
		return
	}
	got, err := s.c.rest()
	if len(got) != 7 || got[0] != 21 || got[5] != 2 || err != nil {
		s.t.Errorf("the client reads %q and %v, want an alert", got, err)
	}
	s.c.close()
}

// finishLiteral lets a literal in flight come to its end.
func (s *stage) finishLiteral() {
	if s.cell.Phase == "relay_literal_c2s" {
		s.finishClientLiteral(s.second)
		return
	}
	s.finishBackendLiteral()
}

// undisturbed shows that the session goes on as if nothing had happened.
func (s *stage) undisturbed() {
	s.t.Helper()
	if n := s.server.Sessions(); n != 1 || s.session().interrupter.why() != "" {
		s.t.Fatalf("%d sessions, and the reason %q to end", n, s.ses.interrupter.why())
	}
	if through := passedOn[s.cell.String()]; through != nil {
		s.end = through(s)
	} else {
		switch s.cell.Reason {
		case "b_protocol":
			s.reads(junk)
		case "c_protocol":
			s.hears(junk)
		}
		s.end = s.resume()
	}
	s.begin()
}

// reads reads exactly text at the client.
func (s *stage) reads(text string) {
	s.t.Helper()
	s.c.deadline()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(s.c.in, got); err != nil || string(got) != text {
		s.t.Fatalf("the client reads %.200q and %v, want %.200q, %d bytes", got[:n], err, text, len(text))
	}
}

// passedOn are the cells in which what was said has to be seen at the other
// side in a way of its own, before the session goes on.
var passedOn = map[string]func(*stage) endReason{
	"relay_literal_c2s/c_protocol": func(s *stage) endReason { s.finishJunkLiteral(); return s.leaveAfterNoop() },
	"shutdown_running/c_protocol": func(s *stage) endReason {
		s.finishJunkLiteral()
		s.c.expectBye(byeShutdown)
		return endShutdown
	},
	"relay_literal_s2c/b_protocol": func(s *stage) endReason {
		s.reads(s.second + junk)
		s.b.send("a OK fetched")
		s.c.expect("a OK fetched")
		return s.leaveAfterNoop()
	},
	"half_closed_by_client/b_protocol": func(s *stage) endReason { s.reads("* " + junk); return s.resume() },
	"draining/b_protocol":              func(s *stage) endReason { s.reads("* " + junk); return s.resume() },
	"shutdown_running/b_protocol":      func(s *stage) endReason { s.reads("* " + junk); return s.resume() },
	"draining/c_protocol": func(s *stage) endReason { // in doubt no point is safe but the limit
		s.hears(junk)
		s.b.send("w OK at last")
		s.c.expect("w OK at last")
		s.clock.fire(timerDrain)
		s.c.expectBye(byeShutdown)
		return endShutdown
	},
}

// finishJunkLiteral ends the literal whose bytes were junk.
func (s *stage) finishJunkLiteral() {
	s.c.write("\r\n")
	s.hears(s.first + s.junkHalf() + "\r\n")
	s.b.send("a OK stored")
	s.c.expect("a OK stored")
}

// checkBackend looks at what the backend has seen.
func (s *stage) checkBackend() {
	s.t.Helper()
	switch s.cell.Backend {
	case "-":
		if n := len(s.backend.all()); n != 0 {
			s.t.Errorf("%d backend connections, want none", n)
		}
		return
	case "0":
		if n := len(s.backend.all()); n != 0 {
			s.t.Errorf("%d backend connections, want none", n)
		}
		s.await("the dial to be gone", func() bool { return len(s.sockets(true)) == 0 || s.cell.Client == "NO" })
		return
	}
	if s.cell.Reason != "b_vanish" {
		s.await("the backend's connection to end", func() bool { return s.b.ended() != "" })
	}
	got := s.b.relayed()
	loggedOut := strings.HasSuffix(got, "X9 LOGOUT\r\n")
	switch s.cell.Backend {
	case "L", "P", "D":
		if !loggedOut {
			s.t.Errorf("the backend gets %q, want LOGOUT at the end", got)
		}
		if s.cell.Phase == "relay_literal_c2s" && !strings.Contains(got, s.first+s.second+"\r\nX9") {
			s.t.Errorf("the backend gets %.200q, %d bytes, want the whole literal", got, len(got))
		}
	case "X":
		if loggedOut && !s.mayLogout() {
			s.t.Errorf("LOGOUT where it is no command: %q", got)
		}
	}
}

// mayLogout tells whether a LOGOUT in X's place is as good: the backend ends
// in order and within its bound, which docs/close-wait.md asks for.
func (s *stage) mayLogout() bool {
	switch s.cell.Phase {
	case "relay_literal_c2s", "shutdown_running", "compress_active", "backend_tls", "backend_greeting", "backend_login":
		return false
	}
	return true
}

// checkGoneAtBackend waits for the proxy's backend sockets to be gone.
func (s *stage) checkGoneAtBackend() {
	s.t.Helper()
	inner := addrPort(s.backend.ln.Addr()).Port()
	s.await("the backend's socket to be gone", func() bool {
		return s.server.dialer.Registry.Count() == 0 &&
			!slices.ContainsFunc(s.sockets(true), func(e wire.TableEntry) bool { return e.Remote.Port() == inner })
	})
	s.within(s.bound())
}

// bound is how long the proxy may take.
func (s *stage) bound() time.Duration {
	bound := goneBound
	if s.b != nil && strings.HasSuffix(s.b.relayed(), "LOGOUT\r\n") {
		bound = logoutBound
	}
	if isVanish(s.cell) {
		bound += vanishBound
	}
	return bound
}

// within checks rule 1's time, less the time in which this process did not get
// a processor.
func (s *stage) within(bound time.Duration) {
	s.t.Helper()
	took := time.Since(s.begun)
	if late := stalled.total(s.t) - s.stalled; took-late > bound {
		s.t.Errorf("gone after %v, of which this process waited %v for a processor; want %v\n%s", took, late, bound, s.log.text())
	}
}

// begin notes that it happens now.
func (s *stage) begin() { s.begun, s.stalled = time.Now(), stalled.total(s.t) }

// checkGone is rule 1: no socket of the session is left on either side.
func (s *stage) checkGone() {
	s.t.Helper()
	s.await("the session to be gone", func() bool { return s.server.Sessions() == 0 && s.server.dialer.Registry.Count() == 0 })
	own := isVanish(s.cell) // the vanished peer's socket is still there
	var left []wire.TableEntry
	s.await("the sockets to be gone", func() bool { left = s.sockets(own); return len(left) == 0 })
	for _, e := range left {
		s.t.Errorf("left: %+v", e)
	}
	s.within(s.bound())
	switch {
	case !own:
		return
	case s.cell.Reason == "c_vanish":
		s.c.reset()
	case s.b != nil:
		s.b.reset()
	}
	s.await("the vanished peer's socket to be gone", func() bool { return len(s.sockets(false)) == 0 })
}

// checkEnd is rule 3, and the end line of rule 2.
func (s *stage) checkEnd() {
	s.t.Helper()
	l := s.endsWith(s.c, s.end)
	for _, key := range []string{"bytes_in", "bytes_out", "duration_ms"} {
		if l.num(key) < 0 {
			s.t.Errorf("the end line has no %s: %v", key, l)
		}
	}
	if got, want := l.str("phase"), s.endPhase(); !slices.Contains(want, got) {
		s.t.Errorf("the end line has the phase %q, want one of %q", got, want)
	}
	if want := failures[s.cell.Phase+"/"+s.cell.Reason]; s.cell.Client == "NO" && (want == "" || !strings.Contains(l.str("error"), want)) {
		s.t.Errorf("the end line has the error %q, want %q in it", l.str("error"), want)
	}
	if s.cell.Backend == "L" || s.cell.Backend == "P" || s.cell.Backend == "D" {
		if l.str("backend_end") != "logout" {
			s.t.Errorf("the backend's connection ended as %q, want logout", l.str("backend_end"))
		}
	}
	if ends := s.countEnds(); len(ends) != 1 || ends[string(s.end)] != 1 {
		s.t.Errorf("the metric counts %v, want one end as %s", ends, s.end)
	}
}

// endPhase gives the phases that the end line may name.
func (s *stage) endPhase() []string {
	if s.cell.Client == "NO" || s.cell.Client == "ERR" {
		return []string{phaseLogin}
	}
	undisturbed := s.cell.Client == "="
	switch p := s.cell.Phase; p {
	case "accepted":
		return []string{phaseAccepted, phaseTLS, phaseLogin}
	case "tls_handshake":
		return []string{phaseTLS, phaseLogin}[btoi(undisturbed):][:1]
	case "greeting_sent", "preauth_cmd", "sasl_exchange":
		return []string{phaseLogin}
	case "auth_pending", "routing_pending", "dialing", "backend_tls", "backend_greeting", "backend_login":
		if undisturbed {
			return []string{phaseLogin}
		}
		return []string{map[string]string{"auth_pending": phaseAuthenticate, "routing_pending": phaseRoute}[p], phaseBackend}[btoi(!strings.HasSuffix(p, "_pending")):][:1]
	}
	return []string{phaseRelay}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// failures are what the log says of a login that could not be.
var failures = map[string]string{
	"auth_pending/timeout": "deadline exceeded", "auth_pending/emfile_or_memory": "too many open files", "auth_pending/auth_down": errDirectory.Error(),
	"routing_pending/timeout": "deadline exceeded", "routing_pending/emfile_or_memory": "too many open files",
	"routing_pending/auth_down": errDirectory.Error(), "routing_pending/dns_fail": "no such host",
	"dialing/b_rst": "connection refused", "dialing/b_vanish": "connect: timeout", "dialing/timeout": "connect: timeout",
	"dialing/emfile_or_memory": "too many open files", "dialing/dns_fail": "dns: the name has no address",
	"backend_tls/b_fin": "tls: closed", "backend_tls/b_rst": "tls: closed", "backend_tls/b_vanish": "tls: timeout",
	"backend_tls/b_protocol": "tls: tls", "backend_tls/timeout": "tls: timeout", "backend_tls/cert_bad": "unknown authority",
	"backend_greeting/b_fin": "greeting: closed", "backend_greeting/b_rst": "greeting: closed", "backend_greeting/b_vanish": "greeting: timeout",
	"backend_greeting/b_protocol": "greeting: protocol", "backend_greeting/timeout": "greeting: timeout",
	"backend_login/b_fin": "login: closed", "backend_login/b_rst": "login: closed", "backend_login/b_vanish": "login: timeout",
	"backend_login/b_protocol": "login: protocol", "backend_login/timeout": "login: timeout",
}

// countEnds reads the metric of ends, by reason.
func (s *stage) countEnds() map[string]int {
	s.t.Helper()
	return counts(s.t, s.server.Metrics(), "imapproxy_session_ends_total", "reason")
}

// counts reads a counter by one label, zeros left out.
func counts(t testing.TB, from prometheus.Gatherer, name, label string) map[string]int {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name || m.GetCounter().GetValue() == 0 {
				continue
			}
			for _, l := range m.GetLabel() {
				if l.GetName() == label {
					found[l.GetValue()] += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return found
}

// checkBack is rule 2: everything is as it was before the session.
func (s *stage) checkBack() {
	s.t.Helper()
	if s.over != nil {
		s.drained(s.over)
	}
	s.await("no session and no backend connection left", func() bool {
		return s.server.Sessions() == 0 && s.server.dialer.Registry.Count() == 0
	})
	for name, g := range map[string]*gate{"authenticator": s.askAuth, "router": s.askRoute, "resolver": s.askName} {
		s.await("nobody to wait for the "+name, func() bool { return g.waiting.Load() == 0 })
	}
	s.await("the timers to be back", func() bool { return s.clock.count() <= s.timers })
	if s.crowd {
		return
	}
	s.await("the goroutines to be back", func() bool { return runtime.NumGoroutine() <= s.goroutines })
	dropIdlePipes(s.server)
	s.await("the descriptors to be back", func() bool { return openFiles(s.t) <= s.descriptors })
}

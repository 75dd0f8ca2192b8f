package imapproxy

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
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

// clientGone reports whether the client's own socket is closed, or deaf.
func (s *stage) clientGone() bool {
	return s.cell.Reason == "c_rst" || s.cell.Reason == "c_vanish" ||
		s.cell.Reason == "c_fin" && s.c.raw.SetDeadline(time.Now().Add(patience)) != nil
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
		s.expectCut()
	case "D":
		s.finishLiteral()
		s.c.expectBye(bye)
	case "=":
		s.undisturbed()
	default:
		s.t.Fatalf("no check for the client's %q", s.cell.Client)
	}
}

// expectCut reads up to a reset, without a BYE in the middle of something.
func (s *stage) expectCut() {
	s.t.Helper()
	var written error
	if s.cell.Phase == "half_closed_by_backend" { // the reset has been lost; the next packet brings another
		s.await("the session to be gone", func() bool { return s.server.Sessions() == 0 })
		s.hearAgain()
		_, written = s.c.conn.Write([]byte("x")) // a reset that comes just before is its error, and is read once
	}
	if got := s.c.expectReset(written); strings.Contains(got, "BYE") {
		s.t.Errorf("BYE in the middle of something: %q", got)
	}
	s.c.close()
}

// expectByeOrCut reads on after a stuck write, and then BYE where the write
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
		s.t.Errorf("the client reads %q and %v, want only the end", got, err)
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
			s.c.skips = junkRefused // it never gets to the backend
		}
		s.end = s.resume()
		if s.c.skips != "" {
			s.t.Error("the client's junk is not refused")
		}
		if s.cell.Reason == "c_protocol" && strings.Contains(s.b.everything(), junk) {
			s.t.Error("the client's junk has got to the backend")
		}
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
	"compress_active/c_protocol":       func(s *stage) endReason { s.hears(junk); return s.resume() },
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

// mayLogout reports whether a LOGOUT in X's place is as good: the backend ends
// in order and within its bound, which docs/close-wait.md asks for.
func (s *stage) mayLogout() bool {
	switch s.cell.Phase {
	case "relay_literal_c2s", "shutdown_running", "compress_active", "backend_tls", "backend_greeting", "backend_login":
		return false
	}
	return true
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
		s.t.Errorf("gone after %v, of which this process waited %v for a processor; want %v\n%s", took, late, bound,
			s.log.text())
	}
}

// begin notes that it happens now.
func (s *stage) begin() { s.begun, s.stalled = time.Now(), stalled.total(s.t) }

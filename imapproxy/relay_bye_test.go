package imapproxy

import (
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// saysBye has the backend say BYE and stay; the client reads it, and the limits run.
func (s *stage) saysBye() {
	s.t.Helper()
	s.b.send("* BYE going down")
	s.c.expect(`\* BYE going down`)
	s.clock.awaitTimer(s.t, timerHalfCloseIdle, s.settings.Limits.HalfCloseIdle)
	s.written()
}

// TestBackendSaysBye does not wait for a backend that says BYE and stays: no longer
// than the limit on silence.
func TestBackendSaysBye(t *testing.T) {
	for _, test := range []struct {
		phase string
		want  string // what the backend gets at the end
		ends  backend.Ending
		limit time.Duration // of the ending; short only where the backend lets it pass
	}{
		{"relay_idle", "X9 LOGOUT\r\n", backend.EndLogout, patience},
		{"idle_command", "i IDLE\r\nDONE\r\nX9 LOGOUT\r\n", backend.EndLogout, patience},
		{"relay_unanswered", "w WAIT\r\nX9 LOGOUT\r\n", backend.EndLogout, patience},
		// It was to close, and did not.
		{"relay_literal_c2s", "a APPEND x {10}\r\n12345", backend.EndReset, 200 * time.Millisecond},
	} {
		t.Run(test.phase, func(t *testing.T) {
			s := newStage(t, matrixCell{Phase: test.phase, Reason: "b_bye"},
				withTarget(func(t *backend.Target) { t.Limits.Logout = test.limit }))
			s.phase.enter(s)
			s.saysBye()
			s.clock.advance(s.settings.Limits.HalfCloseIdle - time.Millisecond)
			if why := s.ses.interrupter.why(); why != "" {
				t.Errorf("ended before the limit, as %q", why)
			}
			s.clock.advance(time.Millisecond)
			s.c.expectEOF()
			if l := s.endsWith(s.c, endHalfClose); l.str("backend_end") != string(test.ends) {
				t.Errorf("the backend's connection ended as %q, want %q", l.str("backend_end"), test.ends)
			}
			s.restful()
			if got := s.b.relayed(); got != test.want {
				t.Errorf("the backend gets %q, want %q", got, test.want)
			}
		})
	}
}

// TestBackendSaysByeForever ends a session whose backend says BYE again and again,
// at the limit in all.
func TestBackendSaysByeForever(t *testing.T) {
	s := newStage(t, matrixCell{Phase: "relay_idle", Reason: "b_bye"})
	s.logIn("tls", "joe")
	s.saysBye()
	limits, since := s.settings.Limits, s.clock.Now()
	for s.clock.Now().Sub(since)+time.Second < limits.HalfClose {
		s.clock.advance(time.Second)
		if why := s.ses.interrupter.why(); why != "" {
			t.Fatalf("ended as %q, %v after BYE and before any limit", why, s.clock.Now().Sub(since))
		}
		s.b.send("* BYE still going down")
		s.c.expect(`\* BYE still going down`)
		s.written()
	}
	s.clock.advance(time.Second)
	s.c.expectEOF()
	if l := s.endsWith(s.c, endHalfClose); l.str("backend_end") != "logout" {
		t.Errorf("the backend's connection ended as %q", l.str("backend_end"))
	}
}

// TestByeOfTheClientsLogout has the BYE that the client's LOGOUT asks for come
// without an answer: the reason to end is the client's.
func TestByeOfTheClientsLogout(t *testing.T) {
	s := newStage(t, matrixCell{Phase: "relay_idle", Reason: "b_bye"}, withScript(func(*backendConn) {}),
		withTarget(func(t *backend.Target) { t.Limits.Logout = 200 * time.Millisecond }))
	s.relayIdle()
	s.c.send("a LOGOUT")
	s.hears("a LOGOUT\r\n")
	s.saysBye()
	s.clock.advance(s.settings.Limits.HalfCloseIdle)
	s.c.expectEOF()
	if l := s.endsWith(s.c, endLogout); l.str("backend_end") != "reset" {
		t.Errorf("the backend's connection ended as %q", l.str("backend_end"))
	}
	if got := s.b.relayed(); strings.Count(got, "LOGOUT") != 1 {
		t.Errorf("the backend gets %q", got)
	}
}

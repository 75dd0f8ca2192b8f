package rig

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

// TestJavaLimits fills the worker pool, then the descriptor limit, shows that closing helps, and ends the backend by
// its control port.
func TestJavaLimits(t *testing.T) {
	r := newRig(t, JavaOptions{Mode: "stuck-worker", Workers: 2, FDLimit: 3, Password: "secret",
		JVM: []string{"-Xss512k"}})
	for range 2 {
		c := greet(t, r.Addr())
		c.command("NO [AUTHENTICATIONFAILED]", "LOGIN user other")
		c.command("OK", "LOGIN user secret")
		c.command("OK", "SELECT INBOX")
	}
	queued := connect(t, r.Addr())
	rigtest.Eventually(t, func() error {
		if s := r.stats(); s.Busy != 2 || s.Queued != 1 || s.Accepted != 3 || s.Open != 3 || s.Accepting ||
			s.FDLimit != 3 {
			return fmt.Errorf("%+v, want 2 workers busy, 1 connection queued, and none accepted any more", s)
		}
		return nil
	})
	refused := connect(t, r.Addr())
	rigtest.Eventually(t, func() error {
		s, found := r.socket(refused.local())
		if !found || s.State != wire.StateEstablished || s.Inode != 0 {
			return fmt.Errorf("socket %+v (found %v), want it in the accept queue", s, found)
		}
		return nil
	})
	queued.silent()
	refused.silent()
	if s := r.stats(); s.Accepted != 3 || s.Open != 3 {
		t.Errorf("accepted %d, open %d over the limit; want 3", s.Accepted, s.Open)
	}
	if err := r.CloseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused.wantLine("* OK ")
	if s := r.stats(); s.Accepted != 4 || s.Open != 1 || !s.Accepting {
		t.Errorf("after close-all: %+v, want 4 accepted, 1 open", s)
	}
	refused.command("OK", "LOGIN user secret")
	refused.command("OK", "SELECT INBOX")
	r.wantExit()
}

// wantExit asks the backend to end, while a worker is stuck.
func (r rig) wantExit() {
	r.t.Helper()
	if _, err := r.ask(r.t.Context(), http.MethodPost, "/exit"); err != nil {
		r.t.Fatal(err)
	}
	limit := time.NewTimer(rigtest.PollLimit)
	defer limit.Stop()
	select {
	case <-r.done:
	case <-limit.C:
		r.t.Errorf("the JVM is still there after %v", rigtest.PollLimit)
	}
}

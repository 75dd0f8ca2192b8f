package imapproxy

import "testing"

// TestInfoNamesTheCommand names a command only as long as it has no answer; the last
// one has a field of its own.
func TestInfoNamesTheCommand(t *testing.T) {
	s := newStage(t, matrixCell{Phase: "relay_idle", Reason: "status"}, withLeakLimits())
	s.relayIdle()
	want := func(command, last string) {
		t.Helper()
		s.await("the ledger to know", func() bool {
			v := s.server.List()[0]
			return v.Command == command && v.Last == last
		})
	}
	want("", "")
	s.c.send("a SELECT INBOX")
	want("SELECT", "SELECT")
	s.c.send("b NOOP")
	want("SELECT", "NOOP")
	now := s.clock.Now()
	s.server.findLeaks(now.Add(2 * leakReportAfter))
	s.expectReport(leakSilent, s.ses.id, "lease")
	if reported, _, _ := s.leakLines(); reported[0].str("command") != "SELECT" {
		t.Errorf("the command that looks forgotten is %q", reported[0].str("command"))
	}
	s.b.send("a OK selected")
	want("NOOP", "NOOP")
	s.b.send("b OK done")
	want("", "NOOP")
	s.c.send("c IDLE")
	s.hears("c IDLE\r\n")
	s.b.send("+ idling")
	s.c.expect("a OK .*")
	s.c.expect("b OK .*")
	s.c.expect(`\+ idling`)
	want("IDLE", "IDLE")
	s.c.send("DONE")
	s.hears("DONE\r\n")
	s.b.send("c OK")
	want("", "IDLE")
	s.c.send("d NOOP")
	s.hears("d NOOP\r\n")
	s.b.send("forged OK")
	want("", "NOOP") // nothing can be known any more
	s.c.close()
}

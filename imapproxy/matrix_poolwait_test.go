package imapproxy

import (
	"context"
	"testing"

	"imapproxy/backend"
)

// The cells of pool_wait: a login waits since the user's one connection is in
// another session's hands. Whatever ends the wait, the place in the queue is
// free after it, and the other session is not disturbed.

// waitReasons make a reason happen, see what the client reads, and give the
// reason of the session's end.
var waitReasons = map[string]func(s *waitStage) endReason{
	"c_fin":    func(s *waitStage) endReason { s.c.halfClose(); s.c.expectEOF(); return endClientClosed },
	"c_rst":    func(s *waitStage) endReason { s.c.reset(); return endClientAborted },
	"c_vanish": func(s *waitStage) endReason { vanish(s.t, s.c.raw); return endClientVanished },
	"c_protocol": func(s *waitStage) endReason {
		s.c.write(nonsense(3))
		s.timeout()
		for range 3 {
			s.c.expect("g BAD .*")
		}
		s.c.expectBye(`\[CLIENTBUG\] .*`)
		return endClientProtocol
	},
	"timeout": func(s *waitStage) endReason {
		s.timeout()
		s.c.send("n LOGOUT")
		s.c.expect(`\* BYE .*`)
		s.c.expect("n OK .*")
		s.c.expectEOF()
		return endLogout
	},
	"kick": func(s *waitStage) endReason {
		if n := s.server.Kick(func(i SessionInfo) bool {
			return i.Phase == phasePool && i.Client != "" && i.ID != ""
		}); n != 1 {
			s.t.Errorf("%d kicked", n)
		}
		s.c.expectBye(`\[UNAVAILABLE\] Disconnected by an administrator`)
		return endKicked
	},
	"shutdown": func(s *waitStage) endReason { // the login gets its answer in front of BYE, as in the phases after
		over := s.drainBeside(context.Background())
		s.t.Cleanup(func() {
			if err := s.drained(over); err != nil {
				s.t.Error(err)
			}
		})
		s.c.expect(`in NO \[UNAVAILABLE\] .*`)
		s.c.expectBye(`\[UNAVAILABLE\] .*`)
		return endShutdown
	},
	"reload": func(s *waitStage) endReason { // the old generation's pool is over: a connection of its own
		next := *s.settings
		s.server.Reload(&next)
		s.c.expect("in OK .*")
		s.c.send("n LOGOUT")
		s.c.until("n")
		s.c.expectEOF()
		return endLogout
	},
	"panic_client_side": func(s *waitStage) endReason {
		f := arm(s.t, "watch.read")
		s.c.write("x")
		s.c.expectBye(`\[UNAVAILABLE\] Internal error.*`)
		if !f.has("watch.read") {
			s.t.Error("the point was not passed")
		}
		return endPanic
	},
	"panic_supervisor": func(s *waitStage) endReason {
		arm(s.t, "session.timer")
		s.clock.fire(timerLogin)
		s.c.expectBye(`\[UNAVAILABLE\] Internal error.*`)
		return endPanic
	},
}

// waitStage is a client whose login waits.
type waitStage struct {
	*rig
	clock  *fakeClock
	holder *testClient
	c      *testClient
}

// timeout lets wait_timeout pass and reads the answer.
func (s *waitStage) timeout() {
	s.clock.advance(s.target.Pool.WaitTimeout)
	s.c.expect(`in NO \[UNAVAILABLE\] .*`)
}

// TestMatrixPoolWait runs the cells of pool_wait.
func TestMatrixPoolWait(t *testing.T) {
	notQuick(t)
	rounds(t, func(t *testing.T) {
		for _, c := range readMatrix(t) {
			if c.Phase == "pool_wait" && (!isPanic(c) || faultPoints) {
				t.Run(c.String(), func(t *testing.T) { runWaitCell(t, c) })
			}
		}
	})
}

func runWaitCell(t *testing.T, c matrixCell) {
	s := &waitStage{clock: newFakeClock()}
	s.rig = newRig(t, withClock(s.clock), withPool(func(o *backend.PoolOptions) { o.MaxPerUser = 1 }),
		withScript(pooledMailbox(nil)), func(r *rig) {
			if isVanish(c) {
				r.settings.TCP = quickTCP
			}
		})
	s.holder = s.login("plain", "jane")
	s.c = s.dial("plain")
	s.c.send("in LOGIN jane %s", canary)
	s.clock.awaitTimer(t, timerPoolWait, s.target.Pool.WaitTimeout)
	s.await("the login to wait", func() bool { return s.server.Pools()[0].Waiting == 1 })
	end := waitReasons[c.Reason](s)
	s.endsWith(s.c, end)
	s.await("the queue to be empty", func() bool { return s.server.Pools()[0].Waiting == 0 })
	if c.Reason == "shutdown" {
		return // the holder has been asked to end, too
	}
	s.holder.send("n NOOP")
	s.holder.expect("n OK .*")
	s.holder.leaveByLogout()
	idle := 1
	if c.Reason == "reload" {
		idle = 0
	}
	s.awaitIdle(idle)
	s.await("the timers of the wait to be gone", func() bool { return s.clock.pending(timerPoolWait) == 0 })
}

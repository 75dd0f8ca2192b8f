package imapproxy

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend"
)

// The cells of the fault matrix in which a backend connection is in the pool's
// hands, or on its way there: there is no client. "X" is closed, with or without
// LOGOUT where that is a command; "L" is closed after LOGOUT.

// poolPhases bring a connection into a phase; limit is the timer of the phase.
var poolPhases = map[string]struct {
	enter func(s *poolStage)
	timer string
	limit time.Duration
}{
	"returning_to_pool": {(*poolStage).returning, timerReset, 2 * time.Second},
	"idle_in_pool":      {(*poolStage).lying, "", 0},
	"pool_health_check": {(*poolStage).checking, timerCheck, 2 * time.Second},
}

// poolReasons make a reason happen.
var poolReasons = map[string]func(s *poolStage){
	"b_fin":              func(s *poolStage) { _ = s.b.raw.CloseWrite() },
	"b_rst":              func(s *poolStage) { s.b.reset() },
	"b_vanish":           func(s *poolStage) { vanish(s.t, s.b.raw) },
	"b_protocol":         func(s *poolStage) { s.b.write(junk) },
	"timeout":            (*poolStage).timeout,
	"kick":               (*poolStage).kick,
	"shutdown":           (*poolStage).shutdown,
	"reload":             func(s *poolStage) { next := *s.settings; s.server.Reload(&next) },
	"panic_backend_side": func(s *poolStage) { s.goOn() },
	"panic_supervisor":   func(s *poolStage) { s.goOn() },
	"dns_fail":           func(s *poolStage) { s.goOn() },
}

// poolInterpretations are where the proxy does something else than the table
// says, and why that is right.
var poolInterpretations = map[string]struct{ backend, why string }{
	"idle_in_pool/reload":        {"L", "rule 8: the idle pool of the old generation is closed with LOGOUT"},
	"pool_health_check/reload":   {"X", "rule 8: it is the old generation's, and in the middle of a question"},
	"returning_to_pool/reload":   {"L", "rule 8: the return goes on, and ends in a pool that is closed"},
	"pool_health_check/dns_fail": {"=", "a question over an open socket looks up no name"},
}

// poolStage is one connection on its way.
type poolStage struct {
	*rig
	clock *fakeClock
	b     *backendConn
	hold  chan struct{} // closed to let the backend answer the proxy
	cell  matrixCell
	freed sync.Once
}

func newPoolStage(t *testing.T, c matrixCell) *poolStage {
	s := &poolStage{clock: newFakeClock(), cell: c, hold: make(chan struct{})}
	if c.Phase == "idle_in_pool" {
		s.free()
	}
	holding := pooledMailbox(func(b *backendConn, tag, rest string) bool {
		if rest == "NOOP" && strings.HasPrefix(tag, "P") && (c.Phase == "returning_to_pool" ||
			strings.Count(b.relayed(), "NOOP") > 1) {
			<-s.hold
		}
		return false
	})
	s.rig = newRig(t, withClock(s.clock), withPool(nil), withScript(holding), withTarget(func(target *backend.Target) {
		if isVanish(c) {
			target.TCP = quickTCP
		}
		if c.Reason == "pair" { // in most the backend does not answer LOGOUT any more
			target.Limits.Logout = 50 * time.Millisecond
		}
	}))
	t.Cleanup(s.free)
	return s
}

// free lets the backend's script end.
func (s *poolStage) free() { s.freed.Do(func() { close(s.hold) }) }

// goOn lets the backend answer.
func (s *poolStage) goOn() {
	s.free()
	if s.cell.Phase == "idle_in_pool" {
		s.upkeep(s.target.Pool.KeepAlive)
	}
}

func (s *poolStage) leave() {
	c := s.login("plain", "jane")
	s.b = s.backend.conn(0)
	c.leaveByLogout()
}

func (s *poolStage) lying() {
	s.leave()
	s.awaitIdle(1)
}

func (s *poolStage) returning() {
	s.leave()
	s.awaitQuestion()
}

// awaitQuestion waits until the backend is asked whether it is at rest.
func (s *poolStage) awaitQuestion() {
	s.await("the question", func() bool { return strings.HasSuffix(s.b.relayed(), "NOOP\r\n") })
}

func (s *poolStage) checking() {
	s.lying()
	s.upkeep(s.target.Pool.KeepAlive)
	s.await("the question", func() bool { return strings.Count(s.b.relayed(), "NOOP\r\n") == 2 })
}

// upkeep lets the time pass, and then the server look after its pools.
func (s *poolStage) upkeep(d time.Duration) {
	s.clock.awaitTimer(s.t, timerPools, poolsEvery)
	s.clock.advance(d + poolsEvery)
}

func (s *poolStage) timeout() {
	phase := poolPhases[s.cell.Phase]
	if phase.limit == 0 {
		s.upkeep(s.target.Pool.IdleTimeout)
		return
	}
	s.clock.awaitTimer(s.t, phase.timer, phase.limit)
	s.clock.fire(phase.timer)
}

func (s *poolStage) kick() {
	s.server.Kick(func(i SessionInfo) bool { return i.User == "jane" })
	s.await("the kick to have come through", func() bool {
		return s.notReused("kicked")+s.notReused("reset_failed") > 0 || s.cell.Phase == "pool_health_check"
	})
	if s.cell.Phase == "pool_health_check" { // one owner at a time: it ends after the question
		s.free()
	}
}

func (s *poolStage) shutdown() {
	over := s.drainBeside(context.Background())
	s.t.Cleanup(func() { // it may be last to see that all is over
		if err := s.drained(over); err != nil {
			s.t.Error(err)
		}
	})
}

// notice lets the server look at what is idle: so it learns of a fault there.
func (s *poolStage) notice() {
	if s.cell.Phase == "idle_in_pool" && strings.HasPrefix(s.cell.Reason, "b_") {
		s.await("the kernel to know", func() bool {
			s.upkeep(0)
			return s.idle() == 0
		})
	}
}

// TestMatrixPool runs the cells of the pool's own phases.
func TestMatrixPool(t *testing.T) {
	notQuick(t)
	stalled.run(t)
	rounds(t, func(t *testing.T) {
		for _, c := range readMatrix(t) {
			if poolPhases[c.Phase].enter == nil || isPanic(c) && !faultPoints {
				continue
			}
			t.Run(c.String(), func(t *testing.T) { runPoolCell(t, c) })
		}
	})
}

func runPoolCell(t *testing.T, c matrixCell) {
	if i, found := poolInterpretations[c.String()]; found {
		c.Backend = i.backend
	}
	s := newPoolStage(t, c)
	s.address("plain")
	s.await("the server's periodic work", func() bool {
		return s.clock.pending(timerPools) == 1 &&
			s.clock.pending(timerCensus) == 1
	})
	goroutines := s.underWay()
	poolPhases[c.Phase].enter(s)
	var f *fuse
	if isPanic(c) {
		f = arm(t, poolPanics[c.String()])
	}
	begun := time.Now()
	poolReasons[c.Reason](s)
	s.notice()
	if c.Backend == "=" {
		s.free()
		s.await("it to be idle again", func() bool { return s.idle() == 1 })
		return
	}
	if c.String() == "returning_to_pool/reload" {
		s.free()
	}
	s.await("the connection to be gone", func() bool {
		return s.server.dialer.Registry.Count() == 0 &&
			s.server.Sessions() == 0
	})
	if took := time.Since(begun); !isVanish(c) && took > logoutBound+goneBound {
		t.Errorf("gone after %v", took)
	}
	s.checkPool()
	loggedOut := strings.HasSuffix(s.b.relayed(), "X9 LOGOUT\r\n")
	if c.Backend == "L" && !loggedOut {
		t.Errorf("the backend gets %q, want LOGOUT at the end", s.b.relayed())
	}
	if f != nil && !f.has(poolPanics[c.String()]) {
		t.Errorf("the point %s was not passed", poolPanics[c.String()])
	}
	s.free()
	if isVanish(c) {
		s.b.reset() // its script still waits
	}
	s.await("the goroutines to be back", func() bool { return s.underWay() <= goroutines })
}

// checkPool looks whether every slot is free again.
func (s *poolStage) checkPool() {
	s.t.Helper()
	s.await("every slot to be free", func() bool {
		p := s.server.Pools()[0]
		return p.Leased+p.Idle+p.Checking+p.Resetting+p.Dialling+p.Ending+p.Waiting == 0
	})
}

// poolPanics are the fault points of the panic cells.
var poolPanics = map[string]string{
	"returning_to_pool/panic_backend_side": "backend.read",
	"returning_to_pool/panic_supervisor":   "pool.return",
	"idle_in_pool/panic_backend_side":      "pool.check",
	"idle_in_pool/panic_supervisor":        "pool.check",
	"pool_health_check/panic_backend_side": "backend.read",
	"pool_health_check/panic_supervisor":   "pool.checked",
}

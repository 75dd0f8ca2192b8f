package imapproxy

import (
	"slices"
	"sync"
	"testing"
)

// poolShot is one of two reasons that come at the same instant, while the
// backend connection is on its way back to the pool and the client, which has
// read the answer to its LOGOUT, has not closed yet.
type poolShot struct {
	name  string
	fire  func(s *poolStage, c *testClient)
	point string // where it panics, "" for no panic
	spare bool   // it does not touch the connection, which the pool gets in the end
}

var poolShots = []poolShot{
	{"cFIN", func(_ *poolStage, c *testClient) { _ = c.raw.CloseWrite() }, "", true},
	{"cRST", func(_ *poolStage, c *testClient) { c.reset() }, "", true},
	{"bFIN", func(s *poolStage, _ *testClient) { _ = s.b.raw.CloseWrite() }, "", false},
	{"bRST", func(s *poolStage, _ *testClient) { s.b.reset() }, "", false},
	{"time", func(s *poolStage, _ *testClient) { s.clock.fire(timerReset) }, "", false},
	{"kick", func(s *poolStage, _ *testClient) { s.server.Kick(func(SessionInfo) bool { return true }) }, "", false},
	{"term", func(s *poolStage, _ *testClient) { s.shutdown() }, "", false},
	{"panB", func(s *poolStage, _ *testClient) { s.free() }, poolPanics["returning_to_pool/panic_backend_side"], false},
	{"panS", func(s *poolStage, _ *testClient) { s.free() }, poolPanics["returning_to_pool/panic_supervisor"], false},
}

// TestMatrixPoolPairs is rule 4 in returning_to_pool: each two of the reasons
// at one instant. Both sockets go, or the pool has the backend's; no slot is
// taken after it, and no descriptor is closed but the session's own.
func TestMatrixPoolPairs(t *testing.T) {
	notQuick(t)
	stalled.run(t)
	ran := 0
	for i, a := range poolShots {
		for _, b := range poolShots[i+1:] {
			if !faultPoints && a.point+b.point != "" {
				continue
			}
			ran++
			t.Run("returning_to_pool "+a.name+"+"+b.name, func(t *testing.T) {
				for range *pairRepeats {
					runPoolPair(t, a, b)
				}
			})
		}
	}
	if !faultPoints {
		t.Logf("%d pairs ran; those with a panic need the fault points: make matrix", ran)
	} else if ran != 36 {
		t.Errorf("%d pairs ran, want 36", ran)
	}
}

// runPoolPair fires both shots.
func runPoolPair(t *testing.T, a, b poolShot) {
	s := newPoolStage(t, matrixCell{Phase: "returning_to_pool", Reason: "pair"})
	s.address("plain")
	s.await("the server's periodic work", func() bool {
		return s.clock.pending(timerPools) == 1 &&
			s.clock.pending(timerCensus) == 1
	})
	goroutines := s.underWay()
	c := s.halfLeft()
	if points := slices.DeleteFunc([]string{a.point, b.point}, func(p string) bool { return p == "" }); len(
		points) > 0 {
		arm(t, points...)
		defer disarm() // before the next round's session
	}
	watch := startCanaries(t)
	var both sync.WaitGroup
	start := make(chan struct{})
	for _, x := range []poolShot{a, b} {
		both.Go(func() { <-start; x.fire(s, c) })
	}
	close(start)
	both.Wait()
	if a.spare && b.spare {
		s.free()
	} else {
		s.await("the connection to be gone", func() bool { return s.server.dialer.Registry.Count() == 0 })
	}
	c.close()
	s.free()
	s.await("no session", func() bool { return s.server.Sessions() == 0 })
	watch()
	if got := s.endOf(c).str("reason"); got != string(endLogout) {
		t.Errorf("the reason is %q, want %q: it came first", got, endLogout)
	}
	s.afterPair(a.spare && b.spare, goroutines)
	s.finish()
}

// halfLeft brings the connection on its way back; the client has read all and
// keeps its socket open.
func (s *poolStage) halfLeft() *testClient {
	s.t.Helper()
	c := s.login("plain", "jane")
	s.b = s.backend.conn(0)
	c.send("out LOGOUT")
	c.expect(`\* BYE Logging out`)
	c.expect(`out OK .*`)
	s.awaitQuestion()
	return c
}

// afterPair looks whether all is as before: kept says that the pool has the
// connection, and then the next session gets it.
func (s *poolStage) afterPair(kept bool, goroutines int) {
	s.t.Helper()
	if kept {
		s.awaitIdle(1)
		s.login("plain", "jane").leaveByLogout()
		s.awaitIdle(1)
		if n := len(s.backend.all()); n != 1 {
			s.t.Errorf("%d connections, want the one that was kept", n)
		}
		return
	}
	s.checkPool()
	s.b.close() // its script may still wait
	s.await("the goroutines to be back", func() bool { return s.underWay() <= goroutines })
}

package imapproxy

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// shot is one of two reasons that come at the same instant. It must bear that
// the other one was faster.
type shot struct {
	name  string
	fire  func(*stage)
	ends  []endReason
	point string // where it panics, "" for no panic
}

var shots = []shot{
	{"cFIN", func(s *stage) { _ = s.c.raw.CloseWrite() }, []endReason{endClientClosed}, ""},
	{"cRST", func(s *stage) { s.c.reset() }, []endReason{endClientAborted}, ""},
	{"bFIN", func(s *stage) { _ = s.b.raw.CloseWrite() }, []endReason{endBackendClosed}, ""},
	{"bRST", func(s *stage) { s.b.reset() }, []endReason{endBackendAborted}, ""},
	{"time", timePasses, []endReason{endIdleTimeout, endHalfClose}, ""},
	{"kick", func(s *stage) { s.server.Kick(func(SessionInfo) bool { return true }) }, []endReason{endKicked}, ""},
	{"term", func(s *stage) { s.over = s.drainBeside(context.Background()) }, []endReason{endShutdown}, ""},
	{"panC", func(s *stage) { _, _ = s.c.raw.Write([]byte("6")) }, []endReason{endPanic}, "relay.up.write"},
	{"panB", func(s *stage) { s.b.write("m") }, []endReason{endPanic}, "relay.down.write"},
}

// timePasses lets the limits pass, whatever the session does meanwhile.
func timePasses(s *stage) {
	s.clock.advance(stageIdle)
	for range 5 {
		time.Sleep(2 * time.Millisecond) // for the server to see it, if it still looks; either way must do
		s.clock.advance(sweepEvery)
	}
}

// TestMatrixPairs is rule 4: each two of the reasons at one instant, in the
// relay and in a literal either way; TestMatrixPoolPairs is of the fourth phase. Both sockets go, everything
// is as before,
// the logged reason is one of the two, and no descriptor is closed but
// the session's own.
func TestMatrixPairs(t *testing.T) {
	notQuick(t)
	stalled.run(t)
	ran := 0
	for _, phase := range []string{"relay_idle", "relay_literal_c2s", "relay_literal_s2c"} {
		for i, a := range shots {
			for _, b := range shots[i+1:] {
				if !faultPoints && a.point+b.point != "" {
					continue
				}
				ran++
				t.Run(phase+" "+a.name+"+"+b.name, func(t *testing.T) {
					for range *pairRepeats {
						runPair(t, phase, a, b)
					}
				})
			}
		}
	}
	if !faultPoints {
		t.Logf("%d pairs ran; those with a panic need the fault points: make matrix", ran)
	} else if ran != 3*36 {
		t.Errorf("%d pairs ran, want 36 in each of 3 phases", ran)
	}
}

// runPair fires both shots.
func runPair(t *testing.T, phase string, a, b shot) {
	s := newStage(t, matrixCell{Phase: phase, Reason: "pair"})
	s.phase.enter(s)
	if points := slices.DeleteFunc([]string{a.point, b.point}, func(p string) bool { return p == "" }); len(
		points) > 0 {
		arm(t, points...)
		defer disarm() // before the next round's session
	}
	watch := startCanaries(t)
	s.begin()
	var both sync.WaitGroup
	start := make(chan struct{})
	for _, x := range []shot{a, b} {
		both.Go(func() { <-start; x.fire(s) })
	}
	close(start)
	both.Wait()
	s.carryOn()
	got, _ := s.c.rest()
	s.c.close()
	s.checkWords(got)
	s.checkGone()
	watch()
	s.end = s.oneOf(slices.Concat(a.ends, b.ends))
	s.checkEnd()
	s.checkBack()
	s.finish()
}

// carryOn does what client and backend would do next, where the shots by themselves do
// not end the session: the literal's rest, then the limits of those who asked.
func (s *stage) carryOn() {
	s.t.Helper()
	over := func() bool { return s.ses.interrupter.why() != "" }
	for end := time.Now().Add(20 * time.Millisecond); !over() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if over() {
		return
	}
	s.begin()
	if s.cell.Phase == "relay_literal_s2c" {
		s.b.write(s.second + ")\r\na OK fetched\r\n")
	}
	for end := time.Now().Add(20 * time.Millisecond); !over() && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	for !over() && s.clock.fire(timerKick)+s.clock.fire(timerDrain) == 0 {
		time.Sleep(time.Millisecond)
	}
}

// checkWords looks for lines of the proxy's own where only the other side's
// bytes may stand.
func (s *stage) checkWords(got string) {
	s.t.Helper()
	relayed := s.b.relayed()
	switch s.cell.Phase {
	case "relay_literal_s2c":
		if at := strings.Index(got, "* BYE"); at >= 0 && !strings.HasPrefix(got, "mmmmm)\r\n") {
			s.t.Errorf("BYE inside a literal: %q", got)
		}
	case "relay_literal_c2s":
		if strings.Contains(relayed, "LOGOUT") {
			s.t.Errorf("LOGOUT inside a literal: %q", relayed)
		}
	}
}

// oneOf returns the logged reason, which must be one of several.
func (s *stage) oneOf(reasons []endReason) endReason {
	s.t.Helper()
	got := endReason(s.endOf(s.c).str("reason"))
	if !slices.Contains(reasons, got) {
		s.t.Errorf("the reason is %q, want one of %q\n%s", got, reasons, s.log.text())
	}
	return got
}

// startCanaries keeps opening descriptors: their numbers are the ones that
// have just become free, so one who closes twice closes a canary. The returned
// function looks at them and closes them.
func startCanaries(t *testing.T) (check func()) {
	t.Helper()
	type canary struct {
		file  *os.File
		inode uint64
	}
	var opened []canary
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for len(opened) < 64 {
			r, w, err := os.Pipe()
			if err != nil {
				t.Errorf("pipe: %v", err)
				return
			}
			opened = append(opened, canary{r, inodeOf(r)}, canary{w, inodeOf(w)})
			select {
			case <-stop:
				return
			case <-time.After(500 * time.Microsecond):
			}
		}
	}()
	return func() {
		t.Helper()
		close(stop)
		<-over
		for _, c := range opened {
			if got := inodeOf(c.file); got != c.inode || got == 0 {
				t.Errorf("a descriptor of somebody else was closed: inode %d is now %d", c.inode, got)
			}
			if err := c.file.Close(); err != nil {
				t.Errorf("a descriptor of somebody else: %v", err)
			}
		}
	}
}

// inodeOf asks the kernel, 0 when the descriptor is closed.
func inodeOf(f *os.File) uint64 {
	rc, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	var st syscall.Stat_t
	_ = rc.Control(func(fd uintptr) {
		if err := syscall.Fstat(int(fd), &st); err != nil {
			st.Ino = 0
		}
	})
	return st.Ino
}

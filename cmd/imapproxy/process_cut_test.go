package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDrainCut stops the proxy under clients that never come to the end of
// their literals: those are cut at the limit, or at once by a second SIGTERM.
func TestDrainCut(t *testing.T) {
	for _, tt := range []struct {
		name, limit, why string
		before, within   time.Duration // of the end, after the last signal
		signals          int
	}{
		{"limit", "3s", "the drain limit was reached", 3 * time.Second, 4 * time.Second, 1},
		{"second SIGTERM", "1h", "a second signal: terminated", 0, 4 * time.Second, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newCrowd(t, len(states()), beyondBuffers, `drain_timeout = "`+tt.limit+`"`)
			p, _ := r.serve(t)
			guests := r.inEveryState(t)
			stuck := inState(guests, midAppend, midFetch)
			signalled := time.Now()
			try(t, "signal", p.cmd.Process.Signal(syscall.SIGTERM))
			r.othersLeave(t, inState(guests, relayIdle, inIDLE), len(stuck))
			if tt.signals == 2 {
				signalled = time.Now()
				try(t, "second signal", p.cmd.Process.Signal(syscall.SIGTERM))
			}
			// Who is within a message reads on when it is over: it would come to
			// the end otherwise.
			appending := inState(stuck, midAppend)
			no(t, "clients that append",
				all(len(appending), func(i int) error { return appending[i].bye(byeShutdown) }))
			if early := time.Since(signalled); early < tt.before {
				t.Errorf("clients were cut %v after SIGTERM, the limit is %v", early, tt.before)
			}
			p.ends(t, signalled, tt.within)
			fetching := inState(stuck, midFetch)
			no(t, "clients that fetch", all(len(fetching), func(i int) error { return fetching[i].cutShort() }))
			r.noSockets(t)
			noSessions(t, r.One, r.Two)
			r.onlyWhole(t, 0)
			p.ended(t, 0, guests, always("shutdown"))
			if text := p.text(t); !strings.Contains(text, `"sessions":6,"why":"`+tt.why) {
				t.Errorf("the log does not say that 6 sessions were cut, nor why:\n%s", text)
			}
		})
	}
}

// inState are the guests in one of the states.
func inState(guests []*guest, wanted ...state) []*guest {
	return slices.DeleteFunc(slices.Clone(guests), func(g *guest) bool { return !slices.Contains(wanted, g.state) })
}

// othersLeave reads the BYE of guests who are not in a literal, and checks
// that so many sessions go on.
func (r *crowd) othersLeave(t *testing.T, guests []*guest, left int) {
	t.Helper()
	no(t, "clients", all(len(guests), func(i int) error { return guests[i].bye(byeShutdown) }))
	eventually(t, "sessions", func() (bool, string) {
		sessions, err := r.sessions()
		return err == nil && len(sessions) == left, fmt.Sprint(sessions, err)
	})
}

package rigtest

import (
	"testing"
	"time"
)

// Limits of polls.
const (
	PollLimit = 3 * time.Minute // the machine may be busy
	PollEvery = 10 * time.Millisecond
	stayFor   = 10 // polls that must all be good: what is passed through on the way to closing does not count
)

// Eventually polls until check returns nil.
func Eventually(t *testing.T, check func() error) {
	t.Helper()
	eventuallyFor(t, 1, check)
}

// EventuallyStays polls until check has returned nil stayFor times in a row.
func EventuallyStays(t *testing.T, check func() error) {
	t.Helper()
	eventuallyFor(t, stayFor, check)
}

func eventuallyFor(t *testing.T, times int, check func() error) {
	t.Helper()
	tick := time.NewTicker(PollEvery)
	defer tick.Stop()
	limit := time.NewTimer(PollLimit)
	defer limit.Stop()
	for good := 0; ; {
		err := check()
		if good++; err != nil {
			good = 0
		}
		if good == times {
			return
		}
		select {
		case <-limit.C:
			t.Fatalf("not so for %d polls in a row within %v: %v", times, PollLimit, err)
		case <-tick.C:
		}
	}
}

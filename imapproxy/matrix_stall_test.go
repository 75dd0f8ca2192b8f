package imapproxy

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// stallMeter adds up how long this process could not run while it wanted to:
// how long its threads have waited for a processor, by the kernel's word, and
// how late a goroutine is that wants to wake every few milliseconds, as when the
// whole machine stands still.
type stallMeter struct{ late atomic.Int64 }

var stalled = &stallMeter{}

func (m *stallMeter) total(t testing.TB) time.Duration {
	t.Helper()
	return time.Duration(m.late.Load()) + waitedForProcessor(t)
}

// waitedForProcessor is the sum over the threads; see schedstat in proc(5).
func waitedForProcessor(t testing.TB) time.Duration {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		t.Fatal(err)
	}
	var sum time.Duration
	for _, name := range files {
		var ran, waited time.Duration
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		if _, err := fmt.Sscan(string(text), &ran, &waited); err != nil {
			t.Fatalf("%s: %q: %v", name, text, err)
		}
		sum += waited
	}
	return sum
}

// run measures until the test is over.
func (m *stallMeter) run(t testing.TB) {
	const step = 2 * time.Millisecond
	stop, over := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-over })
	go func() {
		defer close(over)
		for last := time.Now(); ; {
			select {
			case <-stop:
				return
			case <-time.After(step):
			}
			now := time.Now()
			m.late.Add(int64(max(0, now.Sub(last)-2*step)))
			last = now
		}
	}()
}

package backend

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"imapproxy/backend/wire"
)

// eventually polls until check is content, and fails with its last words.
func eventually(tb testing.TB, check func() error) {
	tb.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	tb.Fatal(err)
}

// socketCount counts the process's sockets.
func socketCount(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Skipf("needs /proc: %v", err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// noSocketsLeft fails when there are more sockets than before.
func noSocketsLeft(tb testing.TB, before int) {
	tb.Helper()
	eventually(tb, func() error {
		if now := socketCount(tb); now > before {
			return fmt.Errorf("%d sockets, %d before", now, before)
		}
		return nil
	})
}

// link is a connection by its two addresses.
type link struct{ local, remote string }

// gone fails unless the kernel's table soon holds nothing of the connections, on
// neither side, but TIME_WAIT. Reading the table takes the kernel 10 ms or more.
func gone(tb testing.TB, links ...link) {
	tb.Helper()
	ended := map[link]bool{}
	for _, l := range links {
		ended[l], ended[link{l.remote, l.local}] = true, true
	}
	eventually(tb, func() error {
		for _, e := range socketTable(tb) {
			if l := (link{e.Local.String(), e.Remote.String()}); ended[l] && e.State != wire.StateTimeWait {
				return fmt.Errorf("%v is still in the kernel's table, in state %s", l, e.State)
			}
		}
		return nil
	})
}

func socketTable(tb testing.TB) []wire.TableEntry {
	tb.Helper()
	table, err := wire.ReadTable("/proc/self/net")
	if err != nil {
		tb.Fatal(err)
	}
	return table
}

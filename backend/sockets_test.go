package backend

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// eventually polls until check is content, and fails with its last words.
func eventually(tb testing.TB, check func() error) {
	tb.Helper()
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
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

// gone fails unless the kernel's table soon holds nothing of a connection, on
// neither side, but TIME_WAIT.
func gone(tb testing.TB, local, remote string) {
	tb.Helper()
	a, b := procAddr(tb, local), procAddr(tb, remote)
	eventually(tb, func() error {
		for _, e := range tcpTable(tb) {
			between := e.local == a && e.remote == b || e.local == b && e.remote == a
			if between && e.state != "06" {
				return fmt.Errorf("%s to %s is still in the kernel's table, in state %s", local, remote, e.state)
			}
		}
		return nil
	})
}

// tcpEntry is a line of /proc/net/tcp; states as in include/net/tcp_states.h.
type tcpEntry struct{ local, remote, state string }

func tcpTable(tb testing.TB) []tcpEntry {
	tb.Helper()
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		tb.Skipf("needs /proc: %v", err)
	}
	defer f.Close()
	var table []tcpEntry
	for s := bufio.NewScanner(f); s.Scan(); {
		if w := strings.Fields(s.Text()); len(w) > 3 && w[0] != "sl" {
			table = append(table, tcpEntry{w[1], w[2], w[3]})
		}
	}
	return table
}

// procAddr writes an IPv4 address and port as /proc/net/tcp does on a
// little-endian machine.
func procAddr(tb testing.TB, addr string) string {
	tb.Helper()
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	ip := ap.Addr().As4()
	return fmt.Sprintf("%02X%02X%02X%02X:%04X", ip[3], ip[2], ip[1], ip[0], ap.Port())
}

//go:build !linux

package imapproxy

import (
	"syscall"
	"testing"
)

// Peers vanish by a socket filter, which is Linux's.

func drop(t testing.TB, _ syscall.Conn) {
	t.Skip("SKIPPED: a peer can be made to vanish on Linux alone")
}

func vanish(t testing.TB, _ syscall.Conn) { drop(t, nil) }

func (s *stage) hearAgain() { drop(s.t, nil) }

func unacknowledged(t *testing.T, _ *testClient) int { drop(t, nil); return 0 }

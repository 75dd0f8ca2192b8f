//go:build !faultpoints

package imapproxy

import "testing"

// faultPoints reports whether the fault points are built in.
const faultPoints = false

// fuse needs them.
type fuse struct{}

// arm needs them.
func arm(t testing.TB, _ ...string) *fuse {
	t.Helper()
	t.Fatal("the fault points are not built in: -tags faultpoints")
	return nil
}

// disarm has nothing to do.
func disarm() {}

func (*fuse) has(string) bool { return false }

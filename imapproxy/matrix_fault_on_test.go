//go:build faultpoints

package imapproxy

import (
	"slices"
	"sync"
	"testing"

	"imapproxy/backend"
)

// faultPoints tells whether the fault points are built in.
const faultPoints = true

// fuse panics once at each of its points, wherever in the process that is.
type fuse struct {
	mu    sync.Mutex // protects all
	left  []string
	blown []string
}

// arm sets the fuse; it is taken out at the test's end.
func arm(t testing.TB, points ...string) *fuse {
	t.Helper()
	f := &fuse{left: slices.Clone(points)}
	at := f.pass
	backend.Fault.Store(&at)
	t.Cleanup(func() { backend.Fault.Store(nil) })
	return f
}

func (f *fuse) pass(name string) {
	f.mu.Lock()
	i := slices.Index(f.left, name)
	if i >= 0 {
		f.left = slices.Delete(f.left, i, i+1)
		f.blown = append(f.blown, name)
	}
	f.mu.Unlock()
	if i >= 0 {
		panic("a fault at " + name)
	}
}

// has tells whether it has panicked at a point.
func (f *fuse) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.blown, name)
}

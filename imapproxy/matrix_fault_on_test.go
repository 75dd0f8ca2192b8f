//go:build faultpoints

package imapproxy

import (
	"slices"
	"sync"
	"testing"

	"imapproxy/backend/fault"
)

// faultPoints reports whether the fault points are built in.
const faultPoints = true

// fuse panics once at each of its points, wherever in the process that is.
type fuse struct {
	mu    sync.Mutex // protects all
	left  []string
	blown []string
	seen  map[string]int // every point that was passed
}

// arm sets the fuse; it is taken out at the test's end.
func arm(t testing.TB, points ...string) *fuse {
	t.Helper()
	f := &fuse{left: slices.Clone(points), seen: map[string]int{}}
	at := f.pass
	fault.Handler.Store(&at)
	t.Cleanup(disarm)
	return f
}

// disarm takes any fuse out.
func disarm() { fault.Handler.Store(nil) }

func (f *fuse) pass(name string) {
	f.mu.Lock()
	f.seen[name]++
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

// count is how many points were passed so far, those of the rounds of loops left out.
func (f *fuse) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for name, times := range f.seen {
		if name != "loop.round" { // the clock looks into the loops all the time
			n += times
		}
	}
	return n
}

// passed reports whether a point was passed.
func (f *fuse) passed(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[name] > 0
}

// has reports whether it has panicked at a point.
func (f *fuse) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.blown, name)
}

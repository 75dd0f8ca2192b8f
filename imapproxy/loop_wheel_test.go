package imapproxy

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestWheel holds the wheel against a map of times: what has been set comes at
// the first tick after its time, once, and what was removed does not come.
func TestWheel(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	var w wheel
	w.init(start)
	relays := make([]relay, 100)
	want := map[*relay]time.Time{}
	now := start
	for range 20000 {
		r := &relays[random.IntN(len(relays))]
		switch random.IntN(4) {
		case 0:
			w.remove(r)
			delete(want, r)
		case 1:
			now = now.Add(time.Duration(random.IntN(5000)) * time.Millisecond)
			for _, due := range w.advance(now) {
				at, set := want[due]
				if !set || now.Before(at) {
					t.Fatalf("at %v a relay comes that is set for %v (%v)", now.Sub(start), at.Sub(start), set)
				}
				delete(want, due)
			}
			for _, at := range want {
				if late := now.Sub(at); late >= 2*sweepEvery {
					t.Fatalf("at %v one is %v late", now.Sub(start), late)
				}
			}
		default:
			at := now.Add(time.Duration(random.IntN(600)) * time.Second)
			w.set(r, at)
			want[r] = at
		}
	}
}

// TestWheelFar sets a time beyond the wheel: it comes early, to be set again; and
// a clock that jumps brings all there is.
func TestWheelFar(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var w wheel
	w.init(start)
	var far, near relay
	w.set(&far, start.Add(24*time.Hour))
	w.set(&near, start) // long over: the next tick
	if due := w.advance(start.Add(sweepEvery)); len(due) != 1 || due[0] != &near {
		t.Errorf("the next tick gives %d relays", len(due))
	}
	if due := w.advance(start.Add((wheelSlots - 2) * sweepEvery)); len(due) != 0 {
		t.Error("the far one comes too early")
	}
	if due := w.advance(start.Add(wheelSlots * sweepEvery)); len(due) != 1 || due[0] != &far {
		t.Errorf("once round the wheel there are %d relays", len(due))
	}
	w.set(&far, start.Add(25*time.Hour))
	w.set(&near, start.Add(26*time.Hour))
	if due := w.advance(start.Add(1000 * time.Hour)); len(due) != 2 {
		t.Errorf("after a jump there are %d relays, want both", len(due))
	}
}

// BenchmarkWheel moves one of 10,000 relays, as each event may.
func BenchmarkWheel(b *testing.B) {
	start := time.Now()
	var w wheel
	w.init(start)
	relays := make([]relay, 10000)
	for i := range relays {
		w.set(&relays[i], start.Add(time.Duration(i)*100*time.Millisecond))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.set(&relays[i%len(relays)], start.Add(time.Duration(i%1800)*time.Second))
		i++
	}
}

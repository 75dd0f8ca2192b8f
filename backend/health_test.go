package backend

import (
	"testing"
	"time"

	"imapproxy/backend/timing"
)

// TestHealthKnowsWhoseFaultItIs blames no backend for a shortage of our own.
func TestHealthKnowsWhoseFaultItIs(t *testing.T) {
	d := &Dialer{Clock: timing.System{}}
	target := &Target{Name: "one"}
	for range 2 * strikesOut {
		d.judge(target, "one a", &Error{Kind: KindLocal}, 0)
	}
	if err := d.health.mayTry("one a", time.Now()); err != nil {
		t.Errorf("after faults of ours: %v", err)
	}
	for range strikesOut {
		d.judge(target, "one a", &Error{Kind: kindConnect}, 0)
	}
	if err := d.health.mayTry("one a", time.Now()); err == nil {
		t.Error("after faults of the backend's it is tried at once")
	}
}

// TestHealthBacksOff doubles the pause, and lets one attempt through after it.
func TestHealthBacksOff(t *testing.T) {
	var h health
	now := time.Unix(1_000_000, 0)
	for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		16 * time.Second, 30 * time.Second, 30 * time.Second} {
		h.failed("a", &Error{Kind: KindTimeout}, now)
		if h.mayTry("a", now.Add(pause-time.Millisecond)) == nil {
			t.Errorf("tried within the pause of %v", pause)
		}
		now = now.Add(pause)
		if err := h.mayTry("a", now); err != nil {
			t.Errorf("not tried after the pause of %v: %v", pause, err)
		}
		if h.mayTry("a", now) == nil {
			t.Error("a second attempt while the first runs")
		}
	}
	h.undecided("a")
	if err := h.mayTry("a", now); err != nil {
		t.Errorf("an attempt that said nothing blocks the next: %v", err)
	}
	h.good("a")
	h.failed("a", &Error{Kind: kindConnect}, now)
	if err := h.mayTry("a", now); err != nil {
		t.Errorf("one quick failure after a success: %v", err)
	}
}

package config

import (
	"testing"
	"time"
)

// TestBoundsOf returns the bounds of keys with and without a default, in
// sections of each depth.
func TestBoundsOf(t *testing.T) {
	if got, want := BoundsOf[int]("limits.sessions"), (Bounds[int]{1, 1_000_000, 10_000}); got != want {
		t.Errorf("limits.sessions: %v, want %v", got, want)
	}
	for key, want := range map[string]Bounds[time.Duration]{
		"auth.http.timeout":            {100 * time.Millisecond, time.Minute, 10 * time.Second},
		"listener.client_idle_timeout": {time.Second, 8760 * time.Hour, 0},
	} {
		if got := BoundsOf[time.Duration](key); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a key that there is not has bounds")
		}
	}()
	BoundsOf[int]("limits.nothing")
}

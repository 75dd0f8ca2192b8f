package wire

import (
	"testing"
	"time"
)

// TestGoneAfter says how long a peer may leave bytes and probes without an
// answer: what is written, else what the probes take.
func TestGoneAfter(t *testing.T) {
	for _, tt := range []struct {
		options TCPOptions
		want    time.Duration
	}{
		{TCPOptions{}, 0},
		{TCPOptions{UserTimeout: 7 * time.Second}, 7 * time.Second},
		{TCPOptions{KeepAliveIdle: time.Minute, KeepAliveInterval: 10 * time.Second, KeepAliveCount: 6},
			2 * time.Minute},
		{TCPOptions{KeepAliveIdle: 10 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 3},
			25 * time.Second},
		{TCPOptions{KeepAliveIdle: 10 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 3,
			UserTimeout: 2 * time.Minute}, 2 * time.Minute},
		{TCPOptions{KeepAliveIdle: 10 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 3,
			UserTimeout: time.Second}, time.Second},
		// The kernel takes whole seconds for probes, rounded up.
		{TCPOptions{KeepAliveIdle: 1500 * time.Millisecond, KeepAliveInterval: 1001 * time.Millisecond,
			KeepAliveCount: 2}, 6 * time.Second},
		{TCPOptions{KeepAliveIdle: time.Second, KeepAliveInterval: time.Second, KeepAliveCount: 1}, 2 * time.Second},
		{TCPOptions{KeepAliveIdle: 2 * time.Hour, KeepAliveInterval: 10 * time.Minute, KeepAliveCount: 127},
			23*time.Hour + 10*time.Minute},
		// What is left to the system is not known.
		{TCPOptions{KeepAliveInterval: 5 * time.Second, KeepAliveCount: 3}, 0},
		{TCPOptions{KeepAliveIdle: 10 * time.Second, KeepAliveCount: 3}, 0},
		{TCPOptions{KeepAliveIdle: 10 * time.Second, KeepAliveInterval: 5 * time.Second}, 0},
	} {
		if got := tt.options.GoneAfter(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.options, got, tt.want)
		}
	}
}

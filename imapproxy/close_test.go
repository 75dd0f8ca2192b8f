package imapproxy

import (
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend/timing"
)

// admitClock holds up the loop that makes a session.
type admitClock struct {
	timing.System
	once          sync.Once
	reached, free chan struct{}
}

// Now implements timing.Clock.
func (c *admitClock) Now() time.Time {
	if strings.Contains(string(debug.Stack()), ").newSession(") {
		c.once.Do(func() { close(c.reached); <-c.free })
	}
	return c.System.Now()
}

// TestCloseAwaitsTheListeners: a client that is being let in as the server closes still has a loop, which ends its
// session.
func TestCloseAwaitsTheListeners(t *testing.T) {
	clock := &admitClock{reached: make(chan struct{}), free: make(chan struct{})}
	r := newRig(t, withClock(clock))
	c := r.connectRaw("plain")
	<-clock.reached
	over := make(chan struct{})
	go func() { defer close(over); r.server.Close() }()
	select {
	case <-r.server.life.Done():
		t.Error("the server takes itself for empty")
	case <-time.After(100 * time.Millisecond): // it can't be
	}
	close(clock.free)
	c.expect(`\* BYE .*`)
	c.close()
	<-over
	if n := r.server.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

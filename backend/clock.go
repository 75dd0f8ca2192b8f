package backend

import (
	"context"
	"time"
)

// Timer is a call that has been put off.
type Timer interface {
	// Stop prevents the call; false when it has been made or stopped before.
	Stop() bool
}

// Clock is where limits take their time from; tests put a fake one in.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) Timer
}

// SystemClock is the machine's own clock.
type SystemClock struct{}

// Now is time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (SystemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// Within returns a context that ends with cause after d by the clock. The
// returned function frees the timer and must be called.
func Within(ctx context.Context, c Clock, d time.Duration, cause error) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := c.AfterFunc(d, func() { cancel(cause) })
	return ctx, func() { t.Stop(); cancel(context.Canceled) }
}

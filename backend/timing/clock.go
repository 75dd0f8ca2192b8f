// Package timing is the clock that limits go by, with timers that have names.
package timing

import (
	"context"
	"time"
)

// Timer is a call that has been put off.
type Timer interface {
	// Stop prevents the call; false when it has been made or stopped before.
	Stop() bool
}

// Clock is the source of time of all limits; tests use a fake one.
type Clock interface {
	Now() time.Time

	// AfterFunc calls f after d, as time.AfterFunc does. The name says what the
	// timer is for; the clock of a test finds a timer by it.
	AfterFunc(name string, d time.Duration, f func()) Timer
}

// System is the machine's own clock.
type System struct{}

// Now is time.Now.
func (System) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc; the name is not used.
func (System) AfterFunc(_ string, d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// Within returns a context that ends with cause when a timer of the clock, with
// the name given, has run for d. The returned function frees the timer and must
// be called.
func Within(ctx context.Context, c Clock, name string, d time.Duration, cause error) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := c.AfterFunc(name, d, func() { cancel(cause) })
	return ctx, func() { t.Stop(); cancel(context.Canceled) }
}

package loop

import (
	"context"

	"imapproxy/backend/timing"
)

// Do runs a job as a task of a loop of its own, in the caller's goroutine, and returns when the job
// and all tasks that it has started are over. The end of ctx interrupts the job. The error is that of
// New.
func Do(ctx context.Context, clock timing.Clock, job func(ctx context.Context)) error {
	l, err := New(clock)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	defer l.dropSpare()
	t := l.Go(func(t *Task) { job(t) })
	defer context.AfterFunc(ctx, t.Interrupt)()
	for l.tasks > 0 {
		l.Round()
	}
	return nil
}

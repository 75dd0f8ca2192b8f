package loop

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// TestOutside returns what its function does: an error, or a panic.
func TestOutside(t *testing.T) {
	l, _ := byHand(t)
	failed := errors.New("failed")
	var err error
	var caught any
	l.Go(func(task *Task) {
		err = Outside(context.WithValue(task, taskKey{}, task), func(ctx context.Context) error {
			if Of(ctx) != nil || ctx.Err() != nil {
				t.Errorf("outside, the context belongs to %p, %v", Of(ctx), ctx.Err())
			}
			return failed
		})
		defer func() { caught = recover() }()
		_ = task.Outside(func(context.Context) error { panic("outside") })
	})
	until(t, l, "the end of the task", func() bool { return l.Tasks() == 0 })
	if err != failed || caught != "outside" || l.outside.running != 0 {
		t.Errorf("%v, %v, %d still run", err, caught, l.outside.running)
	}
	if err := Outside(t.Context(), func(ctx context.Context) error { return ctx.Err() }); err != nil {
		t.Errorf("without a loop: %v", err)
	}
}

// TestOutsideBound has more tasks than may be outside: the others wait their turn, and one that is interrupted
// meanwhile leaves the queue without having run.
func TestOutsideBound(t *testing.T) {
	const more = 3
	l, _ := byHand(t)
	gate := make(chan struct{})
	var running, most, ran atomic.Int64
	var tasks []*Task
	interrupted := 0
	for range maxOutside + more {
		tasks = append(tasks, l.Go(func(task *Task) {
			err := task.Outside(func(context.Context) error {
				defer running.Add(-1)
				if n := running.Add(1); n > most.Load() {
					most.Store(n)
				}
				ran.Add(1)
				<-gate
				return nil
			})
			if err != nil {
				interrupted++
			}
		}))
	}
	until(t, l, "256 outside", func() bool { return running.Load() == maxOutside })
	if n := len(l.outside.waiting); n != more {
		t.Errorf("%d wait, want %d", n, more)
	}
	tasks[maxOutside+1].Interrupt()
	turn(l)
	if n := len(l.outside.waiting); n != more-1 || interrupted != 1 {
		t.Errorf("%d wait, %d are interrupted", n, interrupted)
	}
	close(gate)
	until(t, l, "the end of the tasks", func() bool { return l.Tasks() == 0 })
	if most.Load() != maxOutside || ran.Load() != maxOutside+more-1 || l.outside.running != 0 {
		t.Errorf("%d at once, %d in all, %d still run", most.Load(), ran.Load(), l.outside.running)
	}
}

// TestOutsideIsNotLeft stays until its function is over, whatever wakes the task.
func TestOutsideIsNotLeft(t *testing.T) {
	l, _ := byHand(t)
	gate, over := make(chan struct{}), false
	task := l.Go(func(task *Task) {
		_ = task.Outside(func(context.Context) error { <-gate; return nil })
		over = true
	})
	turn(l)
	task.Interrupt()
	l.Set(&Timer{Do: task}, l.Now().Add(-time.Second))
	turn(l)
	if over {
		t.Error("it has left what still runs")
	}
	close(gate)
	until(t, l, "the end of the task", func() bool { return over })
}

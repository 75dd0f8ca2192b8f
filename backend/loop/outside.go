package loop

import (
	"context"
	"slices"
	"time"
)

// outside is what runs in goroutines for the tasks of a loop.
type outside struct {
	running int
	waiting []*Task // for one of them to end
}

// maxOutside bounds the goroutines of a loop.
const maxOutside = 256

// Outside runs f, which may block or takes long, outside the loop that ctx belongs to, and
// returns its error when it is over; see Task.Outside. Where ctx belongs to no loop, f is just run.
func Outside(ctx context.Context, f func(ctx context.Context) error) error {
	if t := Of(ctx); t != nil {
		return t.Outside(f)
	}
	return f(ctx)
}

// elsewhere is the context of what runs outside the loop: it ends as the task does, and belongs to no loop.
type elsewhere struct{ *Task }

// Value implements context.Context.
func (e elsewhere) Value(key any) any {
	if _, ok := key.(taskKey); ok {
		return nil
	}
	return e.Task.Value(key)
}

// Outside runs f in a goroutine, for f may block or takes long, and waits until it is over, also
// when the task is interrupted: its context ends then. A panic in f comes out of Outside. At most
// 256 run at once for a loop; further ones wait. The error is f's, or that of an interruption while
// it waits: f is not run then.
func (t *Task) Outside(f func(ctx context.Context) error) error {
	if err := t.goOutside(); err != nil {
		return err
	}
	l, over := t.loop, false
	var err error
	var failed any
	go func() {
		defer func() {
			failed = recover()
			l.Post(Func(func() {
				over = true
				l.outsideEnds()
				t.Run()
			}))
		}()
		err = f(elsewhere{t})
	}()
	for !over {
		t.co.yield(struct{}{})
	}
	if failed != nil {
		panic(failed)
	}
	return err
}

// Leave goes on with the task itself in a goroutine until Return, for what takes long and can't be made a
// function for Outside. Meanwhile the task may not wait, and what belongs to the loop is not its to touch. At
// most 256 are outside at once for a loop; further ones wait. After an error it is still in the loop.
func (t *Task) Leave() error {
	if err := t.goOutside(); err != nil {
		return err
	}
	t.leaving = true
	t.co.yield(struct{}{})
	return nil
}

// Leave is Task.Leave for the task that ctx belongs to. Where it belongs to none, nothing happens.
func Leave(ctx context.Context) error {
	if t := Of(ctx); t != nil {
		return t.Leave()
	}
	return nil
}

// Endless returns a context that belongs to the task but does not end with it: crypto/tls starts a goroutine for
// each that can end.
func (t *Task) Endless() context.Context {
	return context.WithValue(context.Background(), taskKey{}, t)
}

// leave has a goroutine go on with a task that leaves.
func (t *Task) leave() {
	t.leaving, t.away = false, true
	go func() {
		defer func() {
			failed := recover() // that the job has not recovered; it has ended the coroutine, too
			t.loop.Post(Func(func() {
				t.away = false
				t.loop.outsideEnds()
				if failed != nil {
					t.finish()
					panic(failed)
				}
				t.Run()
			}))
		}()
		t.co.next()
	}()
}

// Return goes on in the loop after Leave. In the loop it does nothing.
func (t *Task) Return() {
	if t.away {
		t.co.yield(struct{}{})
	}
}

// goOutside waits until the task may have a goroutine.
func (t *Task) goOutside() error {
	o := &t.loop.outside
	if o.running < maxOutside {
		o.running++
		return nil
	}
	o.waiting = append(o.waiting, t)
	for slices.Contains(o.waiting, t) {
		if err := t.Pause("outside", time.Time{}); err != nil {
			o.waiting = slices.DeleteFunc(o.waiting, func(x *Task) bool { return x == t })
			return err
		}
	}
	return nil
}

// outsideEnds hands the place of a goroutine that has ended to the next task.
func (l *Loop) outsideEnds() {
	o := &l.outside
	if len(o.waiting) == 0 {
		o.running--
		return
	}
	next := o.waiting[0]
	o.waiting = o.waiting[1:]
	l.Soon(next)
}

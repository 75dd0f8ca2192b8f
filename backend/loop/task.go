package loop

import (
	"context"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"imapproxy/backend/wire"
)

// Task is a job that a loop runs as a coroutine: sequential code in the loop's goroutine, which
// gives way to the loop where it waits. It is the context of what the job calls, and ends
// when it is interrupted.
//
// Its methods belong to the job. Wake, Interrupt and those of context.Context may be called
// by any goroutine.
type Task struct {
	loop  *Loop
	co    *coroutine  // nil before and after
	job   func(*Task) // nil once it is over
	timer Timer       // ends a wait
	by    time.Time   // when the present wait ends at the latest; zero for never
	ended time.Time   // the last by that has come

	interrupted atomic.Bool
	deaf        bool // see Undisturbed
	givesWay    bool // see GiveWay
	leaving     bool // see Leave
	away        bool // it runs outside the loop

	mu     sync.Mutex // protects what follows; nothing blocks under it
	inner  context.Context
	cancel context.CancelFunc
}

// coroutine runs one task after the other. It is made of iter.Pull: next runs it until it
// yields.
type coroutine struct {
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	task  *Task
}

// maxSpare is how many coroutines without a task a loop keeps.
const maxSpare = 64

func newCoroutine() *coroutine {
	c := &coroutine{}
	c.next, c.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.yield = yield
		for more := true; more; {
			c.task.job(c.task)
			c.task.co = nil
			more = yield(struct{}{})
		}
	})
	return c
}

// TrimSpare ends the coroutines that have not been needed since the last call: each has a stack.
func (l *Loop) TrimSpare() {
	for _, c := range l.spare[:l.unused] {
		c.stop()
	}
	l.spare = slices.Delete(l.spare, 0, l.unused)
	l.unused = len(l.spare)
}

// dropSpare ends all coroutines that wait for a task.
func (l *Loop) dropSpare() {
	l.unused = len(l.spare)
	l.TrimSpare()
}

// Go starts a job in this round.
func (l *Loop) Go(job func(*Task)) *Task {
	t := &Task{loop: l, job: job}
	t.timer.Do = (*deadline)(t)
	l.tasks++
	l.Soon(t)
	return t
}

// start has a coroutine run the job.
func (t *Task) start() {
	l := t.loop
	if n := len(l.spare); n > 0 {
		t.co, l.spare = l.spare[n-1], l.spare[:n-1]
		l.unused = min(l.unused, n-1)
	} else {
		t.co = newCoroutine()
	}
	t.co.task = t
}

// Run begins the job or goes on with it; it looks again at what it waits for. The loop calls it.
func (t *Task) Run() {
	if t.job == nil || t.away {
		return // it is over, or looks when it is back
	}
	if t.co == nil {
		t.start()
	}
	c := t.co
	returned := false
	defer func() {
		if !returned { // a panic that the job has not recovered has ended the coroutine, too
			t.finish()
		}
	}()
	c.next()
	returned = true
	if t.leaving {
		t.leave()
		return
	}
	if t.co == nil {
		c.task = nil
		t.finish()
		if len(t.loop.spare) < maxSpare {
			t.loop.spare = append(t.loop.spare, c)
		} else {
			c.stop()
		}
	}
}

// finish is the last that happens to a task.
func (t *Task) finish() {
	t.co, t.job = nil, nil
	t.loop.tasks--
	t.loop.Stop(&t.timer)
}

// Ready goes on with the job: it is the Watcher of the wires that it waits for.
func (t *Task) Ready(*wire.Wire, wire.Events) { t.Run() }

// Loop returns the loop that runs the task.
func (t *Task) Loop() *Loop { return t.loop }

// Await waits for an event of a wire, up to its deadline. It is what a wire waits by.
func (t *Task) Await(w *wire.Wire) error {
	if err := t.loop.poller.Want(w); err != nil {
		return err
	}
	return t.Pause(w.Limit())
}

// Pause waits until something may have happened: an event, a Wake, the end of another wait.
// Who calls it looks whether it has. The error is os.ErrDeadlineExceeded once by has come, the
// zero time being never, and context.Canceled when the task has been interrupted. The name says
// what is waited for.
func (t *Task) Pause(name string, by time.Time) error {
	if err := t.Err(); err != nil && !t.deaf {
		return err
	}
	t.by, t.timer.Name = by, name
	if !by.IsZero() {
		if by.Equal(t.ended) || !by.After(t.loop.now) {
			return os.ErrDeadlineExceeded
		}
		if !t.timer.IsSet() || !by.Equal(t.timer.at) {
			t.loop.Set(&t.timer, by)
		}
	}
	t.co.yield(struct{}{})
	t.timer.Name = ""
	return nil
}

// deadline is a task whose wait has lasted as long as it may.
type deadline Task

// Run goes on with the job. The timer may be that of an earlier wait.
func (d *deadline) Run() {
	if t := (*Task)(d); !t.by.IsZero() {
		t.ended = t.by
		t.Run()
	}
}

// Sleep waits for d; the error is that of an interruption.
func (t *Task) Sleep(name string, d time.Duration) error {
	end := t.loop.now.Add(d)
	for {
		if err := t.Pause(name, end); err == os.ErrDeadlineExceeded {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// GiveWay lets the loop take its other events first. Those of the task do not end it.
func (t *Task) GiveWay() {
	t.givesWay = true
	t.loop.Later((*nextTurn)(t))
	for t.givesWay {
		t.co.yield(struct{}{})
	}
}

// nextTurn is a task that gives way.
type nextTurn Task

// Run goes on with the job.
func (x *nextTurn) Run() {
	x.givesWay = false
	(*Task)(x).Run()
}

// Wake ends a wait of the task.
func (t *Task) Wake() { t.loop.Post(t) }

// Interrupt ends the context, and every wait from now on.
func (t *Task) Interrupt() {
	if t.interrupted.Swap(true) {
		return
	}
	t.mu.Lock()
	cancel := t.cancel
	t.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	t.Wake()
}

// Undisturbed runs f, whose waits an interruption does not end.
func (t *Task) Undisturbed(f func()) {
	defer func(before bool) { t.deaf = before }(t.deaf)
	t.deaf = true
	f()
}

// Deadline implements context.Context; there is none.
func (t *Task) Deadline() (time.Time, bool) { return time.Time{}, false }

// Err implements context.Context.
func (t *Task) Err() error {
	if t.interrupted.Load() {
		return context.Canceled
	}
	return nil
}

// Done implements context.Context. The channel is made when it is asked for: only what runs
// outside the loop needs it.
func (t *Task) Done() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inner == nil {
		t.inner, t.cancel = context.WithCancel(context.Background())
		if t.interrupted.Load() {
			t.cancel()
		}
	}
	return t.inner.Done()
}

// taskKey is what Value returns the task for.
type taskKey struct{}

// Value implements context.Context. It returns the task itself for Of, and what package
// context needs to derive others without a goroutine.
func (t *Task) Value(key any) any {
	if _, ok := key.(taskKey); ok {
		return t
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inner == nil {
		return nil
	}
	return t.inner.Value(key)
}

// Of returns the task that ctx belongs to, nil when it belongs to none.
func Of(ctx context.Context) *Task {
	t, _ := ctx.Value(taskKey{}).(*Task)
	return t
}

// garbageSize is how much a task throws away at a time.
const garbageSize = 16 << 10

// Discard reads from r and throws it away, up to most bytes or an error, such as io.EOF. It returns how many
// bytes it has read. The tasks of a loop share the memory, so thousands that wait for an end need none.
func (t *Task) Discard(r io.Reader, most int) (n int, err error) {
	if t.loop.garbage == nil {
		t.loop.garbage = make([]byte, garbageSize)
	}
	for n < most && err == nil {
		var read int
		read, err = r.Read(t.loop.garbage)
		n += read
	}
	return n, err
}

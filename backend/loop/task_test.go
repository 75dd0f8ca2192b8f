package loop

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// waits are all the ways in which a task waits, each until it is interrupted. quiet is a wire whose peer
// says nothing.
var waits = []struct {
	name string
	wait func(t *Task, quiet *wire.Wire) error
}{
	{"a socket", func(t *Task, quiet *wire.Wire) error {
		_, err := quiet.Read(make([]byte, 1))
		return err
	}},
	{"a socket with a limit", func(t *Task, quiet *wire.Wire) error {
		quiet.SetLimit("test", t.Loop().Now().Add(time.Hour))
		_, err := quiet.Read(make([]byte, 1))
		return err
	}},
	{"Sleep", func(t *Task, _ *wire.Wire) error { return t.Sleep("test", time.Hour) }},
	{"Pause", func(t *Task, _ *wire.Wire) error {
		for {
			if err := t.Pause("test", time.Time{}); err != nil {
				return err
			}
		}
	}},
	{"Outside", func(t *Task, _ *wire.Wire) error {
		return t.Outside(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
	}},
	{"the queue of Outside", func(t *Task, _ *wire.Wire) error {
		t.loop.outside.running += maxOutside
		defer func() { t.loop.outside.running -= maxOutside }()
		return t.Outside(func(context.Context) error { return errors.New("it has run") })
	}},
}

// TestInterrupt interrupts a task in each of its waits, and before it.
func TestInterrupt(t *testing.T) {
	for _, w := range waits {
		for _, before := range []bool{false, true} {
			t.Run(w.name, func(t *testing.T) {
				l, _ := byHand(t)
				quiet := quietWire(t, l)
				var err error
				task := l.Go(func(task *Task) {
					quiet.WaitBy(task)
					quiet.WatchBy(task)
					err = w.wait(task, quiet)
				})
				if !before {
					turn(l)
					task.Wake() // for nothing: it goes on waiting
					turn(l)
				}
				if l.Tasks() != 1 {
					t.Fatalf("it does not wait: %v", err)
				}
				go task.Interrupt()
				until(t, l, "the end of the task", func() bool { return l.Tasks() == 0 })
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the wait ended by %v", err)
				}
				if l.outside.running != 0 || len(l.outside.waiting) != 0 || len(l.timers) != 0 {
					t.Errorf("left over: %d outside, %d for it, %d timers", l.outside.running, len(l.outside.waiting),
						len(l.timers))
				}
			})
		}
	}
}

// quietWire returns a wire in the loop, and closes it at the end.
func quietWire(tb testing.TB, l *Loop) *wire.Wire {
	tb.Helper()
	a, b := wirePair(tb)
	if err := l.Add(a); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		l.Remove(a)
		_, _ = a.Close(), b.Close()
	})
	return a
}

// TestUndisturbed lets a task end its waits in spite of an interruption, which it learns of after that.
func TestUndisturbed(t *testing.T) {
	l, clock := byHand(t)
	var inside, after error
	begun, slept := clock.Now(), time.Duration(0)
	task := l.Go(func(task *Task) {
		task.Undisturbed(func() {
			task.Undisturbed(func() {})
			inside = task.Sleep("test", time.Second)
			slept = clock.Now().Sub(begun)
		})
		after = task.Sleep("test", time.Second)
	})
	turn(l)
	task.Interrupt()
	turn(l)
	if slept != 0 || task.Err() != context.Canceled {
		t.Errorf("it has slept for %v; its error is %v", slept, task.Err())
	}
	clock.advance(time.Second)
	turn(l)
	if inside != nil || slept != time.Second || after != context.Canceled {
		t.Errorf("%v, %v after %v", inside, after, slept)
	}
}

// TestPause ends waits by time: each by its own limit, whatever else happens in the same round.
func TestPause(t *testing.T) {
	l, clock := byHand(t)
	begun := l.Now()
	after := func(seconds int) time.Time { return begun.Add(time.Duration(seconds) * time.Second) }
	var ends []time.Duration
	task := l.Go(func(task *Task) {
		_ = task.Pause("first", after(1)) // a Wake ends it when its time has come
		for _, by := range []time.Time{after(3), after(3), after(-1), after(5)} {
			for task.Pause("next", by) == nil {
			}
			ends = append(ends, l.Now().Sub(begun))
		}
		turned := false
		l.Soon(Func(func() { turned = true }))
		if err := task.Pause("past", after(4)); err != os.ErrDeadlineExceeded || turned {
			t.Errorf("with a limit in the past: %v, others have had their turn: %v", err, turned)
		}
		l.Soon(task)
		if err := task.Pause("left early", after(6)); err != nil {
			t.Error(err)
		}
		if err := task.Pause("", time.Time{}); err != nil {
			t.Errorf("without a limit: %v", err)
		}
	})
	for range 7 {
		turn(l)
		clock.advance(time.Second)
		if clock.Now().Equal(after(1)) {
			l.Soon(task)
		}
	}
	turn(l)
	want := []time.Duration{3 * time.Second, 3 * time.Second, 3 * time.Second, 5 * time.Second}
	if !slices.Equal(ends, want) {
		t.Errorf("the waits ended after %v, want %v", ends, want)
	}
	if l.Tasks() != 1 {
		t.Error("the limit of an earlier wait has ended one without a limit")
	}
	task.Wake()
	turn(l)
}

// TestSleep sleeps as long as it says, whatever wakes it.
func TestSleep(t *testing.T) {
	l, clock := byHand(t)
	over := false
	task := l.Go(func(task *Task) { over = task.Sleep("test", 3*time.Second) == nil })
	for i := range 4 {
		if over != (i > 3) {
			t.Errorf("after %d s it is over: %v", i, over)
		}
		turn(l)
		task.Wake()
		clock.advance(time.Second)
	}
	turn(l)
	if !over {
		t.Error("it still sleeps")
	}
}

// TestPanic ends only the task that panics: what else the round has to do comes in the next one.
func TestPanic(t *testing.T) {
	l, _ := byHand(t)
	ran := ""
	l.Go(func(*Task) { ran += "a" })
	l.Go(func(task *Task) { task.GiveWay(); panic("at once") })
	l.Go(func(task *Task) { task.GiveWay(); ran += "b" })
	for range 8 {
		func() {
			defer func() {
				if p := recover(); p != nil {
					ran += p.(string)
				}
			}()
			turn(l)
		}()
	}
	if ran != "aat onceb" {
		t.Errorf("%q has run", ran)
	}
}

// TestManyTasks has more tasks at once than coroutines that are kept.
func TestManyTasks(t *testing.T) {
	l, _ := byHand(t)
	for range 3 {
		over := 0
		for range 2 * maxSpare {
			l.Go(func(task *Task) { task.GiveWay(); over++ })
		}
		turn(l)
		if over != 2*maxSpare || len(l.spare) != maxSpare {
			t.Errorf("%d are over, %d coroutines are kept", over, len(l.spare))
		}
	}
	for i, kept := range []int{maxSpare, 1, 1, 0} {
		if l.TrimSpare(); len(l.spare) != kept {
			t.Errorf("after %d looks %d coroutines are kept, not %d", i+1, len(l.spare), kept)
		}
		if i < 2 {
			l.Go(func(task *Task) { task.GiveWay() })
			turn(l)
		}
	}
}

// TestEnd ends a loop although a task waits, which does not go on.
func TestEnd(t *testing.T) {
	l, _ := byHand(t)
	goesOn := false
	task := l.Go(func(task *Task) { _ = task.Pause("", time.Time{}); goesOn = true })
	turn(l)
	task.Wake()
	l.End()
	first, second := l.Round(), l.Round()
	if first || second || goesOn || l.Tasks() != 1 {
		t.Errorf("the task goes on: %v", goesOn)
	}
	task.Run() // so that no coroutine is left
}

// TestTaskIsContext asks a task, and contexts made of it, what they are.
func TestTaskIsContext(t *testing.T) {
	type key struct{}
	l, _ := byHand(t)
	task := l.Go(func(task *Task) { _ = task.Sleep("test", time.Hour) })
	before := runtime.NumGoroutine()
	if _, has := task.Deadline(); has || task.Err() != nil || task.Value(key{}) != nil {
		t.Errorf("has a deadline: %v; %v, %v", has, task.Err(), task.Value(key{}))
	}
	early, cancel := context.WithCancel(context.WithValue(task, key{}, "value"))
	defer cancel()
	if n := runtime.NumGoroutine(); n != before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	if Of(early) != task || Of(elsewhere{task}) != nil || Of(t.Context()) != nil || early.Value(key{}) != "value" {
		t.Error("a context does not know its task")
	}
	select {
	case <-task.Done():
		t.Error("it is done")
	default:
	}
	turn(l)
	task.Interrupt()
	task.Interrupt()
	late, cancel := context.WithCancel(task)
	defer cancel()
	all := map[string]context.Context{"task": task, "early": early, "late": late, "outside": elsewhere{task}}
	for name, ctx := range all {
		<-ctx.Done()
		if ctx.Err() != context.Canceled || context.Cause(ctx) != context.Canceled {
			t.Errorf("%s: %v, %v", name, ctx.Err(), context.Cause(ctx))
		}
	}
	turn(l)
	asked := l.Go(func(*Task) {}) // interrupted before anyone has asked for Done
	asked.Interrupt()
	<-asked.Done()
	turn(l)
}

// TestDo waits for a job and all that it starts, and passes the end of its context on.
func TestDo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var err error
	over, helper := false, false
	failed := Do(ctx, timing.System{}, func(ctx context.Context) {
		helping := Of(ctx).Loop().Go(func(task *Task) {
			for !over {
				_ = task.Pause("", time.Time{})
			}
			helper = task.Sleep("test", time.Millisecond) == nil
		})
		go cancel()
		err = Of(ctx).Sleep("test", time.Hour)
		over = true
		helping.Wake()
	})
	if failed != nil || err != context.Canceled || !helper {
		t.Errorf("%v, %v, the helper is over: %v", failed, err, helper)
	}
}

// TestLimitOfSocket ends a call at its limit.
func TestLimitOfSocket(t *testing.T) {
	l, clock := byHand(t)
	quiet := quietWire(t, l)
	var errs []error
	l.Go(func(task *Task) {
		quiet.WaitBy(task)
		quiet.WatchBy(task)
		for range 2 {
			quiet.SetLimit("test", l.Now().Add(time.Second))
			_, err := quiet.Read(make([]byte, 1))
			errs = append(errs, err)
		}
	})
	for i := range 3 {
		turn(l)
		if len(errs) != i {
			t.Errorf("after %d s: %v", i, errs)
		}
		clock.advance(time.Second)
	}
	for _, err := range errs {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	}
}

// TestDiscard reads to an end, to an error, and no more than a number of bytes.
func TestDiscard(t *testing.T) {
	l, _ := byHand(t)
	broken := errors.New("broken")
	for _, test := range []struct {
		r    io.Reader
		most int
		n    int
		err  error
	}{
		{strings.NewReader(strings.Repeat("x", 40_000)), 50_000, 40_000, io.EOF},
		{io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), 50_000, 3, broken},
		{strings.NewReader(strings.Repeat("x", 40_000)), garbageSize + 1, 2 * garbageSize, nil},
	} {
		l.Go(func(task *Task) {
			if n, err := task.Discard(test.r, test.most); n != test.n || err != test.err {
				t.Errorf("%d bytes and %v, want %d and %v", n, err, test.n, test.err)
			}
		})
		turn(l)
	}
}

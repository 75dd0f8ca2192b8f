package pool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, nil)
		a, b := y.lend(t, "a1"), y.lend(t, "a1")
		a.Fill(1)
		a.Verified()
		b.Fill(2)
		b.Verified()
		a.Return()
		b.Return()
		if r, holds := y.lend(t, "a1").Resource(); r != 2 || holds != Used {
			t.Errorf("resource %d (%d), want the one that came back last", r, holds)
		}
	})
}

// The clocks, exact to the second of Upkeep.
func TestLifetimes(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options[string, int])
		lasts  int // seconds
		why    string
	}{
		{"lifetime less its jitter", func(o *Options[string, int]) { o.MaxLifetime = 100 * time.Second }, 94,
			"1 lifetime"},
		{"idle", func(o *Options[string, int]) { o.IdleTimeout = 100 * time.Second }, 99, "1 idle_timeout"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				y := newYard(t, test.change)
				y.leave(t, "a1", 1)
				y.upkeep(test.lasts)
				y.expectEnded(t)
				y.upkeep(1)
				y.expectEnded(t, test.why)
			})
		})
	}
}

// A resource past its lifetime is never taken from its borrower.
func TestLifetimeOfALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.MaxLifetime = time.Minute })
		l := y.lend(t, "a1")
		l.Fill(1)
		l.Verified()
		y.upkeep(3600)
		y.expectEnded(t)
		if l.Return() {
			t.Error("idle after its lifetime")
		}
		y.expectEnded(t, "1 lifetime")
	})
}

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.KeepAlive = 60 * time.Second })
		y.leave(t, "a1", 1)
		y.slow = 500 * time.Millisecond
		y.upkeep(59)
		time.Sleep(time.Second)
		y.Upkeep()
		if s := y.Stats(); s.Checking != 1 || s.Idle != 0 {
			t.Errorf("%+v, want it checked", s)
		}
		l := y.lend(t, "a1")
		if _, holds := l.Resource(); holds != Nothing {
			t.Errorf("holds %d, want a place: nobody may have the one under check", holds)
		}
		l.Discard("")
		time.Sleep(time.Second)
		if s := y.Stats(); s.Checking != 0 || s.Idle != 1 {
			t.Errorf("%+v, want it idle again", s)
		}
		y.bad = true
		y.upkeep(62)
		y.expectEnded(t, "1 check_failed")
	})
}

// One that is dropped while it is checked ends once the check is over: a
// resource has one owner at a time.
func TestDropDuringCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.KeepAlive = time.Second })
		y.leave(t, "a1", 1)
		y.slow = 5 * time.Second
		time.Sleep(time.Second)
		y.Upkeep()
		if n := y.Drop(func(key string) bool { return key == "a1" }, "refused"); n != 1 {
			t.Errorf("%d dropped, want 1", n)
		}
		y.expectEnded(t)
		time.Sleep(20 * time.Second)
		y.expectEnded(t, "1 refused")
	})
}

func TestSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.Spare, o.SpareLifetime = 2, time.Minute })
		y.upkeep(1)
		if s := y.Stats(); s.Spare != 2 {
			t.Fatalf("%+v, want 2 spare ones", s)
		}
		l := y.lend(t, "a1")
		if r, holds := l.Resource(); r != 1002 || holds != Spare {
			t.Errorf("resource %d (%d), want the newest spare one", r, holds)
		}
		l.Verified()
		if _, holds := l.Resource(); holds != Used {
			t.Errorf("holds %d after Verified", holds)
		}
		l.ReturnSpare()
		if s := y.Stats(); s.Spare != 2 || s.Users != 0 {
			t.Errorf("%+v, want it back among the spare ones", s)
		}
		y.upkeep(60)
		y.expectEnded(t, "1001 idle_timeout", "1002 idle_timeout")
		if s := y.Stats(); s.Spare != 2 {
			t.Errorf("%+v, want 2 new spare ones", s)
		}
	})
}

// What stirs is checked at once, and only that.
func TestStirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.HasInput = func(r int) bool { return r == 1 } })
		y.leave(t, "a1", 1)
		y.leave(t, "b1", 2)
		y.bad = true
		y.upkeep(1)
		y.expectEnded(t, "1 check_failed")
	})
}

// A verified key makes all of its idle resources good again.
func TestAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, nil)
		y.leave(t, "a1", 1)
		holds := func(age time.Duration) Holding {
			l, err := y.Acquire(waits(context.Background()), "a1", age)
			if err != nil {
				t.Fatal(err)
			}
			_, h := l.Resource()
			if h == Used {
				l.Return()
			} else {
				l.Discard("")
			}
			return h
		}
		time.Sleep(59 * time.Second)
		if h := holds(time.Minute); h != Used {
			t.Errorf("holds %d within the age", h)
		}
		if h := holds(0); h != Nothing {
			t.Errorf("holds %d with age 0", h)
		}
		time.Sleep(time.Second)
		if h := holds(time.Minute); h != Nothing {
			t.Errorf("holds %d past the age", h)
		}
		l, err := y.Acquire(waits(context.Background()), "a1", 0)
		if err != nil {
			t.Fatal(err)
		}
		l.Fill(2)
		l.Verified()
		time.Sleep(59 * time.Second)
		if h := holds(time.Minute); h != Used {
			t.Errorf("holds %d, want the older one, verified by the other's login", h)
		}
	})
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, nil)
		first, _ := y.lend(t, "a1"), y.lend(t, "a1")
		got := make(chan error, 4)
		wait := func(ctx context.Context) {
			_, err := y.Acquire(waits(ctx), "a1", AnyAge)
			got <- err
		}
		ctx, cancel := context.WithCancelCause(context.Background())
		go wait(ctx)
		synctest.Wait()
		go wait(context.Background())
		synctest.Wait()
		if _, err := y.Acquire(waits(context.Background()), "a1", AnyAge); err != ErrQueueFull {
			t.Errorf("%v, want the queue to be full", err)
		}
		gone := errors.New("the client left")
		cancel(gone)
		if err := <-got; err != gone {
			t.Errorf("%v, want the context's cause", err)
		}
		y.lend(t, "b1") // another user is not held up
		before := time.Now()
		first.Discard("")
		if err := <-got; err != nil || time.Since(before) > 0 {
			t.Errorf("%v after %s, want the place at once", err, time.Since(before))
		}
		go wait(context.Background())
		if err := <-got; err != ErrWaitTimeout || time.Since(before) != 30*time.Second {
			t.Errorf("%v after %s, want the time to wait to be over", err, time.Since(before))
		}
		if s := y.Stats(); s.Waiting != 0 {
			t.Errorf("%+v, want nobody to wait", s)
		}
	})
}

// A place that is handed over as its taker leaves is the next one's.
func TestHandedOverTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.MaxTotal = 1 })
		l := y.lend(t, "a1")
		l.Fill(1)
		l.Verified()
		ctx, cancel := context.WithCancel(context.Background())
		w := y.ask(waits(ctx), "a1", AnyAge)
		next := make(chan error, 1)
		go func() {
			_, err := y.Acquire(waits(context.Background()), "b1", AnyAge)
			next <- err
		}()
		synctest.Wait()
		l.Return()
		cancel()
		if w.item == nil || ctx.Err() == nil {
			t.Fatal("nothing has been handed over")
		}
		(&Lease[string, int]{pool: y.Pool, item: w.item}).giveBack()
		if err := <-next; err != nil {
			t.Error(err)
		}
		y.expectEnded(t, "1 evicted")
	})
}

// Close does not wait, ends what is idle at a bounded rate, and Hurry ends
// the rest at once.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.MaxTotal, o.MaxPerUser = 10, 10 })
		lent := y.lend(t, "b1")
		lent.Fill(99)
		y.slow = time.Second
		before := time.Now()
		y.Close()
		y.Close()
		if time.Since(before) != 0 {
			t.Errorf("Close took %s", time.Since(before))
		}
		if _, err := y.Acquire(waits(context.Background()), "a1", AnyAge); err != ErrClosed {
			t.Errorf("%v, want ErrClosed", err)
		}
		if lent.Return() {
			t.Error("idle in a closed pool")
		}
		<-y.Done()
	})
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.MaxTotal, o.MaxPerUser = 10, 10 })
		var lent []*Lease[string, int]
		for i := range 8 {
			l := y.lend(t, "a1")
			l.Fill(i)
			l.Verified()
			lent = append(lent, l)
		}
		for _, l := range lent {
			l.Return()
		}
		y.slow = time.Second
		y.Close()
		time.Sleep(1500 * time.Millisecond)
		if s := y.Stats(); s.Ending != 6 {
			t.Errorf("%+v, want 2 ended", s)
		}
		begun := time.Now()
		y.Hurry()
		<-y.Done()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("done after %s, want the rest to be ended at once", took)
		}
	})
}

// MaxIdle is over all users, and the least recently used goes.
func TestLeastRecentlyUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newYard(t, func(o *Options[string, int]) { o.MaxIdle, o.MaxTotal = 2, 10 })
		y.leave(t, "a1", 1)
		y.leave(t, "b1", 2)
		y.lend(t, "a1").Return()
		y.leave(t, "c1", 3)
		y.expectEnded(t, "2 evicted")
	})
}

// TestRace has goroutines borrow, return, drop and close at once; a resource
// that two of them hold is a failure, and so is one that never ends.
func TestRace(t *testing.T) {
	var held, ended sync.Map
	y := newYard(t, func(o *Options[string, int]) {
		o.MaxWaiting, o.WaitTimeout = 100, time.Second
		o.End = func(_ context.Context, r int, _ string) {
			if _, twice := ended.LoadOrStore(r, true); twice {
				t.Errorf("%d ended twice", r)
			}
			if _, lent := held.Load(r); lent {
				t.Errorf("%d ended while it was lent", r)
			}
		}
		o.KeepAlive = time.Nanosecond
	})
	var next sync.Mutex
	made := 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(j%7)*100*time.Microsecond)
				l, err := y.Acquire(waits(ctx), keys[(i+j)%len(keys)], AnyAge)
				cancel()
				if err != nil {
					continue
				}
				r, holds := l.Resource()
				if holds == Nothing {
					next.Lock()
					made++
					r = made
					next.Unlock()
					l.Fill(r)
					l.Verified()
				}
				if _, twice := held.LoadOrStore(r, true); twice {
					t.Errorf("%d is lent twice", r)
				}
				held.Delete(r)
				switch j % 5 {
				case 0:
					ended.Store(r, true)
					l.Discard("test")
				case 1:
					y.Drop(func(key string) bool { return key == keys[j%len(keys)] }, "dropped")
					l.Return()
				default:
					l.Resetting()
					l.Return()
				}
				if j%10 == 0 {
					y.Upkeep()
				}
			}
		})
	}
	all.Wait()
	y.Close()
	select {
	case <-y.Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("not done: %+v", y.Stats())
	}
	y.busy.Wait()
	n := 0
	ended.Range(func(any, any) bool { n++; return true })
	if n != made {
		t.Errorf("%d of %d resources ended", n, made)
	}
}

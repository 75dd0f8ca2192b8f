package pool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// yard is a pool on the clock of a synctest bubble, whose resources are numbers.
type yard struct {
	*Pool[string, int]
	mu    sync.Mutex
	ended []string
	made  int
	busy  sync.WaitGroup
	slow  time.Duration // how long an ending or a check takes
	most  int           // endings at once
	now   int
	bad   bool // checks fail
}

func newYard(t *testing.T, change func(*Options[string, int])) *yard {
	t.Helper()
	y := &yard{}
	o := Options[string, int]{
		User: userOf, MaxIdle: 10, MaxPerUser: 2, MaxTotal: 3, MaxWaiting: 2, MaxEndings: 2, MaxChecks: 1,
		WaitTimeout: 30 * time.Second, Now: time.Now, Random: func() float64 { return 0.5 },
		Aside: func(f func(context.Context)) { y.busy.Go(func() { f(context.Background()) }) },
		End:   y.end,
		Check: y.check,
		Open: func(context.Context) (int, error) {
			y.mu.Lock()
			defer y.mu.Unlock()
			y.made++
			return 1000 + y.made, nil
		},
	}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	y.Pool = p
	return y
}

func (y *yard) end(_ context.Context, r int, why string) {
	y.mu.Lock()
	y.now++
	y.most = max(y.most, y.now)
	slow := y.slow
	y.mu.Unlock()
	time.Sleep(slow)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.now--
	y.ended = append(y.ended, fmt.Sprint(r, " ", why))
}

func (y *yard) check(context.Context, int) error {
	time.Sleep(y.slow)
	if y.bad {
		return errors.New("no answer")
	}
	return nil
}

func (y *yard) lend(t *testing.T, key string) *Lease[string, int] {
	t.Helper()
	l, err := y.Acquire(waits(context.Background()), key, AnyAge)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// leave makes a resource of a key and leaves it idle.
func (y *yard) leave(t *testing.T, key string, r int) {
	t.Helper()
	l := y.lend(t, key)
	l.Fill(r)
	l.Verified()
	if !l.Return() {
		t.Fatalf("%d is not idle after its return", r)
	}
}

// upkeep does what the owner does each second.
func (y *yard) upkeep(seconds int) {
	for range seconds {
		time.Sleep(time.Second)
		y.Upkeep()
	}
	synctest.Wait()
}

func (y *yard) expectEnded(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	y.mu.Lock()
	defer y.mu.Unlock()
	slices.Sort(y.ended) // they are ended side by side
	if !slices.Equal(y.ended, want) {
		t.Errorf("ended %q, want %q", y.ended, want)
	}
}

// waiting is a Waiter that is a goroutine.
type waiting struct {
	context.Context
	woken chan struct{}
}

func waits(ctx context.Context) waiting { return waiting{ctx, make(chan struct{}, 1)} }

// Err implements Waiter.
func (w waiting) Err() error { return context.Cause(w.Context) }

// Wake implements Waiter.
func (w waiting) Wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// Pause implements Waiter.
func (w waiting) Pause(_ string, by time.Time) error {
	limit := time.NewTimer(time.Until(by))
	defer limit.Stop()
	select {
	case <-w.woken:
		return nil
	case <-limit.C:
		return os.ErrDeadlineExceeded
	case <-w.Done():
		return w.Err()
	}
}

package pool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// pair is the same caller, lease or work in the pool and in the model.
type pairAsk struct {
	w *waiter[string, int]
	a *asker
}

type pairLease struct {
	l *Lease[string, int]
	t *thing
}

// machine drives a pool and its model alike. What the pool does aside waits
// until the test lets it go on, so that it comes at any moment.
type machine struct {
	p *Pool[string, int]
	m *model

	asks   []pairAsk
	leases []pairLease
	work   []func()     // of the pool's, not yet run
	ended  []string     // the resources that the pool has ended
	checks []*thing     // the model's, in the order in which they began
	opens  []*thing     // likewise
	errs   map[int]bool // ids whose check fails
	fail   bool         // the next spare can't be opened
	last   int          // id
	checkd int          // id that was checked last
	opened int
	steps  int // that would have closed the pool
	life   int // after how many it is closed
}

func newMachine(t *rapid.T) *machine {
	x := &machine{errs: map[int]bool{}}
	// rapid likes small numbers
	upTo := func(n int, what string) int { return n - rapid.IntRange(0, n-1).Draw(t, what) }
	x.life = rapid.SampledFrom([]int{1000, 100, 30, 5}).Draw(t, "life")
	x.m = &model{now: time.Unix(1e9, 0)}
	x.m.o = Options[string, int]{
		User: userOf, MaxIdle: upTo(6, "MaxIdle"), MaxPerUser: upTo(4, "MaxPerUser"), MaxTotal: upTo(8, "MaxTotal"),
		MaxWaiting: upTo(5, "MaxWaiting"), MaxEndings: upTo(3, "MaxEndings"), MaxChecks: upTo(3, "MaxChecks"),
		WaitTimeout: time.Minute, MaxLifetime: time.Hour, IdleTimeout: 10 * time.Minute, KeepAlive: time.Minute,
		Spare: upTo(3, "Spare") - 1, SpareLifetime: 2 * time.Minute,
		Now: func() time.Time { return x.m.now }, Random: func() float64 { return 0 },
		Aside: func(f func(context.Context)) { x.work = append(x.work, func() { f(context.Background()) }) },
		End:   func(_ context.Context, r int, why string) { x.ended = append(x.ended, fmt.Sprintf("%d %s", r, why)) },
		Check: func(_ context.Context, r int) error {
			x.checkd = r
			if x.errs[r] {
				return errors.New("bad")
			}
			return nil
		},
		Open: func(context.Context) (int, error) {
			x.opened++
			if x.fail {
				return 0, errors.New("refused")
			}
			x.last++
			return x.last, nil
		},
	}
	p, err := New(x.m.o)
	if err != nil {
		t.Fatal(err)
	}
	x.p = p
	return x
}

var keys = []string{"a1", "a2", "b1", "c1", "d1"}

func (x *machine) lease(t *rapid.T) (int, pairLease) {
	if len(x.leases) == 0 {
		t.Skip("no lease")
	}
	i := rapid.IntRange(0, len(x.leases)-1).Draw(t, "lease")
	return i, x.leases[i]
}

func (x *machine) drawAge(t *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{AnyAge, AnyAge, 0, time.Minute, 5 * time.Minute}).Draw(t, "age")
}

// Ask asks for a resource.
func (x *machine) Ask(t *rapid.T) {
	key, age := rapid.SampledFrom(keys).Draw(t, "key"), x.drawAge(t)
	x.asks = append(x.asks, pairAsk{x.p.ask(waits(context.Background()), key, age), x.m.ask(key, age)})
}

// Leave takes one who waits out of the queue, or gives back what it was handed.
func (x *machine) Leave(t *rapid.T) {
	if len(x.m.queue) == 0 {
		t.Skip("nobody waits")
	}
	a := x.m.queue[rapid.IntRange(0, len(x.m.queue)-1).Draw(t, "who")]
	i := slices.IndexFunc(x.asks, func(p pairAsk) bool { return p.a == a })
	x.p.leave(x.asks[i].w, ErrWaitTimeout)
	a.done, a.err = true, ErrWaitTimeout
	x.m.queue = slices.DeleteFunc(x.m.queue, func(o *asker) bool { return o == a })
}

// Fill makes the resource that a lease lacks, and logs in.
func (x *machine) Fill(t *rapid.T) {
	_, p := x.lease(t)
	if p.t.state != "opening" {
		t.Skip("not empty")
	}
	if _, holds := p.l.Resource(); holds == Nothing {
		x.last++
		p.l.Fill(x.last)
		x.m.fill(p.t, x.last)
	}
	p.l.Verified()
	x.m.verified(p.t)
}

// Reset begins the way back.
func (x *machine) Reset(t *rapid.T) {
	_, p := x.lease(t)
	if p.t.state != "leased" {
		t.Skip("not leased")
	}
	p.l.Resetting()
	p.t.state = "resetting"
}

// Return gives a lease back.
func (x *machine) Return(t *rapid.T) {
	i, p := x.lease(t)
	if p.t.state == "opening" {
		t.Skip("empty")
	}
	spare := rapid.Bool().Draw(t, "spare")
	if spare {
		p.l.ReturnSpare()
	} else {
		p.l.Return()
	}
	x.m.back(p.t, spare)
	x.leases = slices.Delete(x.leases, i, i+1)
}

// Discard gives a place back.
func (x *machine) Discard(t *rapid.T) {
	i, p := x.lease(t)
	p.l.Discard("test")
	p.l.Return() // does nothing
	x.m.forget(p.t)
	x.leases = slices.Delete(x.leases, i, i+1)
}

// Renew finds that a used resource is no good.
func (x *machine) Renew(t *rapid.T) {
	i, p := x.lease(t)
	if p.t.state != "leased" {
		t.Skip("not leased")
	}
	age := x.drawAge(t)
	p.l.Renew("test", age)
	x.leases[i].t = x.m.renew(p.t, age)
}

// Drop drops a user.
func (x *machine) Drop(t *rapid.T) {
	name := userOf(rapid.SampledFrom(keys).Draw(t, "user"))
	x.p.Drop(func(key string) bool { return userOf(key) == name }, "dropped")
	x.m.drop(name, "dropped")
}

// Wait lets time pass.
func (x *machine) Wait(t *rapid.T) {
	x.m.now = x.m.now.Add(rapid.SampledFrom([]time.Duration{
		time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour,
	}).Draw(t, "time"))
}

// Upkeep looks after what is idle.
func (x *machine) Upkeep(*rapid.T) {
	x.p.Upkeep()
	check, open := x.m.upkeep()
	x.checks, x.opens = append(x.checks, check...), append(x.opens, open...)
}

// Work lets one thing go on that the pool does aside.
func (x *machine) Work(t *rapid.T) {
	if len(x.work) == 0 {
		t.Skip("nothing to do")
	}
	i := rapid.IntRange(0, len(x.work)-1).Draw(t, "work")
	f := x.work[i]
	x.work = slices.Delete(x.work, i, i+1)
	x.checkd, x.opened, x.fail = 0, 0, rapid.Bool().Draw(t, "fails")
	for _, c := range x.checks {
		x.errs[c.id] = x.fail
	}
	f()
	switch {
	case x.checkd != 0:
		j := slices.IndexFunc(x.checks, func(c *thing) bool { return c.id == x.checkd })
		x.m.checked(x.checks[j], !x.errs[x.checkd])
		x.checks = slices.Delete(x.checks, j, j+1)
	case x.opened != 0:
		x.finishOpen()
	}
}

func (x *machine) finishOpen() {
	o := x.opens[0] // they are all alike
	x.opens = x.opens[1:]
	if x.fail {
		x.m.forget(o)
		return
	}
	x.m.fill(o, x.last)
	if why := x.m.unfit(o); why != "" {
		x.m.forget(o)
		x.m.end(o, why)
		return
	}
	x.m.rest(o)
}

// Close closes the pool, not too early, for all else stops then.
func (x *machine) Close(t *rapid.T) {
	if x.steps++; x.steps < x.life {
		t.Skip("not now")
	}
	x.p.Close()
	x.m.close()
}

// Check compares the pool with the model.
func (x *machine) Check(t *rapid.T) {
	x.m.serve()
	left := x.asks[:0]
	for _, p := range x.asks {
		if !p.a.done {
			if p.w.settled.Load() {
				t.Fatalf("one who waits for %s has been served: %v", p.a.key, p.w.err)
			}
			left = append(left, p)
			continue
		}
		x.compare(t, p)
	}
	x.asks = left
	s := x.p.Stats()
	got := fmt.Sprintf("opening %d leased %d resetting %d idle %d spare %d checking %d waiting %d users %d",
		s.Opening, s.Leased, s.Resetting, s.Idle, s.Spare, s.Checking, s.Waiting, s.Users)
	if want := x.m.String(); got != want {
		t.Fatalf("the pool has\n%s\nthe model has\n%s", got, want)
	}
	x.compareEndings(t, s)
}

// compare looks whether a caller has got the same from both.
func (x *machine) compare(t *rapid.T, p pairAsk) {
	if !p.w.settled.Load() {
		t.Fatalf("one who asks for %s still waits, which the model has served: %v", p.a.key, p.a.err)
	}
	if p.w.err != p.a.err {
		t.Fatalf("error %v, the model says %v", p.w.err, p.a.err)
	}
	if p.a.err != nil {
		return
	}
	l := &Lease[string, int]{pool: x.p, item: p.w.item}
	if r, _ := l.Resource(); r != p.a.got.id {
		t.Fatalf("asked for %s, got resource %d, the model gives %d", p.a.key, r, p.a.got.id)
	}
	x.leases = append(x.leases, pairLease{l, p.a.got})
}

// compareEndings looks whether the same were given up, in the same order, and
// no more are being ended than may be.
func (x *machine) compareEndings(t *rapid.T, s Stats) {
	var pending []string
	for _, e := range x.p.endings {
		pending = append(pending, fmt.Sprintf("%d %s", e.r, e.why))
	}
	if x.p.ending > x.p.o.MaxEndings {
		t.Fatalf("%d are being ended, at most %d", x.p.ending, x.p.o.MaxEndings)
	}
	want := x.m.endings[len(x.m.endings)-len(pending):]
	if !slices.Equal(pending, want) {
		t.Fatalf("to be ended %v, the model says %v", pending, want)
	}
	if n := len(x.ended) + s.Ending; n != len(x.m.endings) {
		t.Fatalf("%d given up, the model has %d", n, len(x.m.endings))
	}
	for _, e := range x.ended[max(0, len(x.ended)-1):] {
		if !slices.Contains(x.m.endings, e) {
			t.Fatalf("ended %q, which the model has not given up", e)
		}
	}
	select {
	case <-x.p.Done():
		if !x.m.closed || s.Ending+s.Checking+x.m.total() > 0 {
			t.Fatal("done too early")
		}
	default:
		if x.m.closed && s.Ending+s.Checking+x.m.total() == 0 {
			t.Fatal("closed and nothing left, but not done")
		}
	}
}

// usual sets a flag of rapid's that the command line does not.
func usual(t *testing.T, name, value string) {
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	if set {
		return
	}
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
}

// TestStateMachine drives a pool at random together with its model. For 10^6 steps:
// go test -race -run StateMachine -v ./backend/pool -rapid.checks=4000
func TestStateMachine(t *testing.T) {
	usual(t, "rapid.checks", "400")
	usual(t, "rapid.steps", "500")
	var steps atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		x := newMachine(t)
		actions := rapid.StateMachineActions(x)
		for _, n := range []string{"2", "3", "4"} { // what fills a pool comes more often than what empties it
			actions["Fill"+n], actions["Return"+n] = x.Fill, x.Return
		}
		check := actions[""]
		actions[""] = func(t *rapid.T) { steps.Add(1); check(t) }
		t.Repeat(actions)
	})
	t.Logf("%d steps", steps.Load())
}

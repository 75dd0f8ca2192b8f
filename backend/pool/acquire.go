package pool

import (
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// Waiter is who waits in Acquire: a task of a loop.
type Waiter interface {
	// Pause returns when Wake may have been called meanwhile. The error is
	// os.ErrDeadlineExceeded once by has come, or that of Err.
	Pause(name string, by time.Time) error
	Wake() // any goroutine may call it; it does not block
	Err() error
}

// waiter is a caller of Acquire.
type waiter[K comparable, R any] struct {
	key     K
	age     time.Duration // see Acquire
	begun   time.Time
	by      Waiter
	queued  bool
	settled atomic.Bool // there is an item or an error
	item    *item[K, R]
	err     error
}

// settle hands a waiter its answer, once.
func (w *waiter[K, R]) settle(it *item[K, R], err error) {
	w.item, w.err = it, err
	w.settled.Store(true)
	if w.queued {
		w.by.Wake()
	}
}

// AnyAge is for keys that the caller has verified just now.
const AnyAge time.Duration = -1

// Acquire lends an idle resource of the key that was verified less than age
// ago, or a place for one that the caller makes: see Lease. It waits in a queue,
// first come, first served, while the limits leave neither. The error is
// ErrClosed, ErrQueueFull, ErrWaitTimeout or the Waiter's.
func (p *Pool[K, R]) Acquire(by Waiter, key K, age time.Duration) (*Lease[K, R], error) {
	w := p.ask(by, key, age)
	end := w.begun.Add(p.o.WaitTimeout)
	for !w.settled.Load() {
		err := by.Pause("pool_wait", end)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = ErrWaitTimeout
		}
		if err != nil {
			p.leave(w, err)
		}
	}
	if err := by.Err(); err != nil {
		if w.item != nil { // handed over in the same moment: the next one's
			(&Lease[K, R]{pool: p, item: w.item}).giveBack()
		}
		return nil, err
	}
	if w.err != nil {
		return nil, w.err
	}
	return &Lease[K, R]{pool: p, item: w.item}, nil
}

// ask serves a caller now, or puts it into the queue.
func (p *Pool[K, R]) ask(by Waiter, key K, age time.Duration) *waiter[K, R] {
	p.mu.Lock()
	defer p.unlock()
	w := &waiter[K, R]{key: key, age: age, begun: p.o.Now(), by: by}
	switch {
	case p.closed:
		w.settle(nil, ErrClosed)
	case p.tryServe(w):
	case len(p.queue) >= p.o.MaxWaiting:
		p.o.Counters.Refused.Add(1)
		w.settle(nil, ErrQueueFull)
	default:
		p.o.Counters.Waits.Add(1)
		w.queued = true
		p.queue = append(p.queue, w)
	}
	return w
}

// leave takes a waiter out of the queue, unless it has its answer already.
func (p *Pool[K, R]) leave(w *waiter[K, R], err error) {
	p.mu.Lock()
	defer p.unlock()
	i := slices.Index(p.queue, w)
	if i < 0 {
		return
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	if err == ErrWaitTimeout {
		p.o.Counters.WaitTimeouts.Add(1)
	}
	w.settle(nil, err)
}

// serve hands those who wait what there is, in their order. One who waits for
// a place of its own user's does not hold up the others.
func (p *Pool[K, R]) serve() {
	if len(p.queue) == 0 {
		return
	}
	p.queue = slices.DeleteFunc(p.queue, p.tryServe)
}

// tryServe answers a waiter if the limits allow it.
func (p *Pool[K, R]) tryServe(w *waiter[K, R]) bool {
	name := p.o.User(w.key)
	u := p.users[name]
	if u == nil {
		u = &user[K, R]{name: name, lent: map[*item[K, R]]struct{}{}}
	}
	it := p.lendIdle(u, w.key, w.age)
	if it != nil {
		p.o.Counters.Hits.Add(1)
	} else if it = p.place(u, w.key); it != nil {
		p.o.Counters.Misses.Add(1)
	}
	if it == nil {
		return false
	}
	p.o.Counters.waited(p.o.Now().Sub(w.begun))
	w.settle(it, nil)
	return true
}

// lendIdle lends the user's newest idle item of a key.
func (p *Pool[K, R]) lendIdle(u *user[K, R], key K, age time.Duration) *item[K, R] {
	for i := len(u.idle) - 1; i >= 0; i-- {
		it := u.idle[i]
		if it.key == key && it.state == stateIdle && (age < 0 || p.o.Now().Sub(it.verified) < age) {
			p.idle.Remove(it)
			u.idle = slices.Delete(u.idle, i, i+1)
			u.lent[it] = struct{}{}
			p.enter(it, stateLeased)
			return it
		}
	}
	return nil
}

// place finds room for one more item of a user's: a spare one, or an empty one,
// for which an idle one may have to go.
func (p *Pool[K, R]) place(u *user[K, R], key K) *item[K, R] {
	if u.count >= p.o.MaxPerUser && !p.evict(u.idle) {
		return nil
	}
	it := p.takeSpare()
	if it == nil {
		if p.total >= p.o.MaxTotal && !p.evict(p.idle.Keys()) {
			return nil
		}
		it = p.add()
	}
	p.assign(it, u, key)
	return it
}

// evict gives up the first that can be, and reports whether there was one.
func (p *Pool[K, R]) evict(oldestFirst []*item[K, R]) bool {
	for _, it := range oldestFirst {
		if it.state == stateIdle {
			p.giveUp(it, WhyEvicted)
			return true
		}
	}
	return false
}

func (p *Pool[K, R]) takeSpare() *item[K, R] {
	n := len(p.spare)
	if n == 0 {
		return nil
	}
	it := p.spare[n-1]
	p.spare = p.spare[:n-1]
	p.idle.Remove(it)
	p.enter(it, stateOpening)
	return it
}

package pool

import "time"

// Lease is a resource, or a place for one, in a borrower's hands. It ends with
// Return, ReturnSpare or Discard; what is called after that does nothing. Its
// methods belong to the borrower.
type Lease[K comparable, R any] struct {
	pool *Pool[K, R]
	item *item[K, R]
	over bool
}

// Holding says what a lease holds.
type Holding int

// What a lease may hold.
const (
	Nothing Holding = iota // a place: make a resource, Fill, and Verified
	Spare                  // a resource of no key yet: make it the key's, and Verified
	Used                   // a resource of the key, used before
)

// Resource returns the resource, and what it is.
func (l *Lease[K, R]) Resource() (R, Holding) {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	it := l.item
	switch {
	case it.state == stateLeased:
		return it.r, Used
	case !it.used.IsZero():
		return it.r, Spare
	}
	return it.r, Nothing
}

// Unused returns for how long the resource has been neither used nor checked.
func (l *Lease[K, R]) Unused() time.Duration {
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.item.used.IsZero() {
		return 0
	}
	return l.pool.o.Now().Sub(l.item.used)
}

// Fill puts a new resource into an empty place.
func (l *Lease[K, R]) Fill(r R) {
	l.pool.mu.Lock()
	defer l.pool.unlock()
	l.pool.fill(l.item, r)
}

// Verified notes that the key has just been found good with this resource,
// which makes the user's idle ones of the same key as good as new.
func (l *Lease[K, R]) Verified() {
	p := l.pool
	p.mu.Lock()
	defer p.unlock()
	it := l.item
	if l.over {
		return
	}
	p.enter(it, stateLeased)
	it.verified = p.o.Now()
	for _, other := range it.user.idle {
		if other.key == it.key {
			other.verified = it.verified
		}
	}
}

// Renew gives up a used resource that turned out to be no good, which the
// caller ends, and holds the next one of the same key afterwards, or nothing.
func (l *Lease[K, R]) Renew(why string, age time.Duration) {
	p := l.pool
	p.mu.Lock()
	defer p.unlock()
	if l.over {
		return
	}
	p.o.Counters.gaveUp(why)
	u := l.item.user
	if next := p.lendIdle(u, l.item.key, age); next != nil {
		p.remove(l.item)
		l.item = next
		return
	}
	key, stale := l.item.key, l.item.stale
	p.remove(l.item)
	l.item = p.add()
	l.item.stale = stale
	p.assign(l.item, u, key)
}

// Resetting notes that the resource is being made fit for the next borrower.
func (l *Lease[K, R]) Resetting() {
	l.pool.mu.Lock()
	defer l.pool.unlock()
	if !l.over {
		l.pool.enter(l.item, stateResetting)
	}
}

// Return makes the resource idle, or gives it up where it may not be used
// again. It tells whether it is idle now.
func (l *Lease[K, R]) Return() bool { return l.back(false) }

// ReturnSpare makes it a spare one, which any key may have.
func (l *Lease[K, R]) ReturnSpare() bool { return l.back(true) }

func (l *Lease[K, R]) back(spare bool) bool {
	p := l.pool
	p.mu.Lock()
	defer p.unlock()
	if l.over {
		return false
	}
	l.over = true
	why := p.unfit(l.item)
	if why != "" {
		r := l.item.r
		p.remove(l.item)
		p.end(r, why)
		return false
	}
	if spare {
		p.disown(l.item)
	}
	p.o.Counters.Returned.Add(1)
	p.rest(l.item)
	return true
}

// Discard frees the place; the resource, if there is one, is the caller's
// to end. why is counted, "" for nothing.
func (l *Lease[K, R]) Discard(why string) {
	p := l.pool
	p.mu.Lock()
	defer p.unlock()
	if l.over {
		return
	}
	l.over = true
	if why != "" {
		p.o.Counters.gaveUp(why)
	}
	p.remove(l.item)
}

// giveBack undoes an Acquire that no caller waits for any more.
func (l *Lease[K, R]) giveBack() {
	p := l.pool
	p.mu.Lock()
	defer p.unlock()
	l.over = true
	it := l.item
	used := it.used
	switch {
	case used.IsZero(): // a place
		p.remove(it)
		return
	case it.state == stateOpening: // a spare one
		p.disown(it)
	}
	if why := p.unfit(it); why != "" {
		r := it.r
		p.remove(it)
		p.end(r, why)
		return
	}
	p.rest(it)
	it.used = used
}

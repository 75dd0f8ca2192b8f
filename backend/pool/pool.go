// Package pool lends resources that are dear to make and can be used again. It
// is generic over the key under which a resource may be used again and over the
// resource itself, and knows no protocol. It starts no goroutine: what takes
// time runs by Options.Aside, and Upkeep is called by the owner.
package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// Options say what a pool of keys K and resources R does. Durations of 0 stand
// for never, where nothing else is said; every count but Spare is at least 1.
type Options[K comparable, R any] struct {
	User func(K) string // whose a key is: MaxPerUser goes by it

	MaxIdle     int           // idle resources of all users together; past it the least recently used one goes
	MaxPerUser  int           // resources of one user, lent or idle
	MaxTotal    int           // resources in all
	MaxWaiting  int           // callers that wait for a resource
	MaxEndings  int           // resources that are ended at once
	MaxChecks   int           // idle resources that are checked at once
	WaitTimeout time.Duration // how long a caller waits; must be positive

	MaxLifetime   time.Duration // from Fill; up to a tenth less, so that those made together don't go together
	IdleTimeout   time.Duration // how long a resource may lie idle
	KeepAlive     time.Duration // how long it may lie idle without a check
	Spare         int           // resources without a key that are kept ready
	SpareLifetime time.Duration // how long one of those may lie idle

	Now    func() time.Time
	Random func() float64 // in [0, 1), for MaxLifetime

	// The owner's hooks. None runs under the pool's lock. Those with a context run in what Aside has made.
	Aside    func(f func(context.Context))              // runs f concurrently; f is run in any case
	End      func(ctx context.Context, r R, why string) // ends a resource that the pool gives up
	Check    func(ctx context.Context, r R) error       // looks after an idle resource; an error ends it
	HasInput func(r R) bool                             // reports at once whether a check is needed; nil is never
	Open     func(ctx context.Context) (R, error)       // makes a spare resource; nil when Spare is 0

	Counters *Counters // counts what happens, also across pools; nil for counters of its own
}

// The words for why a resource was given up. Owners add their own by Discard
// and Renew.
const (
	WhyClosed      = "closed"       // the pool has been closed
	WhyEvicted     = "evicted"      // MaxIdle, or room was needed
	WhyLifetime    = "lifetime"     // MaxLifetime
	WhyIdleTimeout = "idle_timeout" // IdleTimeout or SpareLifetime
	WhyCheckFailed = "check_failed" // Check gave an error
)

// The errors of Acquire, next to the context's own cause.
var (
	ErrClosed      = errors.New("closed")
	ErrQueueFull   = errors.New("too many wait already")
	ErrWaitTimeout = errors.New("none became free within the time to wait")
)

// state is what is being done with a resource.
type state uint8

const (
	stateOpening   state = iota // lent, and being made by the borrower; or a spare being made
	stateLeased                 // lent
	stateResetting              // lent, and being made fit for the next borrower
	stateIdle
	stateChecking // idle, and Check runs
	stateGone
	states
)

// item is a resource with its place in the pool, or only the place.
type item[K comparable, R any] struct {
	key      K
	user     *user[K, R] // nil for a spare one
	r        R
	state    state
	expires  time.Time // zero is never
	verified time.Time // when the key was last known to be good
	returned time.Time
	used     time.Time // when it was last returned or checked
	stale    string    // why it must not become idle again; "" when it may
}

// user holds what belongs to one user.
type user[K comparable, R any] struct {
	name  string
	count int
	lent  map[*item[K, R]]struct{}
	idle  []*item[K, R] // by their return; the newest is lent first, so that what is too many ages
}

// Pool lends resources. It is safe for concurrent use.
type Pool[K comparable, R any] struct {
	o Options[K, R]

	mu       sync.Mutex // protects all that follows; no hook runs and nothing blocks under it
	users    map[string]*user[K, R]
	spare    []*item[K, R]
	idle     *lru.Cache[*item[K, R], struct{}] // idle ones of users and spare ones, by their return
	queue    []*waiter[K, R]
	counts   [states]int
	total    int
	endings  []ending[R] // to be ended
	ending   int         // being ended
	checking []*item[K, R]
	opening  int // spare ones
	toOpen   []func(context.Context)
	closed   bool
	hurried  bool
	done     chan struct{}
}

type ending[R any] struct {
	r   R
	why string
}

// New makes a pool. An error names the option that is wrong.
func New[K comparable, R any](o Options[K, R]) (*Pool[K, R], error) {
	for name, n := range map[string]int{"MaxIdle": o.MaxIdle, "MaxPerUser": o.MaxPerUser, "MaxTotal": o.MaxTotal,
		"MaxWaiting": o.MaxWaiting, "MaxEndings": o.MaxEndings, "MaxChecks": o.MaxChecks,
		"WaitTimeout": int(o.WaitTimeout)} {
		if n < 1 {
			return nil, fmt.Errorf("pool: %s is %d, at least 1", name, n)
		}
	}
	if o.Counters == nil {
		o.Counters = &Counters{}
	}
	idle, err := lru.New[*item[K, R], struct{}](o.MaxIdle + 1) // the bound is kept by hand: what goes has to be ended
	if err != nil {
		return nil, fmt.Errorf("pool: %w", err)
	}
	return &Pool[K, R]{o: o, users: map[string]*user[K, R]{}, idle: idle, done: make(chan struct{})}, nil
}

// Close gives up what is idle, MaxEndings at a time, and turns away those who
// wait. What is lent is given up when it comes back. It does not wait: see Done.
func (p *Pool[K, R]) Close() {
	p.mu.Lock()
	defer p.unlock()
	if p.closed {
		return
	}
	p.closed = true
	for _, w := range p.queue {
		w.settle(nil, ErrClosed)
	}
	p.queue = nil
	for _, it := range p.idle.Keys() {
		p.giveUp(it, WhyClosed)
	}
}

// Done is closed once a closed pool has nothing left: all is back and ended.
func (p *Pool[K, R]) Done() <-chan struct{} { return p.done }

// Hurry ends all at once what is still to be ended.
func (p *Pool[K, R]) Hurry() {
	p.mu.Lock()
	defer p.unlock()
	p.hurried = true
}

// Drop gives up what is idle of the keys that match, and what is lent of them
// once it comes back. It returns how many were idle.
func (p *Pool[K, R]) Drop(match func(K) bool, why string) int {
	p.mu.Lock()
	defer p.unlock()
	n := 0
	for _, u := range p.users {
		for it := range u.lent {
			if match(it.key) {
				it.stale = why
			}
		}
		for _, it := range slices.Clone(u.idle) {
			if match(it.key) {
				p.giveUp(it, why)
				n++
			}
		}
	}
	return n
}

// unlock serves those who wait, gives the lock back, and then starts what is
// to be done aside.
func (p *Pool[K, R]) unlock() {
	p.serve()
	work := p.work()
	if p.closed && p.total == 0 && p.ending == 0 && p.counts[stateChecking] == 0 {
		select {
		case <-p.done:
		default:
			close(p.done)
		}
	}
	p.mu.Unlock()
	for _, f := range work {
		p.o.Aside(f)
	}
}

// enter moves an item to a state; the lock is held, here and below.
func (p *Pool[K, R]) enter(it *item[K, R], s state) {
	p.counts[it.state]--
	it.state = s
	p.counts[s]++
}

// add makes an item.
func (p *Pool[K, R]) add() *item[K, R] {
	it := &item[K, R]{}
	p.total++
	p.counts[it.state]++
	return it
}

// remove takes an item out of the pool; its resource belongs to the caller.
func (p *Pool[K, R]) remove(it *item[K, R]) {
	p.total--
	p.counts[it.state]--
	it.state = stateGone
	p.disown(it)
}

// assign makes an item a user's.
func (p *Pool[K, R]) assign(it *item[K, R], u *user[K, R], key K) {
	it.key, it.user = key, u
	u.count++
	u.lent[it] = struct{}{}
	p.users[u.name] = u
}

// disown takes an item from its user; a user who has none left is forgotten.
func (p *Pool[K, R]) disown(it *item[K, R]) {
	u := it.user
	if u == nil {
		return
	}
	it.user = nil
	delete(u.lent, it)
	if u.count--; u.count == 0 {
		delete(p.users, u.name)
	}
}

package pool

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Counters count what has happened since they were made. They may outlive a
// pool and be shared between pools. The zero value is ready.
type Counters struct {
	Hits         atomic.Uint64 // an idle resource was lent
	Misses       atomic.Uint64 // one had to be made
	Returned     atomic.Uint64 // one became idle
	Waits        atomic.Uint64 // a caller had to wait
	WaitTimeouts atomic.Uint64 // and waited in vain
	Refused      atomic.Uint64 // a caller found the queue full
	waitTime     atomic.Int64

	mu    sync.Mutex // protects given
	given map[string]uint64
}

func (c *Counters) waited(d time.Duration) { c.waitTime.Add(int64(d)) }

// WaitTime is how long callers have waited in all.
func (c *Counters) WaitTime() time.Duration { return time.Duration(c.waitTime.Load()) }

func (c *Counters) gaveUp(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given == nil {
		c.given = map[string]uint64{}
	}
	c.given[why]++
}

// GivenUp counts the resources that were not used again, by why.
func (c *Counters) GivenUp() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.given)
}

// Stats say where a pool's resources are now.
type Stats struct {
	Opening   int // being made
	Leased    int
	Resetting int // being made fit for the next borrower
	Idle      int // ready to be lent, of users
	Spare     int // ready to be lent, without a user yet
	Checking  int // idle, and being checked
	Ending    int // given up, and not ended yet
	Waiting   int // callers
	Users     int
	MaxWait   time.Duration // of the one who has waited longest
}

// Stats says where the resources are.
func (p *Pool[K, R]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{
		Opening: p.counts[stateOpening], Leased: p.counts[stateLeased], Resetting: p.counts[stateResetting],
		Idle: p.counts[stateIdle] - len(p.spare), Spare: len(p.spare), Checking: p.counts[stateChecking],
		Ending: p.ending + len(p.endings), Waiting: len(p.queue), Users: len(p.users),
	}
	if len(p.queue) > 0 {
		s.MaxWait = p.o.Now().Sub(p.queue[0].begun)
	}
	return s
}

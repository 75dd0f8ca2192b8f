package backend

import (
	"cmp"
	"slices"
	"time"
)

// PoolStats say what a target's connections are doing, and what has become of
// them since the start.
type PoolStats struct {
	Target    string        `json:"target"`
	Leased    int           `json:"leased"`
	Waiting   int           `json:"waiting"` // logins
	Idle      int           `json:"idle"`
	Checking  int           `json:"checking"`  // idle, and asked by NOOP
	Resetting int           `json:"resetting"` // on the way back
	Dialling  int           `json:"dialling"`  // or being logged in
	Spare     int           `json:"spare"`     // greeted, not logged in
	Ending    int           `json:"ending"`
	Users     int           `json:"users"`
	MaxWait   time.Duration `json:"max_wait_ns"` // of the login that has waited longest

	Hits         uint64            `json:"hits"`
	Misses       uint64            `json:"misses"`
	Returned     uint64            `json:"returned"`
	Waits        uint64            `json:"waits"`
	WaitTimeouts uint64            `json:"wait_timeouts"`
	Refused      uint64            `json:"refused"` // too many waited already
	WaitTime     time.Duration     `json:"wait_time_ns"`
	NotReused    map[string]uint64 `json:"not_reused"` // by why
}

// Stats says where the connections of all targets are, one entry for each
// target that has or had a pool.
func (n *PoolCounts) Stats(generations []*Pools) []PoolStats {
	byTarget := map[string]*PoolStats{}
	n.mu.Lock()
	for target, c := range n.counters {
		byTarget[target] = &PoolStats{Target: target,
			Hits: c.Hits.Load(), Misses: c.Misses.Load(), Returned: c.Returned.Load(), Waits: c.Waits.Load(),
			WaitTimeouts: c.WaitTimeouts.Load(), Refused: c.Refused.Load(), WaitTime: c.WaitTime(), NotReused: c.GivenUp()}
	}
	n.mu.Unlock()
	for _, p := range generations {
		for _, cp := range p.all() {
			if s := byTarget[cp.target.Name]; s != nil {
				s.add(cp)
			}
		}
	}
	var all []PoolStats
	for _, s := range byTarget {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b PoolStats) int { return cmp.Compare(a.Target, b.Target) })
	return all
}

func (s *PoolStats) add(cp *connPool) {
	n := cp.Stats()
	s.Leased += n.Leased
	s.Waiting += n.Waiting
	s.Idle += n.Idle
	s.Checking += n.Checking
	s.Resetting += n.Resetting
	s.Dialling += n.Opening
	s.Spare += n.Spare
	s.Ending += n.Ending
	s.Users += n.Users
	s.MaxWait = max(s.MaxWait, n.MaxWait)
}

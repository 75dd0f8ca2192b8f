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
			WaitTimeouts: c.WaitTimeouts.Load(), Refused: c.Refused.Load(), WaitTime: c.WaitTime(),
			NotReused: c.GivenUp()}
	}
	n.mu.Unlock()
	for _, p := range generations {
		for _, cp := range p.all() {
			if s := byTarget[cp.target.Name]; s != nil {
				s.Add(cp.now())
			}
		}
	}
	all := []PoolStats{} // never null
	for _, s := range byTarget {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b PoolStats) int { return cmp.Compare(a.Target, b.Target) })
	return all
}

// now says where a pool's connections are, without what has become of them.
func (cp *connPool) now() PoolStats {
	n := cp.Stats()
	return PoolStats{Leased: n.Leased, Waiting: n.Waiting, Idle: n.Idle, Checking: n.Checking, Resetting: n.Resetting,
		Dialling: n.Opening, Spare: n.Spare, Ending: n.Ending, Users: n.Users, MaxWait: n.MaxWait}
}

// Add adds another target's figures, or another generation's.
func (s *PoolStats) Add(o PoolStats) {
	for to, n := range map[*int]int{&s.Leased: o.Leased, &s.Waiting: o.Waiting, &s.Idle: o.Idle,
		&s.Checking:  o.Checking,
		&s.Resetting: o.Resetting, &s.Dialling: o.Dialling, &s.Spare: o.Spare, &s.Ending: o.Ending, &s.Users: o.Users} {
		*to += n
	}
	for to, n := range map[*uint64]uint64{&s.Hits: o.Hits, &s.Misses: o.Misses, &s.Returned: o.Returned,
		&s.Waits: o.Waits, &s.WaitTimeouts: o.WaitTimeouts, &s.Refused: o.Refused} {
		*to += n
	}
	s.MaxWait = max(s.MaxWait, o.MaxWait)
	s.WaitTime += o.WaitTime
	for why, n := range o.NotReused {
		s.NotReused[why] += n
	}
}

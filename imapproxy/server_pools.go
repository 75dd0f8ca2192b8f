package imapproxy

import (
	"context"
	"slices"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/fault"
)

// poolsEvery is how often the server looks after idle backend connections.
const poolsEvery = time.Second

// addPools makes the pools of a generation and closes those of the one before:
// what is idle ends with LOGOUT, at a bounded rate.
func (s *Server) addPools(settings *Settings) {
	settings.pools = s.dialer.NewPools(s.goGuarded, &s.poolCounts)
	s.mu.Lock()
	old := slices.Clone(s.generations)
	s.generations = append(s.generations, settings.pools)
	s.mu.Unlock()
	for _, p := range old {
		p.Close()
	}
}

// pools gives the generations' pools, the one in force last.
func (s *Server) pools() []*backend.Pools {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.generations)
}

// keepPools looks after what is idle, and forgets generations that have ended.
func (s *Server) keepPools(time.Time) {
	fault.Point("pool.upkeep")
	for _, p := range s.pools() {
		p.Upkeep()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.generations) - 1
	s.generations = append(slices.DeleteFunc(s.generations[:last:last], (*backend.Pools).IsDone), s.generations[last])
}

// closePools ends what is idle; what is lent ends when it comes back.
func (s *Server) closePools() {
	for _, p := range s.pools() {
		p.Close()
	}
}

// awaitPools waits until closed pools have nothing left, or ctx ends.
func (s *Server) awaitPools(ctx context.Context) bool {
	for _, p := range s.pools() {
		if !p.Wait(ctx) {
			return false
		}
	}
	return true
}

// dropPooled ends the idle connections of the users that match.
func (s *Server) dropPooled(match func(backend.PooledUser) bool, why string) int {
	n := 0
	for _, p := range s.pools() {
		n += p.Drop(match, why)
	}
	return n
}

// Pools says what the pooled connections of each target are doing.
func (s *Server) Pools() []backend.PoolStats { return s.poolCounts.Stats(s.pools()) }

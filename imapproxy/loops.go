package imapproxy

import (
	"cmp"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
)

// sessionLoop is an event loop that runs sessions: their logins and endings as
// coroutines (session.go, end.go), their relays by events (loop_relay.go).
//
// It owns what belongs to its sessions. Others reach them by loop.Post only.
type sessionLoop struct {
	*loop.Loop
	server   *Server
	buf      [loopBuffer]byte
	sessions atomic.Int64  // that are in it
	over     chan struct{} // closed after its last round
}

const (
	loopBuffer  = 64 << 10  // what is read at a time
	largeRecord = 2 << 10   // read at once through TLS: it keeps memory for it
	turnBound   = 256 << 10 // what one session may move before it is the next one's turn
)

// sessionLoops are the loops of a server.
type sessionLoops struct {
	all   []*sessionLoop
	turn  atomic.Uint32
	pipes pipes
	done  sync.WaitGroup
}

// startLoops starts the loops.
func (s *Server) startLoops() error {
	s.loops.pipes.init(maxPipes)
	for range cmp.Or(s.Loops, runtime.GOMAXPROCS(0)) {
		l, err := loop.New(s.clock)
		if err != nil {
			s.stopLoops()
			return fmt.Errorf("imapproxy: %w", err)
		}
		x := &sessionLoop{Loop: l, server: s, over: make(chan struct{})}
		s.loops.all = append(s.loops.all, x)
		s.loops.done.Add(1)
		go x.run()
	}
	return nil
}

// next returns the loops one after the other.
func (m *sessionLoops) next() *sessionLoop {
	return m.all[int(m.turn.Add(1))%len(m.all)]
}

// fewer returns a loop that has clearly fewer sessions than l, or l.
func (m *sessionLoops) fewer(l *sessionLoop) *sessionLoop {
	best := l
	for _, x := range m.all {
		if x.sessions.Load()+clearly < best.sessions.Load() {
			best = x
		}
	}
	return best
}

// clearly is how many sessions less make it worth handing one to another loop.
const clearly = 1

// stretch is how long a loop runs without asking Go's scheduler for another goroutine. After 10 ms its monitor
// would stop the loop with a signal, and look after it every 20 µs for a while: an eighth of what a login cost.
const stretch = 8 * time.Millisecond

// run is the loop's goroutine. It ends with the server's life, when no session is left.
func (l *sessionLoop) run() {
	defer l.server.loops.done.Done()
	defer close(l.over)
	since := l.Now()
	for goesOn := true; goesOn; {
		if now := l.Now(); now.Sub(since) > stretch {
			since = now
			runtime.Gosched()
		}
		l.server.guarded("loop", func() {
			goesOn = l.Round()
			fault.Point("loop.round")
		})
	}
	_ = l.Close()
}

// trim gives back what has not been needed since the last call.
func (m *sessionLoops) trim() {
	m.pipes.trim()
	for _, l := range m.all {
		l.Post(loop.Func(l.TrimSpare))
	}
}

// stopLoops ends the loops; no session is left.
func (s *Server) stopLoops() {
	for _, l := range s.loops.all {
		l.End()
	}
	s.loops.done.Wait()
	s.loops.pipes.close()
}

package imapproxy

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/wire"
)

// loop relays many sessions in one thread: it waits for all their sockets at
// once, and in it a session that is silent costs two descriptors and what the
// session remembers, no goroutine, no buffer and no timer.
//
// The loop owns what it has taken. Logins put sessions in (see adopt); others
// reach them by nudge only.
type loop struct {
	server *Server
	poller *wire.Poller
	buf    [loopBuffer]byte
	ready  []*relay // to be read from although the kernel may have nothing: see side.more
	pipes  *pipes

	mu      sync.Mutex // protects what follows; nothing blocks under it
	slots   []slot
	free    []int32 // places without a relay
	nudged  []*relay
	wheel   wheel
	sweeps  bool // a sweep is due, at
	sweepAt time.Time
	ending  bool
}

// slot is where a relay stands in the loop. The kernel returns its number
// with each event, and its round, since events of a former one may still come.
type slot struct {
	relay *relay
	round int32
}

const (
	loopBuffer = 64 << 10  // what is read at a time
	turnBound  = 256 << 10 // what one session may move before it is the next one's turn
)

// relayLoops are the loops of a server.
type relayLoops struct {
	loops []*loop
	next  sync.Mutex // protects turn
	turn  int
	pipes pipes
	done  sync.WaitGroup
}

// startLoops starts a loop for each processor.
func (s *Server) startLoops() error {
	s.relayLoops.pipes.init(maxPipes)
	for range runtime.GOMAXPROCS(0) {
		l, err := newLoop(s)
		if err != nil {
			s.stopLoops()
			return err
		}
		s.relayLoops.loops = append(s.relayLoops.loops, l)
		s.relayLoops.done.Add(1)
		go l.run()
	}
	return nil
}

// nextLoop returns the loops one after the other.
func (m *relayLoops) nextLoop() *loop {
	m.next.Lock()
	defer m.next.Unlock()
	m.turn = (m.turn + 1) % len(m.loops)
	return m.loops[m.turn]
}

func newLoop(s *Server) (*loop, error) {
	poller, err := wire.NewPoller()
	if err != nil {
		return nil, fmt.Errorf("imapproxy: starting a relay loop: %w", err)
	}
	l := &loop{server: s, poller: poller, pipes: &s.relayLoops.pipes}
	l.wheel.init(s.clock.Now())
	return l, nil
}

// run is the loop's goroutine, in a thread of its own. It ends with the server's
// life, when no session is left.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer l.server.relayLoops.done.Done()
	defer func() { _ = l.poller.Close() }()
	round := l.round
	for !l.isEnding() {
		l.server.guarded("loop", round)
	}
}

func (l *loop) isEnding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending
}

// round waits for events and takes each. It waits for none while something is
// ready.
func (l *loop) round() {
	n, err := l.poller.Wait(len(l.ready) == 0)
	if err != nil {
		panic(err.Error()) // no descriptor of ours: a fault of the proxy
	}
	fault.Point("loop.round")
	for i := range n {
		key, events, isWake := l.poller.Event(i)
		if isWake {
			l.woken()
			continue
		}
		if r := l.at(key.Number>>1, key.Round); r != nil {
			l.event(r, int(key.Number&1), events)
		}
	}
	l.takeReady()
}

// woken takes what others have left.
func (l *loop) woken() {
	nudged, at, sweeps := l.left()
	for _, r := range nudged {
		l.after(r)
	}
	if sweeps {
		l.sweep(at)
	}
}

func (l *loop) left() (nudged []*relay, at time.Time, sweeps bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	nudged, at, sweeps = l.nudged, l.sweepAt, l.sweeps
	l.nudged, l.sweeps = nil, false
	return nudged, at, sweeps
}

// takeReady gives each relay that has more to read another turn.
func (l *loop) takeReady() {
	ready := l.ready
	l.ready = nil
	for _, r := range ready {
		r.queued = false
		if r.loop.Load() == l {
			l.protected(r, func() { l.readOn(r) })
			l.after(r)
		}
	}
}

// at finds the relay that an event is for, nil when it has left.
func (l *loop) at(number, round int32) *relay {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.slots[number]; p.round == round {
		return p.relay
	}
	return nil
}

// protected runs a step of a relay; a panic in it ends only that session.
func (l *loop) protected(r *relay, f func()) {
	r.handling.Store(true)
	defer r.handling.Store(false)
	r.s.protected("loop", f)
}

// sweepRelays has each loop look at the relays whose time has come.
func (s *Server) sweepRelays(now time.Time) {
	for _, l := range s.relayLoops.loops {
		l.askSweep(now)
	}
	s.relayLoops.pipes.trim()
}

func (l *loop) askSweep(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweeps, l.sweepAt = true, now
	l.poller.Wake()
}

func (l *loop) sweep(now time.Time) {
	for _, r := range l.due(now) {
		if r.loop.Load() != l {
			continue
		}
		l.protected(r, func() {
			r.sweep(now)
			if r.beating {
				r.beating = false
				r.heartbeat()
			}
		})
		l.plan(r, now)
		l.after(r)
	}
}

func (l *loop) due(now time.Time) []*relay {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wheel.advance(now)
}

func (l *loop) plan(r *relay, now time.Time) {
	at := r.nextSweep(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wheel.set(r, at)
}

// stopLoops ends the loops; no session is left.
func (s *Server) stopLoops() {
	for _, l := range s.relayLoops.loops {
		l.end()
	}
	s.relayLoops.done.Wait()
	s.relayLoops.pipes.close()
}

func (l *loop) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
	l.poller.Wake()
}

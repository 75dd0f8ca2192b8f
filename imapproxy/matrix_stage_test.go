package imapproxy

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// gate asks the test and waits for its answer.
type gate struct {
	waiting atomic.Int64
	answers chan error // nil is yes
}

func newGate() *gate { return &gate{answers: make(chan error)} }

func (g *gate) ask(ctx context.Context) error {
	return loop.Outside(ctx, func(ctx context.Context) error {
		g.waiting.Add(1)
		defer g.waiting.Add(-1)
		select {
		case err := <-g.answers:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// answer lets whoever waits go on.
func (g *gate) answer(err error) { g.answers <- err }

// gatedAuth asks for the user ask-auth and grants all others.
type gatedAuth struct{ *gate }

// Authenticate implements auth.Authenticator.
func (a gatedAuth) Authenticate(ctx context.Context, r *auth.Request) (*auth.Grant, error) {
	if r.User == "ask-auth" {
		if err := a.ask(ctx); err != nil {
			return nil, err
		}
	}
	return &auth.Grant{User: r.User, Secret: r.Secret}, nil
}

// gatedRouter asks for the user ask-route.
type gatedRouter struct {
	*gate
	target *backend.Target
}

// Route implements backend.Router.
func (g gatedRouter) Route(ctx context.Context, q backend.Query) (backend.Route, error) {
	if q.User == "ask-route" {
		if err := g.ask(ctx); err != nil {
			return backend.Route{}, err
		}
	}
	return backend.Route{Target: g.target, User: q.User}, nil
}

// stage is one session between a client and a backend that the test plays.
type stage struct {
	*rig
	cell  matrixCell // as interpreted, with the phase that the large ones are variants of
	large largePhase // the zero value in other phases
	phase matrixPhase
	end   endReason // the reason to expect

	clock                      *fakeClock
	askAuth, askRoute, askName *gate
	crowd                      bool // other rigs are at work in this process

	first, second string // the halves of the literal in flight
	c             *testClient
	b             *backendConn
	ses           *session
	over          <-chan error // what Drain returns
	again         func()       // the second signal
	stopReloads   func()
	alert         error            // what the client's handshake has failed with
	resume        func() endReason // takes the session on from where it stands, to its usual end
	begun         time.Time        // when it happened
	stalled       time.Duration    // what the meter showed then

	goroutines, timers, descriptors int // before the session
	// sockets of an earlier test that had one of the ports, and whose peer was deaf
	strangers map[wire.TableEntry]bool
}

// Limits of the stage that the rig has none of, or longer ones.
const (
	stageIdle = 97 * time.Second
	stageKick = 11 * time.Second
)

// The limits of phases: the timer and how long it runs.
func loginLimit(s *stage) (string, time.Duration) { return timerLogin, s.settings.Limits.Login }
func halfCloseLimit(s *stage) (string, time.Duration) {
	return timerHalfClose, s.settings.Limits.HalfClose
}
func drainLimit(s *stage) (string, time.Duration)    { return timerDrain, s.settings.Limits.Drain }
func connectLimit(s *stage) (string, time.Duration)  { return timerConnect, s.target.Limits.Connect }
func tlsLimit(s *stage) (string, time.Duration)      { return timerTLS, s.target.Limits.TLS }
func greetingLimit(s *stage) (string, time.Duration) { return timerGreeting, s.target.Limits.Greeting }
func backendLimit(s *stage) (string, time.Duration)  { return timerBackend, s.target.Limits.Login }

// quickTCP finds a vanished peer in about two and a half seconds: no less, since a
// cell has to be set up by then.
var quickTCP = wire.TCPOptions{KeepAliveIdle: time.Second, KeepAliveInterval: time.Second, KeepAliveCount: 1,
	UserTimeout: 2500 * time.Millisecond}

// newStage starts the proxy and the backend.
func newStage(t testing.TB, c matrixCell, more ...option) *stage {
	t.Helper()
	c, size := sizeOf(c)
	s := &stage{phase: matrixPhases[c.Phase], large: size, first: "12345", second: "67890", clock: newFakeClock(),
		askAuth: newGate(), askRoute: newGate(), askName: newGate()}
	s.cell, s.end = interpreted(c)
	options := append([]option{withClock(s.clock), withAuth(gatedAuth{s.askAuth}),
		withScript((*backendConn).untilLogout),
		withLimits(func(l *Limits) { l.Idle, l.Kick = stageIdle, stageKick }), s.gates}, more...)
	if isPanic(c) { // a relay that may have to say something soon is looked at by every sweep
		options = append(options, withLimits(func(l *Limits) { l.Heartbeat = sweepEvery }))
	}
	if s.large.backendTLS {
		options = append(options, secureBackend)
	}
	if s.phase.options != nil {
		options = append(options, s.phase.options(s)...)
	}
	s.rig = newRig(t, options...)
	return s
}

// gates puts the router and the resolver in.
func (s *stage) gates(r *rig) {
	r.router = gatedRouter{s.askRoute, r.target}
	r.resolve = func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		if err := s.askName.ask(ctx); err != nil {
			return nil, err
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	r.target.Limits.Connect = patience // the one limit here that net.Dialer keeps, in real time
	switch s.cell.Reason {             // the other side may be deaf for as long as it takes to set the cell up
	case "c_vanish":
		r.settings.TCP = quickTCP
	case "b_vanish":
		r.target.TCP = quickTCP
	}
}

// ready notes what there is before the session.
func (s *stage) ready(listener string) {
	s.t.Helper()
	s.address(listener)
	s.await("the server's periodic work", func() bool {
		return s.clock.pending(timerSweep) == 1 && s.clock.pending(timerCensus) == 1 && s.clock.pending(timerPools) == 1
	})
	s.goroutines, s.timers, s.descriptors = s.underWay(), s.clock.count(), openFiles(s.t)
	s.strangers = map[wire.TableEntry]bool{}
	for _, e := range s.sockets(false) {
		s.strangers[entryOf(e)] = true
	}
}

// entryOf is a socket without what changes of it.
func entryOf(e wire.TableEntry) wire.TableEntry {
	return wire.TableEntry{Local: e.Local, Remote: e.Remote}
}

// count counts the timers: the clock's, without those that wake a loop for its own, and the loops'.
func (c *fakeClock) count() (n int) {
	c.mu.Lock()
	for _, t := range c.timers {
		if t.name != "loop" {
			n++
		}
	}
	c.mu.Unlock()
	c.eachLoop(func(l *sessionLoop) { n += len(l.Timers()) })
	return n
}

// session waits for the stage's session.
func (s *stage) session() *session {
	s.t.Helper()
	s.await("the session", func() bool {
		s.server.sessions.each(func(ses *session) { s.ses = ses })
		return s.ses != nil
	})
	return s.ses
}

// inPhase waits until the session says that it is in a phase of view.go.
func (s *stage) inPhase(phase string) {
	s.t.Helper()
	ses := s.session()
	s.await("the phase "+phase, func() bool { return ses.status.get().phase == phase })
}

// hears waits until the backend has got text.
func (s *stage) hears(text string) {
	s.t.Helper()
	s.await(fmt.Sprintf("%q at the backend", text), func() bool { return strings.Contains(s.b.everything(), text) })
}

// logIn takes the client to the relay.
func (s *stage) logIn(listener, user string) {
	s.t.Helper()
	s.ready(listener)
	s.c = s.dial(listener)
	s.c.send("in LOGIN %s %s", user, canary)
	s.b = s.backend.conn(0)
	s.b.send("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello")
	s.hears("X2 AUTHENTICATE PLAIN ")
	s.b.send("X2 OK [CAPABILITY IMAP4rev1 IDLE COMPRESS=DEFLATE] in")
	s.c.expect("in OK .*")
	s.b.mu.Lock()
	s.b.mark = s.b.received.Len()
	s.b.mu.Unlock()
	ses := s.session()
	s.await("the relay", ses.relaying.Load)
}

// sockets returns the lines of the kernel's table that touch the stage's ports,
// without listeners and TIME_WAIT; own keeps only the proxy's sockets.
func (s *stage) sockets(own bool) []wire.TableEntry {
	s.t.Helper()
	inner := addrPort(s.backend.ln.Addr()).Port()
	outer := map[uint16]bool{}
	wanted := []string{fmt.Sprintf(":%04X ", inner)}
	for _, a := range s.addresses {
		p := netip.MustParseAddrPort(a).Port()
		outer[p] = true
		wanted = append(wanted, fmt.Sprintf(":%04X ", p))
	}
	var found []wire.TableEntry
	for _, e := range tableOf(s.t, wanted) {
		if !e.Local.Addr().IsLoopback() || !e.Remote.Addr().IsLoopback() {
			continue // another program's, with the same port
		}
		switch {
		case e.State == "LISTEN", e.State == "TIME_WAIT", s.strangers[entryOf(e)]:
		case outer[e.Local.Port()], e.Remote.Port() == inner:
			found = append(found, e)
		case !own && (outer[e.Remote.Port()] || e.Local.Port() == inner):
			found = append(found, e)
		}
	}
	return found
}

// tableOf parses only the lines that hold one of the texts: with thousands of
// connections in TIME_WAIT the whole table takes its time.
func tableOf(t testing.TB, wanted []string) []wire.TableEntry {
	t.Helper()
	some := bytes.NewBufferString("heading\n")
	for line := range bytes.Lines(kernelTable(t)) {
		if slices.ContainsFunc(wanted, func(w string) bool { return bytes.Contains(line, []byte(w)) }) {
			some.Write(line)
		}
	}
	found, err := wire.ParseTable(some)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// kernelTable reads the table; those who ask at the same time share a reading
// that has begun after they asked. All listeners are at 127.0.0.1.
func kernelTable(t testing.TB) []byte {
	t.Helper()
	asked := time.Now()
	tables.mu.Lock()
	defer tables.mu.Unlock()
	if tables.begun.After(asked) {
		return tables.text
	}
	begun := time.Now()
	text, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	tables.begun, tables.text = begun, text
	return text
}

var tables struct {
	mu    sync.Mutex // protects all
	begun time.Time
	text  []byte
}

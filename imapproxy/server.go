// Package imapproxy is the client side and the session: accept, the dialogue
// before the login, the relay, and the one way a session ends.
package imapproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/ledger"
	"imapproxy/backend/timing"
	"imapproxy/backend/username"
	"imapproxy/backend/wire"
)

// ListenerTLS says how clients of a listener get TLS.
type ListenerTLS int

// The ways.
const (
	NoTLS ListenerTLS = iota
	StartTLS
	ImplicitTLS
)

// Listener holds what the configuration says of one listener.
type Listener struct {
	Name string
	TLS  ListenerTLS
	// TLSConfig has the certificates and versions; nil with NoTLS. A handshake is computed in the event loop, up to
	// 1 ms of it with an RSA key, unless GetConfigForClient calls loop.Leave with the context of its ClientHelloInfo.
	TLSConfig *tls.Config
	TLSOnly   bool // passwords only after STARTTLS, from this machine too
	Insecure  bool // passwords without TLS from anywhere, not only from loopback
	Proxy     ProxyHeader
	Clients   *ClientCertificates // nil: none is asked for

	// before the login, in the place of the usual; STARTTLS, LOGINDISABLED and AUTH= come by themselves
	Capabilities []string
	Mechanisms   []string           // that are offered; nil: the usual
	Auth         auth.Authenticator // nil: Settings.Auth
	Login        time.Duration      // 0: Limits.Login
	BadCommands  int                // 0: Limits.BadCommands
	TCP          wire.TCPOptions    // of its clients; zero: Settings.TCP
	Compat       *Compat            // nginx's manner; nil: our own
	Policy       *ledger.Policy     // what its clients may not do after the login; nil: what is always refused
}

// authenticator returns the listener's own or that of all; clients of nginx may
// have to wait.
func (s *session) authenticator() auth.Authenticator {
	a := s.settings.Auth
	if s.listener.Auth != nil {
		a = s.listener.Auth
	}
	if p, ok := a.(auth.Patient); ok && s.listener.Compat != nil {
		return p.Patient()
	}
	return a
}

// Limits bounds sessions. Every field must be positive; durations count from
// where their names begin.
type Limits struct {
	Login     time.Duration // from accept to logged in; traffic does not extend it
	Idle      time.Duration // nothing moved either way, but for IDLE; at least 30 minutes (RFC 3501 section 5.4)
	HalfClose time.Duration // one side closed, the other still finishes
	// HalfCloseIdle is how long a half-closed session may be silent in both directions; 0 is never.
	HalfCloseIdle time.Duration
	Drain         time.Duration // from SIGTERM until what is left is cut
	Retire        time.Duration // from SIGQUIT until what is left is drained; 0 is never
	Farewell      time.Duration // for BYE, and for the client to close
	BadCommands   int           // a client's errors before login
	FailedLogins  int           // refused logins of one connection
	Sessions      int           // clients at once
	ProxyTTL      int           // proxies that may follow each other

	Kick        time.Duration // from a kick until the session is cut
	Heartbeat   time.Duration // silence in IDLE after which the proxy says a line; 0 is never
	LeakReport  time.Duration // a command without an answer is reported after it; 0 is never
	LeakReclaim time.Duration // and its connection is ended after this; 0 is never
}

// Settings is one generation of the configuration. A session keeps the
// generation it began with.
type Settings struct {
	Hostname string // in the greeting
	Auth     auth.Authenticator
	Router   backend.Router
	// Referred returns the target of a server that a backend refers to; an error for one that is not permitted.
	// nil follows no referral.
	Referred  func(server string) (*backend.Target, error)
	External  *auth.CertificateUsers // whom a client's certificate stands for; nil: EXTERNAL is not offered
	AuthName  username.Rewrite       // of the user name, before it is authenticated
	Listeners map[string]*Listener
	Limits    Limits
	TCP       wire.TCPOptions // of clients' sockets

	pools *backend.Pools // of this generation
}

// Server accepts clients and runs their sessions.
type Server struct {
	// Loops is how many event loops Serve starts; 0: as many as Go uses processors (GOMAXPROCS).
	Loops int

	settings atomic.Pointer[Settings]
	dialer   *backend.Dialer
	clock    timing.Clock
	log      zerolog.Logger
	sessions registry
	metrics  *metrics
	leaks    leakDetector
	census   census
	resets   resetWatch
	refusals usualRefusal

	poolCounts backend.PoolCounts

	mu          sync.Mutex // protects what follows; nothing blocks under it
	listeners   map[net.Listener]*servedListener
	generations []*backend.Pools // those that have not ended; the one in force is the last
	fewer       *sync.Cond       // of listeners; on mu
	retiring    atomic.Bool      // no more clients are wanted, and the sessions go on

	accepting    context.Context // until no more clients are wanted
	endAccepting context.CancelFunc
	life         context.Context // until no session is left
	endLife      context.CancelFunc
	work         sync.WaitGroup // periodic work
	started      sync.Once
	unstartable  error // why the loops could not be started
	loops        sessionLoops
}

// ErrClosed is what Serve returns after Drain or Close.
var ErrClosed = errors.New("imapproxy: server closed")

// New makes a server; Serve starts it.
func New(settings *Settings, dialer *backend.Dialer, log zerolog.Logger) *Server {
	s := &Server{dialer: dialer, clock: dialer.Clock, log: log,
		listeners: map[net.Listener]*servedListener{}}
	s.fewer = sync.NewCond(&s.mu)
	s.sessions.init()
	s.addPools(settings)
	s.settings.Store(settings)
	s.accepting, s.endAccepting = context.WithCancel(context.Background())
	s.life, s.endLife = context.WithCancel(context.Background())
	s.metrics = newMetrics(s)
	s.observeCache(settings)
	s.observe(dialer)
	return s
}

// Reload puts a new generation in force for clients that connect from now on.
// The idle backend connections of the old one end. The generation is a copy: the
// same settings may be put in force again while sessions still use them.
func (s *Server) Reload(settings *Settings) {
	next := *settings
	s.addPools(&next)
	s.observeCache(&next)
	s.settings.Store(&next)
}

// observeCache counts the logins that an authenticator answers from what it
// has verified before.
func (s *Server) observeCache(settings *Settings) {
	if a, ok := settings.Auth.(auth.Caching); ok {
		a.ObserveCache(s.metrics.verified)
	}
}

// Settings is the generation in force.
func (s *Server) Settings() *Settings { return s.settings.Load() }

// Sessions counts the sessions that have not ended.
func (s *Server) Sessions() int { return s.sessions.count() }

// sleep waits for d; it returns false when ctx is done before.
func (s *Server) sleep(ctx context.Context, name string, d time.Duration) bool {
	over := make(chan struct{})
	t := s.clock.AfterFunc(name, d, func() { close(over) })
	defer t.Stop()
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

// How often the server looks after its sessions and its sockets.
const (
	sweepEvery  = 2 * time.Second
	censusEvery = time.Minute
)

// startWork starts what the server does besides running sessions.
func (s *Server) startWork() {
	if s.unstartable = s.startLoops(); s.unstartable != nil {
		return
	}
	s.periodic(timerSweep, sweepEvery, func(now time.Time) {
		s.loops.trim()
		s.findLeaks(now)
	})
	s.periodic(timerPools, poolsEvery, s.keepPools)
	s.periodic(timerCensus, censusEvery, s.takeCensus)
}

// stopWork ends it; no session is left.
func (s *Server) stopWork() {
	s.started.Do(func() {}) // what is being started has started, and nothing will
	s.endLife()
	s.work.Wait() // the sweep wakes the loops
	s.awaitListeners()
	s.stopLoops()
}

// track notes that clients of a listener are accepted. It returns what is closed with the
// listener; nil: no more clients are wanted.
func (s *Server) track(ln net.Listener) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosing() || s.retiring.Load() {
		return nil
	}
	l := &servedListener{closed: make(chan struct{})}
	s.listeners[ln] = l
	return l.closed
}

func (s *Server) untrack(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
	s.fewer.Broadcast()
}

// awaitListeners returns when no client is accepted any more.
func (s *Server) awaitListeners() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.listeners) > 0 {
		s.fewer.Wait()
	}
}

func (s *Server) isClosing() bool { return s.accepting.Err() != nil }

// closeListeners lets no client in any more, and gives up what is on its way back to a pool.
func (s *Server) closeListeners() {
	s.closeAccepting()
	s.sessions.each(func(ses *session) { ses.stopReturning() })
}

func (s *Server) closeAccepting() {
	s.endAccepting()
	for _, ln := range s.served() {
		s.CloseListener(ln)
	}
}

// served returns the listeners of which clients are accepted. Once no more clients are wanted,
// there will be no others.
func (s *Server) served() []net.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.listeners))
}

// Drain closes the listeners at once and asks every session to end at a safe
// point: BYE to the client, LOGOUT to the backend. What is left when ctx or
// Limits.Drain ends is cut. It returns when no session is left, with an error
// when some had to be cut.
func (s *Server) Drain(ctx context.Context) error {
	s.retiring.Store(false)
	s.closeListeners()
	s.awaitListeners() // the loops have time for it before the sessions end
	ctx, free := timing.Within(ctx, s.clock, timerDrain, s.Settings().Limits.Drain, errDrainLimit)
	defer free()
	s.sessions.each(func(ses *session) { ses.drain(endShutdown) })
	s.closePools() // after it, so that a login that waits ends, and does not dial
	select {
	case <-s.sessions.empty():
		if s.awaitPools(ctx) {
			s.stopWork()
			return nil
		}
	case <-ctx.Done():
	}
	left := s.sessions.count()
	s.Close()
	return &CutError{left, context.Cause(ctx)}
}

var errDrainLimit = errors.New("the drain limit was reached")

// CutError says how many sessions did not reach a safe point in time.
type CutError struct {
	Sessions int
	Cause    error
}

func (e *CutError) Error() string { return "sessions were cut: " + e.Cause.Error() }

// Close cuts every session, those that are ending already included, and
// returns when none is left, well within a second.
func (s *Server) Close() {
	s.retiring.Store(false)
	s.closeListeners()
	s.awaitListeners() // who is being let in is cut with the others
	s.closePools()
	for _, p := range s.pools() {
		p.Hurry()
	}
	s.sessions.each(func(ses *session) {
		ses.interrupter.cut(endShutdown, nil)
		ses.hurry()
	})
	for _, c := range s.dialer.Registry.All() {
		c.Hurry()
	}
	<-s.sessions.empty()
	s.awaitPools(context.Background()) // each ending is bounded
	s.stopWork()
}

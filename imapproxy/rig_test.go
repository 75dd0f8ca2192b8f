package imapproxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/ledger"
	"imapproxy/backend/loop"
	"imapproxy/backend/timing"
	"imapproxy/backend/wire"
)

// patience bounds every wait of a test.
const patience = time.Minute

// canary is the password of every login in the tests; it may stand in no log.
const canary = "c4nary-S3cret-Zq9"

// rig is a proxy between clients and a scripted backend, all in this process.
// At the test's end it checks that nothing is left of them.
type rig struct {
	t          testing.TB
	server     *Server
	settings   *Settings
	auth       auth.Authenticator
	router     backend.Router
	target     *backend.Target
	backend    *scriptedBackend
	backendOn  net.Listener // nil: TCP
	backendTLS bool         // TLS from the first byte
	script     backendScript
	clock      timing.Clock
	resolve    func(context.Context, string, string) ([]netip.Addr, error)
	log        *logBook
	resolving  atomic.Int64 // look-ups under way, where a test counts them

	serving     sync.WaitGroup
	listen      func(name string) (net.Listener, string) // and the address
	addresses   map[string]string
	ownAccept   []net.Listener
	acceptOver  atomic.Bool
	endingsOver func() // the fake clock needs no help any more
	clients     []*testClient
	files       int // descriptors before the rig
}

// option changes a rig before it starts.
type option func(*rig)

func withClock(c timing.Clock) option      { return func(r *rig) { r.clock = c } }
func withScript(s backendScript) option    { return func(r *rig) { r.script = s } }
func withLimits(f func(*Limits)) option    { return func(r *rig) { f(&r.settings.Limits) } }
func withAuth(a auth.Authenticator) option { return func(r *rig) { r.auth = a } }
func withTarget(f func(*backend.Target)) option {
	return func(r *rig) { f(r.target) }
}

// newRig starts a backend and a proxy. Listeners start when a client dials them.
func newRig(t testing.TB, options ...option) *rig {
	t.Helper()
	warmUp(t)
	r := &rig{t: t, log: &logBook{}, addresses: map[string]string{}, files: openFiles(t), clock: timing.System{},
		endingsOver: func() {}, auth: newFakeAuth(), script: mailbox}
	r.settings = &Settings{Hostname: "mail.example.test", Limits: Limits{
		Login: 60 * time.Second, Idle: 35 * time.Minute, HalfClose: 30 * time.Second, HalfCloseIdle: 5 * time.Second,
		Drain: 30 * time.Second, Farewell: 2 * time.Second, BadCommands: 3, FailedLogins: 3, Sessions: 100,
		ProxyTTL: 5}}
	r.target = &backend.Target{Name: "one", Limits: backend.Limits{Connect: 5 * time.Second, TLS: 5 * time.Second,
		Greeting: 5 * time.Second, Login: 5 * time.Second, Logout: 2 * time.Second}}
	r.listen = func(string) (net.Listener, string) {
		ln := listen(t)
		return ln, ln.Addr().String()
	}
	for _, o := range options {
		o(r)
	}
	if r.backendOn == nil {
		r.backendOn = listen(t)
	}
	r.backend = startBackendOn(t, r.backendOn, r.backendTLS, r.script)
	if r.target.Addresses == nil {
		r.target.Addresses = []string{r.backend.address()}
	}
	if r.router == nil {
		r.router = newFakeRouter(r.target)
	}
	r.settings.Auth, r.settings.Router, r.settings.Listeners = r.auth, r.router, testListeners()
	r.server = New(r.settings, &backend.Dialer{Clock: r.clock, Resolve: r.resolve}, zerolog.New(r.log))
	if c, fake := r.clock.(*fakeClock); fake {
		c.server = r.server
		endings := make(chan struct{})
		r.endingsOver = sync.OnceFunc(func() { close(endings) })
		r.serving.Go(func() { c.keepEndings(endings) })
	}
	t.Cleanup(r.finish)
	return r
}

// testListeners are the listeners a client can ask for: each name says how
// clients get TLS there.
func testListeners() map[string]*Listener {
	return map[string]*Listener{
		"plain":    {Name: "plain"},
		"insecure": {Name: "insecure", Insecure: true},
		"starttls": {Name: "starttls", TLS: StartTLS, TLSConfig: serverTLS()},
		"tls":      {Name: "tls", TLS: ImplicitTLS, TLSConfig: serverTLS()},
		"tokens": {Name: "tokens", Capabilities: []string{"IMAP4rev1", "X-OWN"}, BadCommands: 2,
			Mechanisms: []string{"PLAIN", auth.XOAuth2, auth.OAuthBearer, auth.CramMD5}},
		"compress":  {Name: "compress", Policy: policyOf(ledger.Rules{PassCompress: true})},
		"read-only": {Name: "read-only", Policy: policyOf(ledger.Rules{ReadOnly: true})},
		"deny":      {Name: "deny", Policy: policyOf(ledger.Rules{Deny: []string{"COPY", "IDLE"}, AppendLimit: 5})},
	}
}

func policyOf(r ledger.Rules) *ledger.Policy {
	p, err := ledger.NewPolicy(r)
	if err != nil {
		panic(err)
	}
	return p
}

// farPrefix before a listener's name makes its clients appear to come from
// farClient, an address that is not loopback.
const farPrefix = "far-"

var farClient = netip.MustParseAddr("192.0.2.7")

// heldPrefix before a listener's name keeps its sessions from beginning until the clock's release.
const heldPrefix = "held-"

// address starts the listener unless it runs already.
func (r *rig) address(name string) string {
	r.t.Helper()
	if a := r.addresses[name]; a != "" {
		return a
	}
	ln, address := r.listen(name)
	r.addresses[name] = address
	far, isFar := strings.CutPrefix(name, farPrefix)
	held, isHeld := strings.CutPrefix(name, heldPrefix)
	switch {
	case isFar:
		r.ownAccept = append(r.ownAccept, ln)
		r.serving.Go(func() { r.acceptBy(ln, r.settings.Listeners[far], r.startFar) })
	case isHeld:
		r.ownAccept = append(r.ownAccept, ln)
		r.serving.Go(func() { r.acceptBy(ln, r.settings.Listeners[held], r.startHeld) })
	default:
		r.serve(ln, name)
	}
	return r.addresses[name]
}

func (r *rig) serve(ln net.Listener, name string) {
	r.serving.Go(func() {
		if err := r.server.Serve(ln, name); !errors.Is(err, ErrClosed) {
			r.t.Errorf("Serve: %v", err)
		}
	})
}

// acceptBy accepts clients as an acceptor does; start starts their sessions.
func (r *rig) acceptBy(ln net.Listener, l *Listener, start func(*session)) {
	r.server.started.Do(r.server.startWork)
	socket, err := wire.NewListener(ln)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer socket.Close()
	for {
		conn, err := socket.Accept()
		if err == wire.ErrWouldBlock && !r.acceptOver.Load() {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		s := r.server.newSession(conn, l, r.settings, r.server.loops.next())
		_ = r.settings.TCP.Apply(&s.client.raw)
		start(s)
	}
}

func (r *rig) startFar(s *session) {
	s.client.proxied = &auth.Proxied{Client: netip.AddrPortFrom(farClient, s.client.addr().Port()),
		Server: s.client.local()}
	s.client.believed = true
	r.server.sessions.start(s, nil)
}

// startHeld starts a session whose task waits before its first step.
func (r *rig) startHeld(s *session) {
	r.server.sessions.add(s)
	s.loop.sessions.Add(1)
	free := r.clock.(*fakeClock).held
	s.loop.Post(loop.Func(func() {
		s.loop.Go(func(t *loop.Task) {
			s.limitLogin()
			_ = loop.Outside(t, func(context.Context) error { <-free; return nil })
			s.loop.Stop(&s.login.limit)
			r.server.sessions.run(s, t)
		})
	}))
}

// finish ends everything and looks for what may be left: sessions, listeners,
// descriptors, backend connections, and the canary in the log.
func (r *rig) finish() {
	r.acceptOver.Store(true)
	for _, ln := range r.ownAccept {
		_ = ln.Close()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.server.Close()
		r.endingsOver()
		r.serving.Wait()
	}()
	for _, c := range r.clients {
		_ = c.raw.Close()
	}
	select {
	case <-done:
	case <-time.After(patience):
		r.t.Errorf("Close has not returned; %d sessions are left\n%s", r.server.Sessions(), stacks())
		return
	}
	r.backend.stop()
	r.await("no session left", func() bool { return r.server.Sessions() == 0 })
	r.await("descriptors back to the baseline", func() bool { return openFiles(r.t) <= r.files })
	checkSecrets(r.t, r.log.text())
}

// await polls until the condition holds.
func (r *rig) await(what string, holds func() bool) {
	r.t.Helper()
	await(r.t, what, holds)
}

func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("waited in vain for: %s\n%s", what, stacks())
			return
		}
	}
}

// restful waits until no session is left and every backend connection is
// closed on both sides.
func (r *rig) restful() {
	r.t.Helper()
	r.await("no session left", func() bool { return r.server.Sessions() == 0 })
	r.await("every backend connection over", func() bool {
		return !slices.ContainsFunc(r.backend.all(), func(c *backendConn) bool { return c.ended() == "" })
	})
}

// listen listens without MPTCP, which Go has by default: its sockets know no
// socket filter.
func listen(t testing.TB) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// warmUp makes the runtime open what it keeps, its poller's descriptors.
func warmUp(t testing.TB) {
	t.Helper()
	ln := listen(t)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
}

// openFiles counts this process's descriptors.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

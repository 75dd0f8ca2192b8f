package imapproxy

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/wire"
)

// acceptor accepts the clients of a listener, in every loop.
type acceptor struct {
	server *Server
	name   string
	socket *wire.Listener

	clients interface {
		Accept() (wire.Descriptor, error)
	} // socket, but in tests
	loops []*loopAcceptor // before the first client

	mu     sync.Mutex      // protects what follows; nothing blocks under it
	set    wire.TCPOptions // on the listening socket: its clients begin with them
	before int             // clients to come that may have connected before they were set
}

// Serve accepts clients of the listener that the settings know by name, until
// CloseListener. It survives running out of descriptors.
func (s *Server) Serve(ln net.Listener, name string) error {
	closed := s.track(ln)
	if closed == nil {
		_ = ln.Close()
		return ErrClosed
	}
	defer s.untrack(ln)
	if s.started.Do(s.startWork); s.unstartable != nil {
		return s.unstartable
	}
	socket, err := wire.NewListener(ln)
	switch {
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	case err != nil:
		return fmt.Errorf("imapproxy: listener %s: %w", name, err)
	}
	a := &acceptor{server: s, name: name, socket: socket, clients: socket}
	defer a.stop()
	if err := a.start(); err != nil {
		return fmt.Errorf("imapproxy: listener %s: %w", name, err)
	}
	<-closed
	return ErrClosed
}

// CloseListener closes a listener and ends its Serve.
func (s *Server) CloseListener(ln net.Listener) {
	_ = ln.Close() // not under the lock, which the loops wait for: it may remove a file
	s.endServe(ln)
}

func (s *Server) endServe(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.listeners[ln]; l != nil && !l.isClosed {
		l.isClosed = true
		close(l.closed)
	}
}

// servedListener is a listener of which clients are accepted.
type servedListener struct {
	closed   chan struct{}
	isClosed bool
}

// do runs f in the loop and waits until it has, or the loop is over.
func (l *sessionLoop) do(f func()) {
	done := make(chan struct{})
	l.Post(loop.Func(func() { defer close(done); f() }))
	select {
	case <-done:
	case <-l.over:
	}
}

// start accepts clients in every loop.
func (a *acceptor) start() (err error) {
	for _, l := range a.server.loops.all {
		a.loops = append(a.loops, &loopAcceptor{acceptor: a, loop: l})
	}
	for _, x := range a.loops {
		x.loop.do(func() { err = errors.Join(err, x.loop.Listen(a.socket, x)) })
	}
	return err
}

// stop accepts no more.
func (a *acceptor) stop() {
	for _, x := range a.loops {
		x.loop.do(x.leave)
	}
	_ = a.socket.Close()
}

// loopAcceptor accepts clients in one loop.
type loopAcceptor struct {
	*acceptor
	loop  *sessionLoop
	pause time.Duration // the last one after an error; 0: there was none
	timer loop.Timer
	left  bool
}

// leave accepts no more, nor after a pause: the socket's number may be another's then.
func (a *loopAcceptor) leave() {
	a.left = true
	a.loop.Stop(&a.timer)
	a.loop.Unlisten(a.socket)
}

// Pauses after a failed accept: descriptors come back as sessions end, and a
// loop that spins would only slow that down.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// Note accepts a client. The loop reports at once when more wait.
func (a *loopAcceptor) Note(wire.Events) {
	client, err := a.clients.Accept()
	switch {
	case errors.Is(err, wire.ErrWouldBlock): // another loop was faster
	case err != nil:
		a.failed(err)
	default:
		a.pause = 0
		a.server.guarded("accept", func() { a.admit(client, a.loop) })
	}
}

// failed lets the clients wait for a while.
func (a *loopAcceptor) failed(err error) {
	s := a.server
	a.pause = min(max(2*a.pause, firstPause), lastPause)
	s.metrics.acceptFailed.Inc()
	s.log.Warn().Err(err).Str("listener", a.name).Dur("pause", a.pause).
		Msg("accept failed; clients wait in the backlog")
	a.loop.Unlisten(a.socket)
	a.timer = loop.Timer{Name: timerAccept, Do: loop.Func(a.resume)}
	a.loop.Set(&a.timer, a.loop.In(a.pause))
}

// resume accepts clients again, or tries once more later: the kernel may have no memory for it.
func (a *loopAcceptor) resume() {
	if a.left {
		return
	}
	if err := a.loop.Listen(a.socket, a); err != nil {
		a.failed(err)
	}
}

// admit starts the session of a client, in the loop that has accepted it or in one with fewer sessions, or turns the
// client away.
func (a *acceptor) admit(client wire.Descriptor, from *sessionLoop) {
	s, started := a.server, false
	defer func() {
		if !started { // turned away, or a panic
			client.Close()
		}
	}()
	fault.Point("server.admit")
	settings := s.Settings()
	l := settings.Listeners[a.name]
	if l == nil || s.isClosing() {
		return
	}
	ses := s.newSession(client, l, settings, s.loops.fewer(from))
	a.inherit(cmp.Or(l.TCP, settings.TCP), ses)
	if s.sessions.count() >= settings.Limits.Sessions {
		ses.interrupter.cut(endOverload, nil)
	}
	started = true
	s.sessions.start(ses, from)
}

// inherit sets the options of clients' sockets on the listening socket, whose clients begin with
// them. Those that were in its queue, or on their way into a session, have the former ones.
func (a *acceptor) inherit(o wire.TCPOptions, ses *session) {
	if ses.client.raw.IsUnix() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if o != a.set {
		_ = o.Apply(a.socket) // a socket without them still works; a vanished client is found later
		a.set, a.before = o, a.socket.Queued()+len(a.loops)
	}
	if a.before > 0 {
		a.before--
		_ = o.Apply(&ses.client.raw)
	}
}

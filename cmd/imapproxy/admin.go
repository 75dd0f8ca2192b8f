package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/cmd/imapproxy/logging"
	"imapproxy/imapproxy"
)

// admin serves administrators and monitoring concurrently with the proxy, on a listener of
// its own. Its methods belong to the daemon's goroutine; the requests see only
// what is safe for all.
type admin struct {
	proxy   *imapproxy.Server
	log     zerolog.Logger
	phase   atomic.Int32
	reloads reloads
	drain   chan struct{} // receives when a drain is asked for
	answers http.Handler
	current *adminListener // nil for none
}

// reloads is what became of the last reading of the configuration.
type reloads struct {
	good atomic.Bool
	at   atomic.Int64 // when the configuration in force was read, in Unix milliseconds
}

func (r *reloads) note(good bool) {
	r.good.Store(good)
	if good {
		r.at.Store(time.Now().UnixMilli())
	}
}

// The phases of the daemon, for /readyz.
const (
	phaseStarting int32 = iota
	phaseServing
	phaseDraining
)

func newAdmin(proxy *imapproxy.Server, log zerolog.Logger, lines *logging.Writer) *admin {
	a := &admin{proxy: proxy, log: log, drain: make(chan struct{}, 1)}
	a.reloads.note(true)
	a.answers = a.routes(lines)
	return a
}

// open listens where the configuration says, without answering yet. It gives
// the listener that there is when the place has not changed, and nil for none.
func (a *admin) open(to adminAccess) (*adminListener, error) {
	if to.Network == "" {
		return nil, nil
	}
	if c := a.current; c != nil && c.network == to.Network && c.address == to.Address {
		return c, nil
	}
	ln, err := listenAdmin(to)
	if err != nil {
		return nil, fmt.Errorf("the admin listener can't listen on %s: %w%s", to.name(), plainNet(err),
			listenRemedy(to.name(), err))
	}
	l := &adminListener{network: to.Network, address: to.Address, ln: ln, log: a.log, answers: a.answers,
		over: make(chan struct{})}
	return l, nil
}

// adopt answers on a listener that open gave, and closes the one before.
func (a *admin) adopt(l *adminListener, to adminAccess) {
	if l != nil {
		l.setToken(to.Token)
	}
	if l == a.current {
		return
	}
	a.stop()
	a.current = l
	if l != nil {
		l.start()
		a.log.Info().Str("address", to.name()).Msg("admin listener: listening")
	}
}

// stop closes the listener; what is being answered gets a moment.
func (a *admin) stop() {
	if a.current != nil {
		a.current.stop()
		a.current = nil
	}
}

// Limits of the admin listener: whoever reaches it can't hold it up.
const (
	adminHeaderLimit = 5 * time.Second
	adminWriteLimit  = 30 * time.Second // profiles get their own time on top
	adminKeepAlive   = time.Minute
	adminStopLimit   = time.Second
	adminHeaderBytes = 16 << 10
	adminConnections = 64
)

// adminListener is one listener with its HTTP server.
type adminListener struct {
	network, address string
	ln               net.Listener
	log              zerolog.Logger
	answers          http.Handler
	token            atomic.Pointer[tokenSum] // of a TCP listener
	open             atomic.Int64             // connections
	server           *http.Server
	over             chan struct{}
}

func (l *adminListener) start() {
	l.server = &http.Server{
		Handler: l, ReadHeaderTimeout: adminHeaderLimit, WriteTimeout: adminWriteLimit, IdleTimeout: adminKeepAlive,
		MaxHeaderBytes: adminHeaderBytes, ErrorLog: adminErrorLog(l.log), ConnState: l.countConnections,
	}
	go l.serve()
}

func (l *adminListener) serve() {
	defer close(l.over)
	if err := l.server.Serve(l.ln); !errors.Is(err, http.ErrServerClosed) {
		l.log.Error().Err(err).Msg("admin listener: ended")
	}
}

// countConnections closes a connection that is one too many at once.
func (l *adminListener) countConnections(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if l.open.Add(1) > adminConnections {
			_ = c.Close() // the server notices and forgets it
		}
	case http.StateClosed, http.StateHijacked:
		l.open.Add(-1)
	}
}

func (l *adminListener) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), adminStopLimit)
	defer cancel()
	if l.server.Shutdown(ctx) != nil {
		_ = l.server.Close()
	}
	<-l.over
}

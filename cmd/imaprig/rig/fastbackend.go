package rig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// BackendOptions are the flags of imaprig backend.
type BackendOptions struct {
	Listen     string
	TLSListen  string // "" for none
	loginDelay time.Duration
	storeDelay time.Duration // of APPEND and SEARCH
	IdlePush   time.Duration // between two new messages in IDLE, 0 = none
	IgnoreEOF  bool          // sessions in clear never notice that the client has closed; LOGOUT ends them
}

const backendHelp = `usage: imaprig backend [flags]

An IMAP server that does as little as one can, so that a measurement through a proxy does not measure the backend. Every
user may log in, except with the password "wrong". Each mailbox has four
messages, of 8 KiB, 1 MiB, 64 MiB and 256 KiB, and takes any APPEND, which it discards. Its answer to ID has the number
of logins so far. It acknowledges a command whose literal has not come yet at once, as Dovecot does. It runs until
SIGINT or SIGTERM. For load tests on one machine: it keeps nothing, checks nothing and limits little.

`

// RunBackend runs the subcommand backend and returns its exit code.
func RunBackend(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o BackendOptions
	flags := NewFlags("backend")
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:1430", "listen on `HOST:PORT` in clear, with STARTTLS")
	flags.StringVar(&o.TLSListen, "tls-listen", "", "listen on `HOST:PORT` too, with TLS from the first byte; the "+
		"certificate is self-signed and made at start")
	flags.DurationVar(&o.loginDelay, "login-delay", 0, "answer each login after this `TIME`")
	flags.DurationVar(&o.storeDelay, "store-delay", 0, "answer each APPEND and SEARCH after this `TIME`")
	flags.DurationVar(&o.IdlePush, "idle-push", 0, "send a client in IDLE a new message each time this `TIME` has "+
		"passed (without it: never)")
	flags.BoolVar(&o.IgnoreEOF, "ignore-eof", false, "be a faulty server: do not notice, on --listen, that a client "+
		"has closed; only LOGOUT ends a session")
	err := ParseFlags(flags, args, backendHelp, stdout)
	if err == nil && min(o.loginDelay, o.storeDelay, o.IdlePush) < 0 {
		err = errors.New("--login-delay, --store-delay and --idle-push: want no negative time")
	}
	if err != nil {
		return Failed(stderr, "backend", WrongInput(err))
	}
	return Failed(stderr, "backend", o.run(ctx, stdout))
}

// run serves until ctx ends.
func (o BackendOptions) run(ctx context.Context, stdout io.Writer) error {
	if err := RaiseOpenFileLimit(); err != nil {
		return err
	}
	b, err := NewFastBackend(ctx, o)
	if err != nil {
		return err
	}
	for i, addr := range b.Addrs() {
		fmt.Fprintf(stdout, "listening on %v%s\n", addr, []string{"", " with TLS"}[i])
	}
	return b.Run(ctx)
}

// FastBackend is the server of imaprig backend.
type FastBackend struct {
	opts      BackendOptions
	listeners []net.Listener // in clear, and with TLS if that was wanted
	tls       *tls.Config
	body      *Body
	server    FastServer
	logins    atomic.Uint64
	accepted  atomic.Int64
	hangs     atomic.Bool
}

// FastBodySize is the size of the largest message, in bytes.
const FastBodySize = 64 << 20

// fastSizes returns the sizes of the messages of every mailbox, in bytes.
func fastSizes() []int { return []int{8 << 10, 1 << 20, FastBodySize, 256 << 10} }

// NewFastBackend returns a server that listens. Run must be called, and closes it.
func NewFastBackend(ctx context.Context, o BackendOptions) (_ *FastBackend, err error) {
	addrs := []string{o.Listen}
	if o.TLSListen != "" {
		addrs = append(addrs, o.TLSListen)
	}
	b := &FastBackend{opts: o}
	if b.listeners, err = listenAll(ctx, addrs...); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeListeners(b.listeners)
		}
	}()
	cert, err := SelfSigned()
	if err != nil {
		return nil, err
	}
	b.tls = &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}
	if b.body, err = NewBody(FastBodySize); err != nil {
		return nil, err
	}
	b.server.Serve = b.serve
	return b, nil
}

// Addrs returns where it listens: in clear, then with TLS if that was wanted.
func (b *FastBackend) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, ln := range b.listeners {
		addrs = append(addrs, ln.Addr())
	}
	return addrs
}

// Accepted returns how many connections there were.
func (b *FastBackend) Accepted() int { return int(b.accepted.Load()) }

// Hang makes a server with IgnoreEOF read nothing more, not even LOGOUT, from any connection.
func (b *FastBackend) Hang() { b.hangs.Store(true) }

// Run serves until ctx ends.
func (b *FastBackend) Run(ctx context.Context) error {
	return errors.Join(b.server.Accept(ctx, b.listeners...), b.body.Close())
}

// serve serves one connection.
func (b *FastBackend) serve(conn *net.TCPConn) {
	b.accepted.Add(1)
	if err := conn.SetDeadline(time.Now().Add(fastSessionLimit)); err != nil {
		return
	}
	s := &fastSession{backend: b, conn: conn, socket: conn}
	switch {
	case len(b.listeners) > 1 && conn.LocalAddr().String() == b.listeners[1].Addr().String():
		s.conn = tls.Server(conn, b.tls)
	case b.opts.IgnoreEOF:
		s.conn = &pollingConn{conn, &b.hangs}
	}
	s.run()
}

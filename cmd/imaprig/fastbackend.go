package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// backendOptions are the flags of imaprig backend.
type backendOptions struct {
	listen     string
	tlsListen  string // "" for none
	loginDelay time.Duration
	idlePush   time.Duration // between two new messages in IDLE, 0 = none
}

const backendHelp = `usage: imaprig backend [flags]

An IMAP server that does as little as one can, so that a measurement through a proxy does not measure the backend. Every
user may log in, but for the password "wrong". Each mailbox has the messages
  1  8 KiB      2  1 MiB      3  64 MiB
and takes any APPEND, which it throws away. Its answer to ID has the number of logins so far. It runs until SIGINT or SIGTERM. For load tests on one machine: it keeps
nothing, checks nothing and limits little.

`

// runBackend is the subcommand.
func runBackend(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o backendOptions
	flags := newFlags("backend")
	flags.StringVar(&o.listen, "listen", "127.0.0.1:1430", "`ADDR` in clear, with STARTTLS")
	flags.StringVar(&o.tlsListen, "tls-listen", "", "`ADDR` with TLS from the first byte; the certificate is made at start and nobody vouches for it")
	flags.DurationVar(&o.loginDelay, "login-delay", 0, "answer each login after this time")
	flags.DurationVar(&o.idlePush, "idle-push", 0, "tell a client in IDLE of a new message this often, 0 = never")
	err := parseFlags(flags, args, backendHelp, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err == nil && (o.loginDelay < 0 || o.idlePush < 0):
		err = errors.New("--login-delay and --idle-push: want no negative time")
	}
	if err != nil {
		fmt.Fprintf(stderr, "imaprig backend: %v\n", err)
		return exitUsage
	}
	if err := o.run(ctx, stdout); err != nil {
		fmt.Fprintf(stderr, "imaprig backend: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// run serves until ctx ends.
func (o backendOptions) run(ctx context.Context, stdout io.Writer) error {
	if err := raiseOpenFileLimit(); err != nil {
		return err
	}
	b, err := newFastBackend(ctx, o)
	if err != nil {
		return err
	}
	for i, addr := range b.Addrs() {
		fmt.Fprintf(stdout, "listening on %v%s\n", addr, []string{"", " with TLS"}[i])
	}
	return b.Run(ctx)
}

// fastBackend is the server of imaprig backend.
type fastBackend struct {
	opts      backendOptions
	listeners []net.Listener // in clear, and with TLS if that was wanted
	tls       *tls.Config
	body      *body
	server    fastServer
	logins    atomic.Uint64
}

const fastBodySize = 64 << 20

// fastSizes are the messages of every mailbox, in bytes.
func fastSizes() []int { return []int{8 << 10, 1 << 20, fastBodySize} }

// newFastBackend listens. Run must be called, and closes.
func newFastBackend(ctx context.Context, o backendOptions) (*fastBackend, error) {
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	addrs := []string{o.listen}
	if o.tlsListen != "" {
		addrs = append(addrs, o.tlsListen)
	}
	b := &fastBackend{opts: o, tls: &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}}
	if b.body, err = newBody(fastBodySize); err != nil {
		return nil, err
	}
	if b.listeners, err = listenAll(ctx, addrs...); err != nil {
		return nil, errors.Join(err, b.body.Close())
	}
	b.server.serve = b.serve
	return b, nil
}

// Addrs returns where it listens: in clear, then with TLS if that was wanted.
func (b *fastBackend) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, ln := range b.listeners {
		addrs = append(addrs, ln.Addr())
	}
	return addrs
}

// Run serves until ctx ends.
func (b *fastBackend) Run(ctx context.Context) error {
	return errors.Join(b.server.accept(ctx, b.listeners...), b.body.Close())
}

// serve is one connection.
func (b *fastBackend) serve(conn *net.TCPConn) {
	if err := conn.SetDeadline(time.Now().Add(fastSessionLimit)); err != nil {
		return
	}
	s := &fastSession{backend: b, conn: conn}
	if len(b.listeners) > 1 && conn.LocalAddr().String() == b.listeners[1].Addr().String() {
		s.conn = tls.Server(conn, b.tls)
	}
	s.run()
}

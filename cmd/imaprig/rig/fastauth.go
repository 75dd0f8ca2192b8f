package rig

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

const authHelp = `usage: imaprig authserver [flags]

An HTTP service that speaks the protocol of nginx's auth_http and does as little as one can: it sends every user to
one backend, except those whose password is "wrong". It runs until SIGINT or SIGTERM. For load tests on one machine.

`

// RunAuthServer runs the subcommand authserver and returns its exit code.
func RunAuthServer(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := NewFlags("authserver")
	listen := flags.String("listen", "127.0.0.1:1431", "listen on `HOST:PORT`")
	backend := flags.String("backend", "127.0.0.1:1430", "`IP:PORT` of the backend that users are sent to")
	err := ParseFlags(flags, args, authHelp, stdout)
	var target netip.AddrPort
	if err == nil {
		if target, err = netip.ParseAddrPort(*backend); err != nil {
			err = fmt.Errorf("--backend %q: want an IP address and a port such as 127.0.0.1:1430", *backend)
		}
	}
	if err != nil {
		return Failed(stderr, "authserver", WrongInput(err))
	}
	a, err := newFastAuth(ctx, *listen, target)
	if err == nil {
		fmt.Fprintf(stdout, "listening on http://%v\n", a.listener.Addr())
		err = a.run(ctx)
	}
	return Failed(stderr, "authserver", err)
}

const (
	fastHeader    = 8 << 10 // bytes of a request's line, at most
	fastHeaders   = 64      // lines of a request, at most
	fastAuthLimit = 10 * time.Minute
)

// fastAuth is the server of imaprig authserver. It knows of HTTP what two clients need: nginx, which asks in HTTP/1.0
// with a connection each, and clients that keep theirs.
type fastAuth struct {
	listener         net.Listener
	server           FastServer
	granted, refused []byte // whole responses
}

// newFastAuth returns a server that listens. run must be called, and closes it.
func newFastAuth(ctx context.Context, listen string, backend netip.AddrPort) (*fastAuth, error) {
	listeners, err := listenAll(ctx, listen)
	if err != nil {
		return nil, err
	}
	const response = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n"
	a := &fastAuth{
		listener: listeners[0],
		granted: fmt.Appendf(nil, response, fmt.Sprintf("Auth-Status: OK\r\nAuth-Server: %s\r\nAuth-Port: %d\r\n",
			backend.Addr(), backend.Port())),
		refused: fmt.Appendf(nil, response, "Auth-Status: Invalid login or password\r\n"),
	}
	a.server.Serve = a.serve
	return a, nil
}

// run serves until ctx ends.
func (a *fastAuth) run(ctx context.Context) error { return a.server.Accept(ctx, a.listener) }

func (a *fastAuth) serve(conn *net.TCPConn) {
	in := bufio.NewReaderSize(conn, fastHeader)
	for {
		if conn.SetDeadline(time.Now().Add(fastAuthLimit)) != nil {
			return
		}
		keep, refused, err := readAuthRequest(in)
		if err != nil {
			return
		}
		answer := a.granted
		if refused {
			answer = a.refused
		}
		if _, err := conn.Write(answer); err != nil || !keep {
			return
		}
	}
}

// readAuthRequest reports whether the connection is kept and whether the password is refused.
func readAuthRequest(in *bufio.Reader) (keep, refused bool, err error) {
	for lines := 0; lines < fastHeaders; lines++ {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return false, false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if lines == 0 {
			keep = bytes.HasSuffix(line, []byte(" HTTP/1.1"))
			continue
		}
		if len(line) == 0 {
			return keep, refused, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Auth-Pass")):
			refused = string(value) == wrongPassword
		case bytes.EqualFold(name, []byte("Connection")):
			keep = !bytes.EqualFold(value, []byte("close"))
		}
	}
	return false, false, errTooLong
}

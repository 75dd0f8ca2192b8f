package backendcheck

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend"
)

// patience bounds whatever a test waits for.
const patience = 20 * time.Second

// server is a backend that does the same with each connection.
type server struct {
	addr string
	mu   sync.Mutex // protects number
	seen int        // connections
}

// serve starts a server; each connection, of which n is the number from 1 on, is closed when
// talk returns. The test waits for every connection to end.
func serve(t *testing.T, talk func(n int, c net.Conn)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: ln.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.seen++
			n := s.seen
			s.mu.Unlock()
			all.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetDeadline(time.Now().Add(patience))
				talk(n, c)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		all.Wait()
	})
	return s
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// certificate returns a server's certificate for 127.0.0.1, and who believes it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	h := httptest.NewTLSServer(nil)
	defer h.Close()
	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	return &tls.Config{Certificates: h.TLS.Certificates}, pool
}

// imap speaks as much IMAP as a check needs, with the capabilities given; an untagged or
// tagged answer of its own may be given for each command.
type imap struct {
	capabilities string
	tls          *tls.Config // for STARTTLS
	answers      map[string]string
	stays        bool // open after LOGOUT
}

func (i imap) talk(c net.Conn) {
	_, _ = io.WriteString(c, "* OK [CAPABILITY "+i.capabilities+"] ready\x1b[31m\r\n")
	i.commands(c, bufio.NewReader(c))
}

func (i imap) commands(c net.Conn, in *bufio.Reader) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		tag, command, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		verb, _, _ := strings.Cut(command, " ")
		answer, known := i.answers[verb]
		switch {
		case known:
		case verb == "CAPABILITY":
			answer = "* CAPABILITY " + i.capabilities + "\r\nTAG OK done"
		case verb == "STARTTLS" && i.tls != nil:
			_, _ = io.WriteString(c, tag+" OK go\r\n")
			c = tls.Server(c, i.tls)
			in = bufio.NewReader(c)
			continue
		case verb == "LOGOUT" && i.stays:
			_, _ = io.Copy(io.Discard, in)
			return
		case verb == "LOGOUT":
			_, _ = io.WriteString(c, "* BYE\r\n"+tag+" OK bye\r\n")
			return
		default:
			answer = "TAG BAD what"
		}
		_, _ = io.WriteString(c, strings.ReplaceAll(answer, "TAG", tag)+"\r\n")
	}
}

// targetAt is a target with limits that no test reaches unless it sets them.
func targetAt(addr string, mode backend.TLSMode, pool *x509.CertPool) *backend.Target {
	t := &backend.Target{Name: "one", Addresses: []string{addr}, TLS: mode, Limits: backend.Limits{Connect: patience,
		TLS: patience, Greeting: time.Hour, Login: patience, Logout: patience}}
	if mode != backend.TLSOff {
		t.TLSConfig = &tls.Config{RootCAs: pool}
	}
	return t
}

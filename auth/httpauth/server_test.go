package httpauth

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"imapproxy/auth"
)

// canary is a password that no error text may hold.
const canary = "kanarie 7c1f\"%"

// rawServer is an auth server that answers whatever a test wants, byte for byte.
type rawServer struct {
	ln    net.Listener
	conns atomic.Int32 // connections so far
}

// newRawServer serves each connection with handle, which gets each question's
// head in turn and returns the answer; "" closes the connection.
func newRawServer(t *testing.T, network, address string, handle func(head string) string) *rawServer {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{ln: ln}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			go s.serve(conn, handle)
		}
	}()
	return s
}

func (s *rawServer) serve(conn net.Conn, handle func(string) string) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for {
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
		}
		answer := handle(head.String())
		if answer == "" {
			return
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
	}
}

func (s *rawServer) url() string { return "http://" + s.ln.Addr().String() + "/auth?x=1" }

// answering gives a raw server that always answers so, and a client for it.
func answering(t *testing.T, o Options, answer string) *Client {
	t.Helper()
	o.URL = newRawServer(t, "tcp", "127.0.0.1:0", func(string) string { return answer }).url()
	return newClient(t, o)
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	c.sleep = func(context.Context, time.Duration) error { return nil }
	return c
}

// ok is an answer with these header lines.
func ok(lines ...string) string { return status("200 OK", lines...) }

func status(code string, lines ...string) string {
	lines = append([]string{"HTTP/1.1 " + code, "Content-Length: 2"}, lines...)
	return strings.Join(lines, "\r\n") + "\r\n\r\nok"
}

func bob() *auth.Request {
	return &auth.Request{
		Mechanism: "PLAIN", User: "bob", Secret: canary, Attempt: 1,
		Client: netip.MustParseAddrPort("192.0.2.7:4711"),
	}
}

// outcome sorts an answer into the three there are, and fails when it is none
// of them or an error holds the password.
func outcome(t *testing.T, g *auth.Grant, err error) (string, *auth.Denied) {
	t.Helper()
	var denied *auth.Denied
	switch {
	case (g == nil) == (err == nil):
		t.Fatalf("neither or both: %+v, %v", g, err)
	case err == nil:
		return "granted", nil
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, echo := range []string{canary, escape(canary), "kanarie"} {
			if strings.Contains(e.Error(), echo) {
				t.Errorf("the password is in an error: %v", e)
			}
		}
	}
	if errors.As(err, &denied) {
		if strings.Contains(denied.Text+denied.Code, "kanarie") {
			t.Errorf("the password is in the client's text: %q", denied.Text)
		}
		return "denied", denied
	}
	return "unavailable", nil
}

func headerLines(head string) http.Header {
	h := http.Header{}
	for _, line := range strings.Split(strings.TrimSpace(head), "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = append(h[name], value)
	}
	return h
}

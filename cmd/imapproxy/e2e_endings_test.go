package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/backend"
	"imapproxy/backend/timing"
	"imapproxy/imapproxy"
)

// line is a client that writes and reads lines by hand, to leave where a
// library would not.
type line struct {
	net.Conn
	r *bufio.Reader
}

// open connects to an endpoint and reads the greeting.
func open(t *testing.T, e endpoint) *line {
	t.Helper()
	conn, err := net.Dial("tcp", e.address())
	try(t, "dial", err)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	l := &line{Conn: conn, r: bufio.NewReader(conn)}
	if e.Mode == tlsFirst {
		l.secure(t, e)
	}
	l.expect(t, "* OK ")
	if e.Mode == startTLS {
		l.command(t, "s STARTTLS", "s OK")
		l.secure(t, e)
	}
	return l
}

func (l *line) secure(t *testing.T, e endpoint) {
	t.Helper()
	conn := tls.Client(l.Conn, trusting(t, e.CAFile))
	try(t, "TLS", conn.Handshake())
	l.Conn, l.r = conn, bufio.NewReader(conn)
}

// expect reads lines up to one that begins with the prefix, and gives it.
func (l *line) expect(t *testing.T, prefix string) string {
	t.Helper()
	for {
		text, err := l.r.ReadString('\n')
		if err != nil {
			t.Fatalf("no line that begins with %q: %v", prefix, err)
		}
		if strings.HasPrefix(text, prefix) {
			return text
		}
	}
}

// expectEnd reads an end in order, with nothing in front of it, and closes.
func (l *line) expectEnd(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(l.r); err != nil || len(rest) > 0 {
		t.Errorf("read %q and %v, want the end", rest, err)
	}
	try(t, "close", l.Close())
}

// command sends a line and reads up to an answer that begins with the prefix.
func (l *line) command(t *testing.T, text, prefix string) string {
	t.Helper()
	l.send(t, text+"\r\n")
	return l.expect(t, prefix)
}

func (l *line) send(t *testing.T, text string) {
	t.Helper()
	_, err := io.WriteString(l, text)
	try(t, "send", err)
}

func (l *line) login(t *testing.T, a account) {
	t.Helper()
	l.command(t, "l AUTHENTICATE PLAIN "+string(saslPlain(a)), "l OK")
}

// reset ends the connection with a reset instead of a FIN.
func (l *line) reset(t *testing.T) {
	t.Helper()
	conn := l.Conn
	if wrapped, ok := conn.(*tls.Conn); ok {
		conn = wrapped.NetConn()
	}
	try(t, "linger", conn.(*net.TCPConn).SetLinger(0))
	try(t, "close", conn.Close())
}

// endings are ways for a client to leave that is logged in.
var endings = []struct {
	name  string
	leave func(t *testing.T, l *line)
}{
	{"logout", func(t *testing.T, l *line) {
		l.command(t, "x LOGOUT", "x OK")
		l.expectEnd(t)
	}},
	{"close", func(t *testing.T, l *line) { try(t, "close", l.Close()) }},
	{"reset", func(t *testing.T, l *line) { l.reset(t) }},
	{"close in IDLE", func(t *testing.T, l *line) {
		l.command(t, "a SELECT INBOX", "a OK")
		l.command(t, "b IDLE", "+")
		try(t, "close", l.Close())
	}},
	{"reset in IDLE", func(t *testing.T, l *line) {
		l.command(t, "a SELECT INBOX", "a OK")
		l.command(t, "b IDLE", "+")
		l.reset(t)
	}},
	{"close in a literal", func(t *testing.T, l *line) {
		l.command(t, "a APPEND INBOX {100000}", "+")
		l.send(t, "Subject: half\r\n\r\nof it\r\n")
		try(t, "close", l.Close())
	}},
	{"reset in a literal", func(t *testing.T, l *line) {
		l.command(t, "a APPEND INBOX {100000}", "+")
		l.send(t, "Subject: half\r\n\r\nof it\r\n")
		l.reset(t)
	}},
	{"reset in a command", func(t *testing.T, l *line) { l.send(t, "a SELE"); l.reset(t) }},
	{"half-close", func(t *testing.T, l *line) {
		type halfCloser interface{ CloseWrite() error }
		l.send(t, "a NOOP\r\n")
		try(t, "half-close", l.Conn.(halfCloser).CloseWrite())
		l.expect(t, "a OK")
		l.expectEnd(t)
	}},
}

// refusals are ways for a client to come and go without being logged in.
var refusals = []struct {
	name string
	do   func(t *testing.T, l *line)
}{
	{"wrong password, then the right one", func(t *testing.T, l *line) {
		l.command(t, `a LOGIN cat wrong`, "a NO [AUTHENTICATIONFAILED]")
		l.command(t, `b LOGIN cat cherry`, "b OK")
		l.command(t, "c LOGOUT", "c OK")
		l.expectEnd(t)
	}},
	{"wrong password, then gone", func(t *testing.T, l *line) {
		l.command(t, `a LOGIN bob wrong`, "a NO [AUTHENTICATIONFAILED]")
		l.reset(t)
	}},
	{"gone while the backend judges", func(t *testing.T, l *line) {
		l.send(t, "a LOGIN ann wrong\r\n") // Dovecot answers after a second
		l.reset(t)
	}},
	{"gone before the login", func(t *testing.T, l *line) { l.reset(t) }},
}

// TestEndings leaves the proxy in many ways, in every mode, and checks that
// the backend's side goes every time: no descriptor of the proxy's, no session
// at the Dovecots, no half message.
func TestEndings(t *testing.T) {
	t.Parallel() // most of it is waiting
	r := newRig(t)
	p, before := r.serve(t)
	for _, m := range []mode{plain, startTLS, tlsFirst} {
		for _, ending := range endings {
			t.Run(fmt.Sprintf("%s/%s", m, ending.name), func(t *testing.T) {
				for _, a := range []account{r.Ann, r.Bob, r.Cat} {
					l := open(t, r.endpoint(m))
					l.login(t, a)
					if who := a.Server.Who(t); len(who) != 1 || !strings.HasPrefix(who[0], a.User+" ") {
						t.Errorf("doveadm who says %q, want one session of %s", who, a.User)
					}
					ending.leave(t, l)
					r.nothingLeft(t, p, before)
				}
			})
		}
		for _, refusal := range refusals {
			t.Run(fmt.Sprintf("%s/%s", m, refusal.name), func(t *testing.T) {
				refusal.do(t, open(t, r.endpoint(m)))
				r.nothingLeft(t, p, before)
			})
		}
	}
	for _, a := range []account{r.Ann, r.Bob, r.Cat} {
		l := open(t, a.Server.endpoint(plain))
		l.login(t, a)
		if text := l.command(t, "a STATUS INBOX (MESSAGES)", "* STATUS"); !strings.Contains(text, "(MESSAGES 1)") {
			t.Errorf("INBOX of %s: %q, want only the canary: a half message must not be stored", a.User, text)
		}
	}
	r.noSecret(t, p)
	p.stop(t, syscall.SIGTERM, 5*time.Second)
}

// TestForwardedAddress checks that the backend learns the client's address by
// ID: the Dovecots trust loopback, and show it in their list.
func TestForwardedAddress(t *testing.T) {
	r := newRig(t)
	p, _ := r.serve(t)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	for _, a := range []account{r.Ann, r.Bob, r.Cat} {
		conn, err := dialer.Dial("tcp", r.endpoint(plain).address())
		try(t, "dial", err)
		l := &line{Conn: conn, r: bufio.NewReader(conn)}
		l.expect(t, "* OK")
		l.login(t, a)
		if who := a.Server.Who(t); len(who) != 1 || !strings.Contains(who[0], "(127.0.0.9)") {
			t.Errorf("doveadm who says %q, want %s from 127.0.0.9", who, a.User)
		}
		l.command(t, "x LOGOUT", "x OK")
		try(t, "close", conn.Close())
		noSessions(t, a.Server)
	}
	p.stop(t, syscall.SIGTERM, 5*time.Second)
}

// TestDrain stops the proxy while clients sit in IDLE, between commands and
// before the login: each reads BYE and the end, and no session stays behind.
func TestDrain(t *testing.T) {
	r := newRig(t)
	p, _ := r.serve(t)
	var clients []*line
	for _, m := range []mode{plain, startTLS, tlsFirst} {
		early, idle, quiet := open(t, r.endpoint(m)), open(t, r.endpoint(m)), open(t, r.endpoint(m))
		idle.login(t, r.Ann)
		idle.command(t, "a SELECT INBOX", "a OK")
		idle.command(t, "b IDLE", "+")
		quiet.login(t, r.Bob)
		clients = append(clients, early, idle, quiet)
	}
	began := time.Now()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for _, l := range clients {
			if text, err := l.r.ReadString('\n'); err != nil || !strings.HasPrefix(text, "* BYE ") {
				t.Errorf("a client reads %q and %v, want BYE", text, err)
			}
			_ = l.Close()
		}
	}()
	p.stop(t, syscall.SIGTERM, 10*time.Second)
	<-stopped
	t.Logf("drained in %v", time.Since(began))
	noSessions(t, r.One, r.Two)
}

// TestNoGoroutineLeft runs the server inside the test: once its clients have
// left, however they leave, it has the goroutines that it had before them.
func TestNoGoroutineLeft(t *testing.T) {
	r := newRig(t)
	g, report := loadGeneration(r.Config)
	if report.Failed() {
		report.Print(os.Stderr)
		t.Fatal("the configuration is refused")
	}
	server := imapproxy.New(g.Settings, &backend.Dialer{Clock: timing.System{}},
		zerolog.New(zerolog.NewTestWriter(t)))
	var serving sync.WaitGroup
	for name, port := range map[string]int{"imap": r.PlainPort, "imaps": r.TLSPort} {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		try(t, "listen", err)
		serving.Go(func() { _ = server.Serve(ln, name) })
	}
	defer serving.Wait()
	defer server.Close()
	open(t, r.endpoint(plain)).reset(t) // what starts with the first client has started
	open(t, r.endpoint(tlsFirst)).reset(t)
	before := steadyGoroutines(t, server)
	settled := func() (bool, string) {
		n := ownGoroutines()
		return n == before, fmt.Sprintf("%d goroutines, before it were %d:\n%s", n, before, stacks())
	}
	for _, m := range []mode{plain, startTLS, tlsFirst} {
		for _, ending := range endings {
			l := open(t, r.endpoint(m))
			if n := ownGoroutines(); n <= before {
				t.Fatalf("%d goroutines while a client is greeted, and %d without one: the test counts the wrong ones",
					n, before)
			}
			l.login(t, r.Ann)
			ending.leave(t, l)
		}
		for _, refusal := range refusals {
			refusal.do(t, open(t, r.endpoint(m)))
		}
		eventually(t, string(m), settled)
	}
	if n := server.Sessions(); n != 0 {
		t.Errorf("the server counts %d sessions", n)
	}
	noSessions(t, r.One, r.Two)
}

// steadyGoroutines is how many goroutines the server has without a session:
// the same number ten times in a row, since the last session's own goroutine
// may outlive the session by a moment.
func steadyGoroutines(t *testing.T, server *imapproxy.Server) int {
	t.Helper()
	number, times := 0, 0
	eventually(t, "goroutines without a session", func() (bool, string) {
		if n := ownGoroutines(); n != number || server.Sessions() > 0 {
			number, times = n, 0
		}
		times++
		return times > 10, stacks()
	})
	return number
}

// stacks are the stacks of all goroutines.
func stacks() string {
	buffer := make([]byte, 1<<20)
	return string(buffer[:runtime.Stack(buffer, true)])
}

// ownGoroutines counts the goroutines that run the proxy's packages.
func ownGoroutines() int {
	n := 0
	for _, stack := range strings.Split(stacks(), "\n\n") {
		if strings.Contains(stack, "\nimapproxy/imapproxy.") || strings.Contains(stack, "\nimapproxy/backend.") ||
			strings.Contains(stack, "\nimapproxy/auth.") {
			n++
		}
	}
	return n
}

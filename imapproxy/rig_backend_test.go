package imapproxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// backendScript is what a backend does with one connection. When it returns,
// what still comes is recorded until the proxy closes.
type backendScript func(c *backendConn)

// scriptedBackend runs a script for each connection and records all.
type scriptedBackend struct {
	t       testing.TB
	ln      net.Listener
	tls     bool // from the first byte
	running sync.WaitGroup

	mu      sync.Mutex // protects what follows
	conns   []*backendConn
	stopped bool
}

// backendConn is one connection at the backend.
type backendConn struct {
	number int // 0 for the first

	answering  string // see untilLogout
	afterLogin string // what it offers then, "" for the usual
	raw        stream
	secured    chan struct{} // closed once talk is TLS; nil for a backend without
	talk       io.ReadWriter // raw, or TLS over it
	in         *bufio.Reader

	mu       sync.Mutex // protects what follows
	received bytes.Buffer
	mark     int    // bytes received up to the login's end
	ending   string // EOF, RST, own (the script closed), "" while it is open
	logins   []backendLogin
	stored   string // the last literal
}

// backendLogin is one login as the backend has seen it.
type backendLogin struct{ authz, user, secret string }

func startBackend(t testing.TB, script backendScript) *scriptedBackend {
	t.Helper()
	return startBackendOn(t, listen(t), false, script)
}

func startBackendOn(t testing.TB, ln net.Listener, tls bool, script backendScript) *scriptedBackend {
	t.Helper()
	b := &scriptedBackend{t: t, ln: ln, tls: tls}
	b.running.Go(func() {
		for {
			conn, err := b.ln.Accept()
			if err != nil {
				return
			}
			b.running.Go(func() { b.run(b.add(conn), script) })
		}
	})
	return b
}

func (b *scriptedBackend) address() string { return b.ln.Addr().String() }

func (b *scriptedBackend) add(raw net.Conn) *backendConn {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &backendConn{number: len(b.conns), raw: raw.(stream), talk: raw}
	if b.tls {
		c.secured = make(chan struct{})
	}
	c.in = bufio.NewReader(recorder{c})
	b.conns = append(b.conns, c)
	if b.stopped {
		_ = raw.Close()
	}
	return c
}

func (b *scriptedBackend) run(c *backendConn, script backendScript) {
	if b.tls && !c.secure() {
		return
	}
	script(c)
	_, _ = io.Copy(io.Discard, c.in)
	_ = c.raw.Close()
}

// secure is the backend's side of the handshake.
func (c *backendConn) secure() bool {
	defer close(c.secured)
	t := tls.Server(c.raw, serverTLS())
	if err := t.Handshake(); err != nil {
		_ = c.raw.Close()
		return false
	}
	c.talk = t
	return true
}

// stop ends every connection and waits for the scripts.
func (b *scriptedBackend) stop() {
	_ = b.ln.Close()
	b.mu.Lock()
	b.stopped = true
	for _, c := range b.conns {
		_ = c.raw.Close()
	}
	b.mu.Unlock()
	over := make(chan struct{})
	go func() { defer close(over); b.running.Wait() }()
	select {
	case <-over:
	case <-time.After(patience):
		b.t.Errorf("a backend's script has not ended\n%s", stacks())
	}
}

func (b *scriptedBackend) all() []*backendConn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*backendConn(nil), b.conns...)
}

// conn waits for the connection of that number.
func (b *scriptedBackend) conn(number int) *backendConn {
	b.t.Helper()
	await(b.t, "backend connection "+strconv.Itoa(number), func() bool { return len(b.all()) > number })
	return b.all()[number]
}

// logins are all logins, in the order of the connections.
func (b *scriptedBackend) logins() []backendLogin {
	var all []backendLogin
	for _, c := range b.all() {
		c.mu.Lock()
		all = append(all, c.logins...)
		c.mu.Unlock()
	}
	return all
}

// recorder reads from a connection and keeps what it sees.
type recorder struct{ c *backendConn }

// Read implements io.Reader.
func (r recorder) Read(p []byte) (int, error) {
	n, err := r.c.talk.Read(p)
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	r.c.received.Write(p[:n])
	switch {
	case r.c.ending != "" || err == nil:
	case errors.Is(err, io.EOF):
		r.c.ending = "EOF"
	case errors.Is(err, syscall.ECONNRESET):
		r.c.ending = "RST"
	default:
		r.c.ending = "own"
	}
	return n, err
}

func (c *backendConn) ended() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// relayed is what has come since the login.
func (c *backendConn) relayed() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.received.Bytes()[c.mark:])
}

func (c *backendConn) everything() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received.String()
}

// send writes; that the proxy may be gone shows when the script reads.
func (c *backendConn) send(format string, args ...any) {
	c.write(sprintf(format, args...) + "\r\n")
}

func (c *backendConn) write(s string) {
	if c.secured != nil {
		<-c.secured
	}
	_, _ = io.WriteString(c.talk, s)
}

// line reads a line; false at the connection's end.
func (c *backendConn) line() (string, bool) {
	s, err := c.in.ReadString('\n')
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r"), err == nil
}

func (c *backendConn) literal(n int) string {
	b := make([]byte, n)
	k, _ := io.ReadFull(c.in, b)
	return string(b[:k])
}

// close closes the backend's side in order.
func (c *backendConn) close() {
	c.own()
	_ = c.raw.Close()
}

// reset closes it with a reset.
func (c *backendConn) reset() {
	c.own()
	_ = c.raw.(*net.TCPConn).SetLinger(0)
	_ = c.raw.Close()
}

func (c *backendConn) own() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = "own"
}

// backendCapabilities is what the scripted backends offer after the login,
// with items that the proxy has to leave out.
const backendCapabilities = "IMAP4rev1 IDLE UIDPLUS STARTTLS AUTH=PLAIN COMPRESS=DEFLATE LITERAL+"

// greet says hello and takes the login, whatever it is, as user names ask:
//
//	no             NO
//	CODE@backend   NO [CODE]
//	bad, bye       that answer
//	hang           no answer
//	gone, reset    closes, resets
//
// It is false when the connection is over or the login was refused.
func (c *backendConn) greet(capabilities string) bool {
	c.send("* OK [CAPABILITY %s] backend ready", capabilities)
	tag, login, good := c.readLogin()
	if !good {
		return false
	}
	c.mu.Lock()
	c.logins = append(c.logins, login)
	c.mark = c.received.Len() - c.in.Buffered()
	c.mu.Unlock()
	mailbox := login.user
	if login.authz != "" {
		mailbox = login.authz
	}
	if !c.judge(tag, mailbox) {
		return false
	}
	c.send("%s OK [CAPABILITY %s] Logged in", tag, c.offers())
	return true
}

// greetWith greets, and offers something else after the login.
func (c *backendConn) greetWith(afterLogin string) bool {
	c.afterLogin = afterLogin
	return c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR")
}

func (c *backendConn) offers() string {
	if c.afterLogin != "" {
		return c.afterLogin
	}
	return backendCapabilities
}

func (c *backendConn) judge(tag, user string) bool {
	code, coded := strings.CutSuffix(user, "@backend")
	switch {
	case coded:
		c.send("%s NO [%s] * the backend's own words", tag, code)
	case user == "no":
		c.send("%s NO the backend's own words", tag)
	case user == "bad":
		c.send("%s BAD the backend's own words", tag)
		c.answering = " BAD the backend's own words"
	case user == "bye":
		c.send("* BYE the backend's own words")
		c.close()
	case user == "hang":
	case user == "gone":
		c.close()
	case user == "reset":
		c.reset()
	default:
		return true
	}
	c.untilLogout()
	return false
}

// untilLogout answers LOGOUT, and other lines as answering says, "" for nothing.
func (c *backendConn) untilLogout() {
	for {
		line, good := c.line()
		if !good {
			return
		}
		if tag, found := strings.CutSuffix(line, " LOGOUT"); found {
			c.send("* BYE\r\n%s OK", tag)
			c.close()
			return
		}
		if tag, _, _ := strings.Cut(line, " "); c.answering != "" {
			c.send("%s%s", tag, c.answering)
		}
	}
}

// readLogin reads AUTHENTICATE PLAIN with its initial response, or LOGIN with
// literals. A LOGOUT before it is answered.
func (c *backendConn) readLogin() (tag string, login backendLogin, good bool) {
	line, good := c.line()
	f := strings.Fields(line)
	switch {
	case !good || len(f) < 2:
		return "", login, false
	case len(f) == 4 && f[1] == "AUTHENTICATE":
		b, err := base64.StdEncoding.DecodeString(f[3])
		parts := strings.Split(string(b), "\x00")
		if err != nil || len(parts) != 3 {
			c.send("%s BAD not three fields", f[0])
			return "", login, false
		}
		return f[0], backendLogin{parts[0], parts[1], parts[2]}, true
	case len(f) == 3 && f[1] == "LOGIN":
		login.user = c.askLiteral(f[2])
		next, _ := c.line()
		login.secret = c.askLiteral(strings.TrimSpace(next))
		end, good := c.line()
		return f[0], login, good && end == ""
	case f[1] == "LOGOUT":
		c.send("* BYE\r\n%s OK", f[0])
		c.close()
	}
	return "", login, false
}

func (c *backendConn) askLiteral(announced string) string {
	n, err := strconv.Atoi(strings.Trim(announced, "{}"))
	if err != nil {
		return ""
	}
	c.send("+ go on")
	return c.literal(n)
}

func sprintf(format string, args ...any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

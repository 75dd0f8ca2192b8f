package imapproxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/backend/wire"
)

// stream is a *net.TCPConn or a *net.UnixConn.
type stream interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
	SetReadBuffer(bytes int) error
}

// testClient is a mail client that does what it is told.
type testClient struct {
	t    testing.TB
	raw  stream
	conn net.Conn // raw, or TLS over it
	in   *bufio.Reader
	port uint16

	logged int             // bytes of the proxy's log before it connected
	said   strings.Builder // what it has read, for failures
	skips  string          // a line that expect reads past, once; "" for none
}

// connect dials a listener of the rig and does no more, but for the TLS
// handshake of an implicit one.
func (r *rig) connect(listener string) *testClient {
	r.t.Helper()
	c := r.connectRaw(listener)
	if strings.TrimPrefix(listener, farPrefix) == "tls" {
		c.handshake(clientTLS("imap"))
	}
	return c
}

// connectRaw does not shake hands either.
func (r *rig) connectRaw(listener string) *testClient {
	r.t.Helper()
	network, address := "tcp", r.address(listener)
	if path, isUnix := strings.CutPrefix(address, wire.UnixPrefix); isUnix {
		network, address = "unix", path
	}
	logged := r.log.size()
	conn, err := net.Dial(network, address)
	if err != nil {
		r.t.Fatal(err)
	}
	c := &testClient{t: r.t, raw: conn.(stream), conn: conn, in: bufio.NewReader(conn),
		port: addrPort(conn.LocalAddr()).Port(), logged: logged}
	r.clients = append(r.clients, c)
	return c
}

// dial connects and reads the greeting.
func (r *rig) dial(listener string) *testClient {
	r.t.Helper()
	c := r.connect(listener)
	c.expect(`\* OK \[CAPABILITY [^]]+\] mail\.example\.test imapproxy ready`)
	return c
}

// login dials and logs user in, and waits for the relay.
func (r *rig) login(listener, user string) *testClient {
	r.t.Helper()
	c := r.dial(listener)
	c.send("in LOGIN %s %s", user, canary)
	c.expect(`in OK .*`)
	r.await("the relay", func() bool { return r.relaying(c) })
	return c
}

// relaying reports whether a client's session is in its second act.
func (r *rig) relaying(c *testClient) bool {
	found := false
	r.server.sessions.each(func(s *session) {
		found = found || s.client.addr().Port() == c.port && s.relaying.Load()
	})
	return found
}

func (c *testClient) handshake(cfg *tls.Config) {
	c.t.Helper()
	if err := c.tryHandshake(cfg); err != nil {
		c.t.Fatalf("TLS handshake: %v", err)
	}
}

func (c *testClient) tryHandshake(cfg *tls.Config) error {
	t := tls.Client(c.raw, cfg)
	c.deadline()
	if err := t.Handshake(); err != nil {
		return err
	}
	c.conn, c.in = t, bufio.NewReader(t)
	return nil
}

func (c *testClient) deadline() { _ = c.raw.SetDeadline(time.Now().Add(patience)) }

// send writes a line, in one write.
func (c *testClient) send(format string, args ...any) {
	c.t.Helper()
	c.write(sprintf(format, args...) + "\r\n")
}

// write writes bytes as they are, in one write.
func (c *testClient) write(s string) {
	c.t.Helper()
	c.deadline()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("the client can't write: %v\nit has read:\n%s", err, c.said.String())
	}
}

// line reads a line, without its end.
func (c *testClient) line() string {
	c.t.Helper()
	c.deadline()
	s, err := c.in.ReadString('\n')
	c.said.WriteString(s)
	if err != nil {
		c.t.Fatalf("the client reads %q, then %v\nit has read:\n%s", s, err, c.said.String())
	}
	return strings.TrimSuffix(s, "\r\n")
}

// expect reads a line that must match the whole pattern.
func (c *testClient) expect(pattern string) string {
	c.t.Helper()
	s := c.line()
	if s == c.skips && s != "" {
		c.skips = ""
		s = c.line()
	}
	if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(s) {
		c.t.Fatalf("the client reads %q, want %q\nit has read:\n%s", s, pattern, c.said.String())
	}
	return s
}

// expectLine reads exactly that line.
func (c *testClient) expectLine(line string) string {
	c.t.Helper()
	return c.expect(regexp.QuoteMeta(line))
}

// until reads lines to the tagged answer and gives them all.
func (c *testClient) until(tag string) []string {
	c.t.Helper()
	for lines := []string{}; ; {
		lines = append(lines, c.line())
		if strings.HasPrefix(lines[len(lines)-1], tag+" ") {
			return lines
		}
	}
}

// rest reads to the end and gives what came, and how it ended: nil for EOF.
func (c *testClient) rest() (string, error) {
	c.deadline()
	b, err := io.ReadAll(c.in)
	c.said.Write(b)
	return string(b), err
}

// expectEOF reads the orderly end of the connection and nothing before it,
// then closes as a client does.
func (c *testClient) expectEOF() {
	c.t.Helper()
	if s, err := c.rest(); s != "" || err != nil {
		c.t.Errorf("the client reads %q and the error %v, want EOF", s, err)
	}
	c.close()
}

// expectBye reads a BYE that matches the pattern, then the end.
func (c *testClient) expectBye(pattern string) {
	c.t.Helper()
	c.expect(`\* BYE ` + pattern)
	c.expectEOF()
}

// expectReset reads whatever comes, up to a reset, and gives it. The reset may also
// have been the error of a write before.
func (c *testClient) expectReset(before ...error) string {
	c.t.Helper()
	s, err := c.rest()
	if !errors.Is(errors.Join(append(before, err)...), syscall.ECONNRESET) {
		c.t.Errorf("the client reads %d bytes and the end %v, want a reset", len(s), err)
	}
	return s
}

// close closes in order: close_notify where there is TLS, then FIN.
func (c *testClient) close() { _ = c.conn.Close() }

// reset closes so that the other side sees a reset.
func (c *testClient) reset() {
	_ = c.raw.(*net.TCPConn).SetLinger(0)
	_ = c.raw.Close()
}

// halfClose ends the client's side and goes on reading.
func (c *testClient) halfClose() {
	c.t.Helper()
	if err := c.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

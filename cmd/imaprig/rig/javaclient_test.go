package rig

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

const (
	clientLimit = 20 * time.Second // for one answer; the machine may be busy
)

// mailClient speaks plain IMAP, line by line, and fails its test on whatever it does not expect.
type mailClient struct {
	t    *testing.T
	conn *net.TCPConn
	in   *bufio.Reader
	tags int
}

// connect opens a connection and reads nothing. It is closed with the test at the latest.
func connect(t *testing.T, addr string) *mailClient {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, clientLimit)
	if err != nil {
		t.Fatal(err)
	}
	return newMailClient(t, conn)
}

// newMailClient uses a connection that is open.
func newMailClient(t *testing.T, conn net.Conn) *mailClient {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(3 * clientLimit)); err != nil {
		t.Fatal(err)
	}
	return &mailClient{t: t, conn: conn.(*net.TCPConn), in: bufio.NewReader(conn)}
}

// greet connects and reads the greeting.
func greet(t *testing.T, addr string) *mailClient {
	t.Helper()
	c := connect(t, addr)
	c.wantLine("* OK [CAPABILITY IMAP4rev1 ")
	return c
}

// selected connects, logs in and selects INBOX.
func selected(t *testing.T, addr string) *mailClient {
	t.Helper()
	c := greet(t, addr)
	c.command("OK", "LOGIN user pass")
	c.command("OK", "SELECT INBOX")
	return c
}

func (c *mailClient) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatalf("send %q: %v", text, err)
	}
}

func (c *mailClient) line() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read a line: %v (so far %q)", err, line)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (c *mailClient) wantLine(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("line %q, want %q", line, prefix)
	}
	return line
}

// command sends one, wants this status, and returns what came before the tagged line.
func (c *mailClient) command(status, text string) string {
	c.t.Helper()
	c.tags++
	c.send(fmt.Sprintf("a%d %s\r\n", c.tags, text))
	return c.tagged(status)
}

// tagged reads to the answer of the last command.
func (c *mailClient) tagged(status string) string {
	c.t.Helper()
	tag := fmt.Sprintf("a%d ", c.tags)
	var before strings.Builder
	for {
		line := c.line()
		if rest, found := strings.CutPrefix(line, tag); found {
			if !strings.HasPrefix(rest, status+" ") {
				c.t.Fatalf("answer %q, want %s", line, status)
			}
			return before.String()
		}
		before.WriteString(line + "\n")
	}
}

// read takes n bytes.
func (c *mailClient) read(n int) string {
	c.t.Helper()
	buf := make([]byte, n)
	if _, err := io.ReadFull(c.in, buf); err != nil {
		c.t.Fatalf("read %d bytes: %v", n, err)
	}
	return string(buf)
}

// silent wants no byte to be there. It proves little by itself: poll for something that shows the server got there.
func (c *mailClient) silent() {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(rigtest.PollEvery)); err != nil {
		c.t.Fatal(err)
	}
	if b, err := c.in.Peek(1); err == nil {
		c.t.Fatalf("the server sent %q, want silence", b)
	}
	if err := c.conn.SetReadDeadline(time.Now().Add(clientLimit)); err != nil {
		c.t.Fatal(err)
	}
}

// close sends a FIN; what was sent must have been read, else the kernel sends RST.
func (c *mailClient) close() {
	c.t.Helper()
	if n := c.in.Buffered(); n > 0 {
		c.t.Fatalf("%d bytes unread before close", n)
	}
	if err := c.conn.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// reset sends a RST.
func (c *mailClient) reset() {
	c.t.Helper()
	if err := c.conn.SetLinger(0); err != nil {
		c.t.Fatal(err)
	}
	if err := c.conn.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *mailClient) local() netip.AddrPort {
	return c.conn.LocalAddr().(*net.TCPAddr).AddrPort()
}

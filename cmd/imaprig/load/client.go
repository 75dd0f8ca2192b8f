package load

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/cmd/imaprig/rig"
)

const (
	maxLine       = 4 << 10 // bytes of a line, at most
	maxLines      = 10000   // untagged lines of an answer, at most
	deadlineSlack = time.Second
)

// Target is the server that the clients of a load connect to, and their logins.
type Target struct {
	Addr           string
	TLS            string      // "off", "starttls" or "implicit"
	config         *tls.Config // nil with "off"
	sources        []netip.Addr
	user, password string
	nagle          bool           // leave Nagle's algorithm on, as Java does
	users          int64          // numbers go from 1 to this and begin again, 0 = they go on
	Limit          time.Duration  // for one answer
	keep           func(net.Conn) // takes a connection that got no session, which is closed otherwise; may be nil
	next           atomic.Int64   // number of the session dialled last
}

// Conn is one session. It is used by one goroutine at a time.
type Conn struct {
	target    *Target
	number    int64     // of the session, for its user
	began     time.Time // before it was connected
	conn      net.Conn
	in        *bufio.Reader
	discarder *rig.Discarder // made when the first large literal comes
	tags      int
	tag       []byte // of the last command, with a space after it
	out       []byte
	deadline  time.Time
	onBytes   func(int) // is called with the bytes of literals; may be nil
	literals  int       // read
	exists    int       // EXISTS lines read
	messages  int       // in the mailbox, by the last of them that an answer held
	bye       error     // what the server said before it closed
}

// Dial connects, reads the greeting and starts TLS.
func (t *Target) Dial() (*Conn, error) {
	began, number := time.Now(), t.next.Add(1)
	if t.users > 0 {
		number = 1 + number%t.users
	}
	dialer := net.Dialer{Timeout: t.Limit, KeepAlive: -1}
	if len(t.sources) > 0 {
		source := t.sources[int(number)%len(t.sources)]
		dialer.LocalAddr, dialer.Control = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)), bindWithoutPort
	}
	conn, err := dialer.Dial("tcp", t.Addr)
	if err != nil {
		return nil, failure("connect", err)
	}
	if t.nagle {
		if err := conn.(*net.TCPConn).SetNoDelay(false); err != nil {
			_ = conn.Close() // the first error is the cause
			return nil, failure("connect", err)
		}
	}
	c := &Conn{target: t, number: number, began: began, conn: conn, in: bufio.NewReaderSize(conn, maxLine)}
	if err := c.begin(); err != nil {
		if t.keep != nil {
			t.keep(conn)
			return nil, err
		}
		_ = conn.Close() // the first error is the cause
		return nil, err
	}
	return c, nil
}

// bindWithoutPort makes the kernel choose the port when it knows the destination: else each source address has only
// 28,000.
func bindWithoutPort(_, _ string, raw syscall.RawConn) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}); controlErr != nil {
		return controlErr
	}
	return err
}

func (c *Conn) begin() error {
	if err := c.extend(); err != nil {
		return failure("connect", err)
	}
	if c.target.TLS == "implicit" {
		if err := c.startTLS(); err != nil {
			return err
		}
	}
	if err := c.greeting(); err != nil {
		return failure("greeting", err)
	}
	if c.target.TLS == "starttls" {
		if err := c.ok("STARTTLS"); err != nil {
			return err
		}
		return c.startTLS()
	}
	return nil
}

func (c *Conn) startTLS() error {
	secure := tls.Client(c.conn, c.target.config)
	if err := secure.Handshake(); err != nil {
		return failure("TLS", err)
	}
	c.conn, c.discarder = secure, nil
	c.in.Reset(secure)
	return nil
}

// greeting accepts only * OK: a BYE is how a server says that it is full.
func (c *Conn) greeting() error {
	line, err := c.Line()
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("* OK")) {
		return answerOf(line)
	}
	return nil
}

// extend sets the limit of the next answer. The deadline is renewed at most once a second, since that costs.
func (c *Conn) extend() error {
	now := time.Now()
	if wanted := now.Add(c.target.Limit); wanted.Sub(c.deadline) > deadlineSlack {
		c.deadline = wanted.Add(deadlineSlack)
		return c.conn.SetDeadline(c.deadline)
	}
	return nil
}

// ok sends a command and wants OK.
func (c *Conn) ok(command string) error {
	during, _, _ := strings.Cut(command, " ")
	if err := c.Send(command); err != nil {
		return failure(during, err)
	}
	return failure(during, c.answer())
}

// Send sends a command under the next tag.
func (c *Conn) Send(command string) error {
	if err := c.extend(); err != nil {
		return err
	}
	c.tags++
	c.tag = append(strconv.AppendInt(append(c.tag[:0], 'a'), int64(c.tags), 10), ' ')
	c.out = append(append(append(c.out[:0], c.tag...), command...), '\r', '\n')
	_, err := c.conn.Write(c.out)
	return err
}

// answer reads to the tagged line of the last command and wants OK.
func (c *Conn) answer() error {
	for range maxLines {
		line, err := c.Line()
		if err != nil {
			return cmp.Or(c.bye, err)
		}
		switch {
		case bytes.HasPrefix(line, c.tag):
			if rest := line[len(c.tag):]; !bytes.HasPrefix(rest, []byte("OK")) {
				return answerOf(rest)
			}
			return nil
		case bytes.HasPrefix(line, []byte("* ")):
			if err := c.untagged(line); err != nil {
				return err
			}
		default:
			return &answerError{"unexpected answer", string(line)}
		}
	}
	return &answerError{"endless answer", "no tagged line"}
}

// untagged records a line, and discards the literals in it.
func (c *Conn) untagged(line []byte) error {
	switch {
	case bytes.HasSuffix(line, []byte(" EXISTS")):
		c.exists++
		c.messages, _ = strconv.Atoi(string(bytes.TrimSuffix(line[len("* "):], []byte(" EXISTS")))) // 0 of no number
	case bytes.HasPrefix(line, []byte("* BYE")):
		c.bye = answerOf(line)
	}
	for {
		n, _ := rig.LiteralOf(line)
		if n < 0 {
			return nil
		}
		c.literals++
		if err := c.skip(n); err != nil {
			return err
		}
		var err error
		if line, err = c.Line(); err != nil {
			return err
		}
	}
}

// skip discards n bytes.
func (c *Conn) skip(n int) error {
	k, err := c.in.Discard(min(n, c.in.Buffered()))
	c.countBytes(k)
	if err != nil || k == n {
		return err
	}
	if c.discarder == nil {
		if c.discarder, err = rig.NewDiscarder(c.conn); err != nil {
			return err
		}
	}
	return c.discarder.Discard(n-k, c.countBytes)
}

// Line returns the next line, without its end. It is valid until the next read.
func (c *Conn) Line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		if len(line) > 0 && err != bufio.ErrBufferFull {
			return nil, io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// answerOf returns the error of an answer: its kind is the status word, with the response code (RFC 9051 7.1).
func answerOf(line []byte) error {
	words := strings.Fields(strings.TrimPrefix(string(line), "* "))
	kind := "unexpected answer"
	if len(words) > 0 {
		switch word := strings.ToUpper(words[0]); word {
		case "NO", "BAD", "BYE":
			kind = word
			if len(words) > 1 && strings.HasPrefix(words[1], "[") && strings.HasSuffix(words[1], "]") {
				kind += " " + words[1]
			}
		}
	}
	return &answerError{kind, string(line)}
}

// login logs in as the user of the session's number.
func (c *Conn) login() error {
	return c.ok("LOGIN " + rig.Quoted(c.userName()) + " " + rig.Quoted(c.numbered(c.target.password)))
}

func (c *Conn) userName() string { return c.numbered(c.target.user) }

// numbered returns a text with the session's number in place of each %d.
func (c *Conn) numbered(text string) string {
	return strings.ReplaceAll(text, "%d", strconv.FormatInt(c.number, 10))
}

package exits

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/cmd/imaprig/rig"
)

const (
	answerLimit  = 15 * time.Second // for one answer, unless a client has another limit; the machine is busy
	slowRecvBuf  = 8 << 10          // bytes, of a client that will not read
	slowSegment  = 536              // bytes: keeps the proxy's send buffer small, on loopback too (RFC 9293 3.7.1)
	fetchedAhead = 2 << 10          // bytes of a message that are read before the client stops
)

// errForeign is what a session read that was not meant for it.
var errForeign = errors.New("bytes of another session")

// client is one client's connection through the proxy.
type client struct {
	conn           *net.TCPConn
	in             *bufio.Reader
	user, password string
	id             int // unique in a run: its tags show whose answer is read
	tags           int
	limit          time.Duration // for one answer
	mail           mailbox
	answered       []answerTime
}

// newClient returns a client that is not connected yet. Its user has its number in the name.
func (o *runOptions) newClient(number int) *client {
	return &client{id: number, user: strings.ReplaceAll(o.user, "%d", fmt.Sprint(number)), password: o.password,
		limit: answerLimit, mail: ownMailbox()}
}

// connect dials. A slow client has small buffers on both sides of the connection.
func (c *client) connect(dial func(*net.Dialer, string) (net.Conn, error), addr string, local netip.Addr,
	slow bool) error {
	dialer := &net.Dialer{Timeout: answerLimit, KeepAlive: -1} // a probe would be a sign of life from who has vanished
	if local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	if slow {
		dialer.Control = c.slowSocket
	}
	conn, err := dial(dialer, addr)
	if err != nil {
		return err
	}
	c.conn = conn.(*net.TCPConn)
	c.in = bufio.NewReaderSize(c.conn, 512)
	return nil
}

func (c *client) slowSocket(_, _ string, raw syscall.RawConn) error {
	var errs [3]error
	errs[0] = raw.Control(func(fd uintptr) {
		if c.mail.window > 0 {
			errs[1] = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, c.mail.window)
			return
		}
		errs[1] = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, slowRecvBuf)
		errs[2] = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, slowSegment)
	})
	return errors.Join(errs[:]...)
}

func (c *client) addr() netip.AddrPort { return c.conn.LocalAddr().(*net.TCPAddr).AddrPort() }

func (c *client) send(text string) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, text)
	return err
}

// command sends one under the next tag.
func (c *client) command(text string) error {
	c.tags++
	return c.send(fmt.Sprintf("%s %s\r\n", c.tag(), text))
}

func (c *client) tag() string { return fmt.Sprintf("s%da%d", c.id, c.tags) }

// line reads one within the limit.
func (c *client) line(limit time.Duration) (string, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	line, err := c.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// greeting reads it.
func (c *client) greeting() error {
	line, err := c.line(c.limit)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if !strings.HasPrefix(line, "* OK") {
		return fmt.Errorf("greeting: %.*q", rig.MaxForeign, line)
	}
	return nil
}

// status reads up to the answer of the last command and returns what follows its tag.
func (c *client) status(limit time.Duration) (string, error) {
	for {
		line, err := c.line(limit)
		if err != nil {
			return "", err
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case c.tag():
			return rest, nil
		case "*", "+":
		default:
			return "", fmt.Errorf("%w: %.*q", errForeign, rig.MaxForeign, line)
		}
	}
}

// ok sends a command and wants OK.
func (c *client) ok(text string) error {
	verb, _, _ := strings.Cut(text, " ")
	began := time.Now()
	if err := c.command(text); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	answer, err := c.status(c.limit)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if !strings.HasPrefix(answer, "OK") {
		return fmt.Errorf("%s: %.*q", verb, rig.MaxForeign, answer)
	}
	c.answered = append(c.answered, answerTime{verb, began, time.Since(began)})
	return nil
}

// continuation reads the line that lets a client go on.
func (c *client) continuation() error {
	for {
		line, err := c.line(c.limit)
		switch {
		case err != nil:
			return fmt.Errorf("continuation: %w", err)
		case strings.HasPrefix(line, "+"):
			return nil
		case !strings.HasPrefix(line, "* "):
			return fmt.Errorf("continuation: %.*q", rig.MaxForeign, line)
		}
	}
}

func (c *client) loginCommand() string {
	return fmt.Sprintf("LOGIN %s %s", rig.Quoted(c.user), rig.Quoted(c.password))
}

// toEnd reads until the other side has closed or reset.
func (c *client) toEnd(limit time.Duration) error {
	if err := c.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c.in)
	if rig.IsReset(err) {
		return nil
	}
	return err
}

// closeAfter closes the connection when ctx is over, so that what waits for an answer fails. What it returns ends that.
func (c *client) closeAfter(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = c.conn.Close() })
}

// reset ends the connection with a RST.
func (c *client) reset() error {
	return errors.Join(c.conn.SetLinger(0), c.conn.Close())
}

func dialTCP(d *net.Dialer, addr string) (net.Conn, error) { return d.Dial("tcp", addr) }

// fetch asks for an item of the large message.
func (c *client) fetch(item string) error {
	if err := c.command(fmt.Sprintf("FETCH %d %s", c.mail.message, item)); err != nil {
		return fmt.Errorf("FETCH: %w", err)
	}
	return nil
}

// message reads up to the line with which the large message begins.
func (c *client) message() error {
	for {
		line, err := c.line(c.limit)
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(line, "* ") && strings.Contains(line, " FETCH (") && strings.HasSuffix(line, "}"):
			return nil
		case !strings.HasPrefix(line, "* "):
			return fmt.Errorf("%.*q", rig.MaxForeign, line)
		}
	}
}

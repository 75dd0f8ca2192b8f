package rig

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	fastSessionLimit = 6 * time.Hour // of a connection, whatever it does
	fastLine         = 2 << 10       // bytes of a command's line, at most
	fastArgument     = 1 << 10       // bytes of a literal that is looked at
)

// errTooLong ends a session whose line does not fit.
var errTooLong = errors.New("a line is too long")

// fastSession is one client of the fast backend.
type fastSession struct {
	backend   *FastBackend
	conn      net.Conn
	socket    *net.TCPConn // below conn
	in        *bufio.Reader
	discarder *Discarder // made when the first large literal comes
	out       []byte     // what is not sent yet
	ended     bool
	tls       bool
}

// fastCommand is a line with its literals, cut into the parts that answers need. Its slices last until the next read.
type fastCommand struct {
	tag, verb, rest []byte
	swallowed       bool // a literal that was thrown away: of APPEND
}

// run answers until the client leaves. What ends a session is of no interest: a client that minds counts it itself.
func (s *fastSession) run() {
	s.in = bufio.NewReaderSize(s.conn, fastLine)
	_, s.tls = s.conn.(*tls.Conn)
	s.out = append(s.out, "* OK [CAPABILITY "+s.capabilities()+"] imaprig\r\n"...)
	for !s.ended {
		if s.in.Buffered() == 0 && s.flush() != nil {
			return
		}
		c, err := s.read()
		if err != nil || s.answer(c) != nil {
			return
		}
	}
	_ = s.flush()
	if t, ok := s.conn.(*tls.Conn); ok {
		_ = t.CloseWrite() // the alert that tells an end from a cut
	}
}

func (s *fastSession) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

func (s *fastSession) write(parts ...string) {
	for _, p := range parts {
		s.out = append(s.out, p...)
	}
	s.out = append(s.out, '\r', '\n')
}

// done writes the tagged answer.
func (s *fastSession) done(c fastCommand, text string) {
	s.out = append(append(append(s.out, c.tag...), ' '), text...)
	s.out = append(s.out, '\r', '\n')
}

// read takes a command, which is one line unless it has literals.
func (s *fastSession) read() (fastCommand, error) {
	line, err := s.line()
	if err != nil {
		return fastCommand{}, err
	}
	n, sync := LiteralOf(line)
	if n < 0 {
		return cutCommand(line), nil
	}
	whole, swallowed := bytes.Clone(line), false // the reader's memory is used again
	for n >= 0 {
		if sync {
			if s.write("+ go on"); s.flush() != nil {
				return fastCommand{}, net.ErrClosed
			}
		} else if s.in.Buffered() == 0 {
			s.acknowledge()
		}
		if n <= fastArgument && len(whole) < fastLine {
			whole = append(whole, make([]byte, n)...)
			_, err = io.ReadFull(s.in, whole[len(whole)-n:])
		} else {
			swallowed, err = true, s.discardLiteral(n)
		}
		if err != nil {
			return fastCommand{}, err
		}
		if line, err = s.line(); err != nil {
			return fastCommand{}, err
		}
		if n, sync = LiteralOf(line); len(whole) < fastLine {
			whole = append(whole, line...)
		}
	}
	c := cutCommand(whole)
	c.swallowed = swallowed
	return c, nil
}

// acknowledge makes the kernel acknowledge at once what was read: a client with Nagle's algorithm on sends the literal
// only then.
func (s *fastSession) acknowledge() {
	raw, err := s.socket.SyscallConn()
	if err != nil {
		return // a connection that is closed fails at the next read
	}
	_ = raw.Control(func(fd uintptr) { // so does this one
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) // without it the client waits
	})
}

// line returns the next line, without its end.
func (s *fastSession) line() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errTooLong
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// discardLiteral discards n bytes of a literal.
func (s *fastSession) discardLiteral(n int) error {
	k, err := s.in.Discard(min(n, s.in.Buffered()))
	if err != nil || k == n {
		return err
	}
	if s.discarder == nil {
		if s.discarder, err = NewDiscarder(s.conn); err != nil {
			return err
		}
	}
	return s.discarder.Discard(n-k, func(int) {})
}

// LiteralOf returns the length that a line announces at its end (RFC 9051 4.3), -1 for none; sync when it waits to be
// asked for.
func LiteralOf(line []byte) (n int, sync bool) {
	if !bytes.HasSuffix(line, []byte("}")) {
		return -1, false
	}
	line = line[:len(line)-1]
	sync = true
	if bytes.HasSuffix(line, []byte("+")) {
		line, sync = line[:len(line)-1], false
	}
	n, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, '{')+1:]))
	if err != nil || n < 0 {
		return -1, false
	}
	return n, sync
}

func cutCommand(line []byte) (c fastCommand) {
	c.tag, line, _ = bytes.Cut(line, []byte(" "))
	c.verb, c.rest, _ = bytes.Cut(line, []byte(" "))
	return c
}

// idle waits for DONE, and sends new messages meanwhile.
func (s *fastSession) idle(c fastCommand) error {
	tag := bytes.Clone(c.tag) // the reader's memory is used again
	s.write("+ idling")
	for messages := len(fastSizes()); ; messages++ {
		if err := s.flush(); err != nil {
			return err
		}
		err := s.waitForLine()
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		s.write("* ", strconv.Itoa(messages+1), " EXISTS")
	}
	line, err := s.line()
	if err != nil {
		return err
	}
	if bytes.EqualFold(line, []byte("DONE")) {
		s.done(fastCommand{tag: tag}, "OK IDLE is over")
	} else {
		s.done(fastCommand{tag: tag}, "BAD want DONE")
	}
	return nil
}

// waitForLine waits for the client, or for the time of the next new message.
func (s *fastSession) waitForLine() error {
	if s.backend.opts.IdlePush > 0 && s.in.Buffered() == 0 {
		if err := s.conn.SetReadDeadline(time.Now().Add(s.backend.opts.IdlePush)); err != nil {
			return err
		}
	}
	_, err := s.in.Peek(1)
	if s.backend.opts.IdlePush > 0 && err == nil {
		err = s.conn.SetReadDeadline(time.Now().Add(fastSessionLimit))
	}
	return err
}

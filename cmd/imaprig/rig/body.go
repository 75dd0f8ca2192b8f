package rig

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const bodyLine = "The quick brown fox jumps over the lazy dog, again and again, until done.\r\n"

// Body is a text of any length up to its size, that costs little to send: sendfile(2) on a plain socket.
type Body struct {
	file *os.File // of memory
	text []byte   // the same, mapped
}

// NewBody makes one of size bytes. Close must be called.
func NewBody(size int) (*Body, error) {
	fd, err := unix.MemfdCreate("imaprig-body", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a body of %d bytes: %w", size, err)
	}
	b := &Body{file: os.NewFile(uintptr(fd), "imaprig-body")}
	if err = unix.Ftruncate(fd, int64(size)); err == nil {
		b.text, err = unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		_ = b.file.Close()
		return nil, fmt.Errorf("make a body of %d bytes: %w", size, err)
	}
	lines := bytes.Repeat([]byte(bodyLine), 1000)
	for rest := b.text; len(rest) > 0; {
		rest = rest[copy(rest, lines):]
	}
	return b, nil
}

// Close frees it. It must not be in use.
func (b *Body) Close() error {
	if err := unix.Munmap(b.text); err != nil {
		return err
	}
	return b.file.Close()
}

const (
	sendChunk    = 1 << 20   // bytes, of one sendfile
	discardChunk = 256 << 10 // bytes, of one read of what is discarded
)

// Send writes the first n bytes to conn within the connection's deadline. sent is called with the length of each part.
func (b *Body) Send(conn net.Conn, n int, sent func(int)) error {
	raw, err := rawOf(conn)
	if err != nil {
		return err
	}
	if raw == nil {
		for at := 0; at < n; {
			k, err := conn.Write(b.text[at:min(at+discardChunk, n)])
			if at += k; err != nil {
				return err
			}
			sent(k)
		}
		return nil
	}
	for at := int64(0); at < int64(n); {
		k, err := b.sendPart(raw, &at, int(min(sendChunk, int64(n)-at)))
		if err != nil {
			return err
		}
		sent(k)
	}
	return nil
}

// sendPart calls sendfile once, from *at, which it moves.
func (b *Body) sendPart(raw syscall.RawConn, at *int64, n int) (sent int, err error) {
	waitErr := raw.Write(func(fd uintptr) bool {
		sent, err = unix.Sendfile(int(fd), int(b.file.Fd()), at, n)
		return err != unix.EAGAIN
	})
	if waitErr != nil {
		return 0, waitErr
	}
	if err != nil {
		return 0, os.NewSyscallError("sendfile", err)
	}
	return sent, nil
}

// rawOf returns the socket of a plain connection, nil of one with TLS.
func rawOf(conn net.Conn) (syscall.RawConn, error) {
	plain, ok := conn.(*net.TCPConn)
	if !ok {
		return nil, nil
	}
	return plain.SyscallConn()
}

// Discarder discards bytes; on a plain socket without copying them (recv(2) with MSG_TRUNC, see tcp(7)).
type Discarder struct {
	conn net.Conn
	raw  syscall.RawConn // nil with TLS
	buf  []byte
}

// NewDiscarder returns one for a connection.
func NewDiscarder(conn net.Conn) (*Discarder, error) {
	raw, err := rawOf(conn)
	return &Discarder{conn: conn, raw: raw, buf: make([]byte, discardChunk)}, err
}

// Discard reads n bytes within the connection's deadline. got is called with the length of each part.
func (d *Discarder) Discard(n int, got func(int)) error {
	for n > 0 {
		k, err := d.part(min(n, len(d.buf)))
		if k > 0 {
			n -= k
			got(k)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Discarder) part(n int) (got int, err error) {
	if d.raw == nil {
		return d.conn.Read(d.buf[:n])
	}
	waitErr := d.raw.Read(func(fd uintptr) bool {
		got, _, err = unix.Recvfrom(int(fd), d.buf[:n], unix.MSG_TRUNC)
		return err != unix.EAGAIN
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err != nil:
		return 0, os.NewSyscallError("recv", err)
	case got == 0:
		return 0, io.EOF
	}
	return got, nil
}

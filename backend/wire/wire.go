// Package wire has the sockets of clients and backends: the descriptor, in Go's
// poller or in one of the caller's, deadlines, TCP options and states, and the
// kernel's tables. It knows nothing of IMAP.
package wire

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// Wire is a TCP or Unix socket, and the lowest layer of a connection. Login and
// ending use it like the Stream that it is made of. For the relay it can be
// parked (see Park): taken out of Go's poller, so that a loop of our own can
// wait for it, and reading and writing never block.
//
// Read, Write and what parks belong to the wire's owner. The other methods are
// safe for concurrent use; on a parked wire those that set something do nothing.
type Wire struct {
	mu   sync.Mutex // protects conn and the descriptor against those who only ask; nothing blocks under it
	conn pollable   // nil while parked
	parked
}

// pollable is a socket in Go's poller: a Stream, or, once it is parked, a
// *os.File of it, which costs nine system calls less to make.
type pollable interface {
	io.ReadWriteCloser
	syscall.Conn
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Init makes a wire of a connection, which is the wire's from now on.
func (w *Wire) Init(conn Stream) { w.conn = conn }

// set applies f to the connection, unless it is parked.
func (w *Wire) set(f func(pollable) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	return f(w.conn)
}

// SetDeadline is that of net.Conn.
func (w *Wire) SetDeadline(t time.Time) error {
	return w.set(func(c pollable) error { return c.SetDeadline(t) })
}

// SetReadDeadline is that of net.Conn.
func (w *Wire) SetReadDeadline(t time.Time) error {
	return w.set(func(c pollable) error { return c.SetReadDeadline(t) })
}

// SetWriteDeadline is that of net.Conn.
func (w *Wire) SetWriteDeadline(t time.Time) error {
	return w.set(func(c pollable) error { return c.SetWriteDeadline(t) })
}

// SetLinger is that of net.TCPConn. It changes nothing for a Unix socket, which
// knows no reset: closing it is all.
func (w *Wire) SetLinger(seconds int) error {
	return w.set(func(c pollable) error {
		if tcp, ok := c.(*net.TCPConn); ok {
			return tcp.SetLinger(seconds)
		}
		return setLinger(c, seconds)
	})
}

// CloseWrite sends a FIN, or ends what the peer of a Unix socket reads.
func (w *Wire) CloseWrite() error {
	return w.set(func(c pollable) error {
		if s, ok := c.(Stream); ok {
			return s.CloseWrite()
		}
		return shutdownWrite(c)
	})
}

// LocalAddr is that of net.Conn; nil once the wire has been parked.
func (w *Wire) LocalAddr() net.Addr { return w.addr(net.Conn.LocalAddr) }

// RemoteAddr is that of net.Conn; nil once the wire has been parked.
func (w *Wire) RemoteAddr() net.Addr { return w.addr(net.Conn.RemoteAddr) }

func (w *Wire) addr(which func(net.Conn) net.Addr) (a net.Addr) {
	_ = w.set(func(c pollable) error {
		if conn, ok := c.(net.Conn); ok {
			a = which(conn)
		}
		return nil
	})
	return a
}

// SyscallConn returns access to the descriptor for as long as the wire does not
// change between parked and not.
func (w *Wire) SyscallConn() (syscall.RawConn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return bare{w}, nil
	}
	return w.conn.SyscallConn()
}

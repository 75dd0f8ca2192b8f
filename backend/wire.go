package backend

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// Wire is a TCP socket, and the lowest layer of a connection. Login and ending
// use it like the *net.TCPConn that it is made of. For the relay it can be
// parked (see Park): taken out of Go's poller, so that a loop of our own can
// wait for it, and reading and writing never block.
//
// Read, Write and what parks belong to the wire's owner. The other methods are
// safe for concurrent use; on a parked wire those that set something do nothing.
type Wire struct {
	mu   sync.Mutex   // protects conn and the descriptor against those who only ask; nothing blocks under it
	conn *net.TCPConn // nil while parked
	parked
}

// NewWire makes a wire of a connection, which is the wire's from now on.
func NewWire(conn *net.TCPConn) *Wire { return &Wire{conn: conn} }

// set applies f to the connection, unless it is parked.
func (w *Wire) set(f func(*net.TCPConn) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	return f(w.conn)
}

// SetDeadline is that of net.Conn.
func (w *Wire) SetDeadline(t time.Time) error {
	return w.set(func(c *net.TCPConn) error { return c.SetDeadline(t) })
}

// SetReadDeadline is that of net.Conn.
func (w *Wire) SetReadDeadline(t time.Time) error {
	return w.set(func(c *net.TCPConn) error { return c.SetReadDeadline(t) })
}

// SetWriteDeadline is that of net.Conn.
func (w *Wire) SetWriteDeadline(t time.Time) error {
	return w.set(func(c *net.TCPConn) error { return c.SetWriteDeadline(t) })
}

// SetLinger is that of net.TCPConn.
func (w *Wire) SetLinger(seconds int) error {
	return w.set(func(c *net.TCPConn) error { return c.SetLinger(seconds) })
}

// CloseWrite sends a FIN.
func (w *Wire) CloseWrite() error { return w.set((*net.TCPConn).CloseWrite) }

// LocalAddr is that of net.Conn; nil while parked.
func (w *Wire) LocalAddr() net.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	return w.conn.LocalAddr()
}

// RemoteAddr is that of net.Conn; nil while parked.
func (w *Wire) RemoteAddr() net.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	return w.conn.RemoteAddr()
}

// SyscallConn gives access to the descriptor for as long as the wire does not
// change between parked and not.
func (w *Wire) SyscallConn() (syscall.RawConn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return w.bare()
	}
	return w.conn.SyscallConn()
}

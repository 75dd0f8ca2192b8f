package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// parked is the part of a wire that is in use while it is parked.
type parked struct {
	fd     int    // the descriptor, while conn is nil
	closed bool   // fd is closed
	dry    bool   // the last read took all there was: MarkReadable says that there may be more
	corked bool   // writes are kept until Flush
	unsent []byte // what the kernel has not taken yet
}

// ErrWouldBlock is what reading a parked wire gives when nothing has come. It
// is a temporary net.Error, so crypto/tls lets the call be made again.
var ErrWouldBlock net.Error = wouldBlock{"nothing to read yet"}

type wouldBlock struct{ text string }

func (e wouldBlock) Error() string { return e.text }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// unsentSize is the room for what a write left over: the bytes of one read,
// and what TLS puts around them.
const unsentSize = 66 << 10

// maxUnsentBytes bounds what a parked wire keeps: whoever writes to it stops as
// long as something is left, but crypto/tls answers the peer by itself.
const maxUnsentBytes = 256 << 10

var errFlooded = errors.New("the peer asks for more than it reads")

var unsentBuffers = sync.Pool{New: func() any { b := make([]byte, 0, unsentSize); return &b }}

// Park takes the socket out of Go's poller, for a Poller. From now on Read gives ErrWouldBlock instead of blocking, and
// Write takes everything and keeps what the kernel does not take (see Unsent).
// It fails when the process is out of descriptors; the wire is unchanged then.
func (w *Wire) Park() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	rc, err := w.conn.SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	var failed error
	err = rc.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("parking a socket: %w", err)
	}
	_ = w.conn.Close() // the connection lives on in fd
	w.conn = nil
	w.parked = parked{fd: fd}
	return nil
}

// Unpark returns the socket to Go's poller. What was unsent is lost.
func (w *Wire) Unpark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropUnsent()
	if w.conn == nil && !w.closed {
		w.conn = os.NewFile(uintptr(w.fd), "socket")
	}
}

func setLinger(c pollable, seconds int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(max(seconds, 0))}
	if seconds < 0 {
		l.Onoff = 0
	}
	return control(c, func(fd int) error { return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l) })
}

func shutdownWrite(c pollable) error {
	return control(c, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// Read is that of net.Conn.
func (w *Wire) Read(p []byte) (int, error) {
	if w.conn != nil {
		n, err := w.conn.Read(p)
		return n, temporary(err)
	}
	if w.closed {
		return 0, net.ErrClosed
	}
	if w.dry || len(p) == 0 {
		return 0, ErrWouldBlock
	}
	n, err := retried(func() (int, error) { return unix.Read(w.fd, p) })
	switch {
	case err == unix.EAGAIN:
		w.dry = true
		return 0, ErrWouldBlock
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	w.dry = n < len(p)
	return n, nil
}

// temporary returns a deadline's error as a net.Error. An os.File, which the socket is after
// Unpark, wraps it into another, and crypto/tls never reads again after an error that
// does not say it is temporary.
func temporary(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// MarkReadable says that the socket may have something to read again.
func (w *Wire) MarkReadable() { w.dry = false }

// Drained reports whether all that has come so far has been read.
func (w *Wire) Drained() bool { return w.dry }

// Write is that of net.Conn.
func (w *Wire) Write(p []byte) (int, error) {
	if w.conn != nil {
		return w.conn.Write(p)
	}
	if w.closed {
		return 0, net.ErrClosed
	}
	sent := 0
	if !w.corked && len(w.unsent) == 0 {
		var err error
		if sent, err = w.send(p); err != nil {
			return sent, err
		}
	}
	return len(p), w.keep(p[sent:])
}

// send writes to the kernel as much as it takes now.
func (w *Wire) send(p []byte) (int, error) {
	n, err := retried(func() (int, error) { return unix.Write(w.fd, p) })
	switch {
	case err == unix.EAGAIN:
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("write", err)
	}
	return n, nil
}

// keep appends p to what is unsent.
func (w *Wire) keep(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(w.unsent)+len(p) > maxUnsentBytes {
		return errFlooded
	}
	if w.unsent == nil {
		w.unsent = *unsentBuffers.Get().(*[]byte)
	}
	w.unsent = append(w.unsent, p...)
	return nil
}

// Cork keeps what is written until Flush, so that the records of one write of
// TLS go out together.
func (w *Wire) Cork() { w.corked = true }

// Unsent reports whether the kernel has not taken all that was written.
func (w *Wire) Unsent() bool { return len(w.unsent) > 0 }

// Flush writes to the kernel what is unsent, as far as it takes it.
func (w *Wire) Flush() error {
	w.corked = false
	if len(w.unsent) == 0 {
		return nil
	}
	n, err := w.send(w.unsent)
	if err != nil {
		return err
	}
	if n == len(w.unsent) {
		w.dropUnsent()
		return nil
	}
	w.unsent = append(w.unsent[:0], w.unsent[n:]...)
	return nil
}

// dropUnsent frees the buffer.
func (w *Wire) dropUnsent() {
	if b := w.unsent[:0]; cap(b) == unsentSize {
		unsentBuffers.Put(&b)
	}
	w.unsent, w.corked = nil, false
}

// Close is that of net.Conn.
func (w *Wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		return w.conn.Close()
	}
	if w.closed {
		return net.ErrClosed
	}
	w.closed = true
	w.dropUnsent()
	return os.NewSyscallError("close", unix.Close(w.fd))
}

// retried calls f again as long as a signal interrupts it.
func retried(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// bare is the descriptor of a parked wire, for those who ask the kernel about it.
type bare struct{ w *Wire }

var errNotParked = errors.New("the socket has changed hands meanwhile")

// Control implements syscall.RawConn.
func (b bare) Control(f func(fd uintptr)) error {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if b.w.conn != nil || b.w.closed {
		return errNotParked
	}
	f(uintptr(b.w.fd))
	return nil
}

// Read implements syscall.RawConn, but it does not wait.
func (b bare) Read(f func(fd uintptr) bool) error {
	done := false
	if err := b.Control(func(fd uintptr) { done = f(fd) }); err != nil {
		return err
	}
	if !done {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Write implements syscall.RawConn, but it does not wait.
func (b bare) Write(f func(fd uintptr) bool) error { return b.Read(f) }

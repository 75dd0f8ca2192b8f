package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// unsentSize is the room for what a write left over: the bytes of one read,
// and what TLS puts around them.
const unsentSize = 66 << 10

// maxUnsentBytes bounds what a wire keeps: whoever writes to it stops as long as
// something is left, but crypto/tls answers the peer by itself.
const maxUnsentBytes = 256 << 10

var errFlooded = errors.New("the peer asks for more than it reads")

var unsentBuffers = sync.Pool{New: func() any { b := make([]byte, 0, unsentSize); return &b }}

// Read is that of net.Conn.
func (w *Wire) Read(p []byte) (int, error) {
	by := w.waiter()
	if by != nil {
		by.Return()
	}
	for {
		n, err := w.receive(p)
		if by == nil || len(p) == 0 {
			return n, err
		}
		if err != ErrWouldBlock {
			w.haveMoved(n)
			return n, err
		}
		w.waits.moved = 0
		if err := by.Await(w); err != nil {
			return 0, err
		}
	}
}

const (
	turnBytes = 256 << 10 // what is moved for a peer that does not let the task wait, before others have their turn
	callBytes = 1 << 10   // what a call counts as at least: many small ones take time, too
)

func (w *Wire) haveMoved(n int) {
	m := w.waits
	if m.moved += max(n, callBytes); m.moved >= turnBytes {
		m.moved = 0
		m.by.GiveWay()
	}
}

// receive reads what has come.
func (w *Wire) receive(p []byte) (int, error) {
	switch {
	case !w.open:
		return 0, net.ErrClosed
	case w.dry || len(p) == 0:
		return 0, ErrWouldBlock
	}
	n, err := retried(func() (int, error) { return recv(w.fd, p) })
	switch {
	case err == unix.EAGAIN:
		w.dry = true
		return 0, ErrWouldBlock
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0:
		return 0, io.EOF
	}
	w.dry = n < len(p) && !w.hungUp
	return n, nil
}

// Write is that of net.Conn.
func (w *Wire) Write(p []byte) (int, error) {
	by := w.waiter()
	if by == nil {
		return w.writeSome(p)
	}
	by.Return()
	sent := 0
	for {
		n, err := 0, w.Flush() // what TLS has said while no call waited goes first
		if err == nil && !w.Unsent() {
			n, err = w.send(p[sent:])
		}
		if sent += n; err != nil || sent == len(p) {
			w.haveMoved(sent)
			return sent, err
		}
		if err := by.Await(w); err != nil {
			return sent, err
		}
	}
}

// writeSome writes what the kernel takes, and keeps the rest.
func (w *Wire) writeSome(p []byte) (int, error) {
	sent := 0
	if !w.corked && !w.Unsent() {
		var err error
		if sent, err = w.send(p); err != nil {
			return sent, err
		}
	}
	return len(p), w.keep(p[sent:])
}

// send writes to the kernel as much as it takes now.
func (w *Wire) send(p []byte) (int, error) {
	switch {
	case !w.open:
		return 0, net.ErrClosed
	case w.full || len(p) == 0:
		return 0, nil
	}
	n, err := retried(func() (int, error) { return send(w.fd, p) })
	switch {
	case err == unix.EAGAIN:
		w.full = true
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("write", err)
	}
	w.full = n < len(p)
	return n, nil
}

// keep appends p to what is unsent.
func (w *Wire) keep(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if w.unsent == nil {
		w.unsent = unsentBuffers.Get().(*[]byte)
	}
	if len(*w.unsent)+len(p) > maxUnsentBytes {
		return errFlooded
	}
	*w.unsent = append(*w.unsent, p...)
	return nil
}

// Cork keeps what is written until Flush, so that the records of one write of
// TLS go out together.
func (w *Wire) Cork() { w.corked = true }

// Unsent reports whether the kernel has not taken all that was written.
func (w *Wire) Unsent() bool { return w.unsent != nil && len(*w.unsent) > 0 }

// Flush writes to the kernel what is unsent, as far as it takes it.
func (w *Wire) Flush() error {
	w.corked = false
	if !w.Unsent() {
		return nil
	}
	b := *w.unsent
	n, err := w.send(b)
	if err != nil {
		return err
	}
	if n == len(b) {
		w.dropUnsent()
		return nil
	}
	*w.unsent = append(b[:0], b[n:]...)
	return nil
}

// DropUnsent gives up what is unsent.
func (w *Wire) DropUnsent() { w.dropUnsent() }

func (w *Wire) dropUnsent() {
	if b := w.unsent; b != nil && cap(*b) == unsentSize {
		*b = (*b)[:0]
		unsentBuffers.Put(b)
	}
	w.unsent, w.corked = nil, false
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

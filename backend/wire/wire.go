// Package wire has the sockets of clients and backends: the descriptor, what an
// event loop knows of it, TCP options and states, and the kernel's tables. It knows
// nothing of IMAP.
package wire

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Wire is a TCP or Unix socket that never blocks its thread, and the lowest layer
// of a connection. Where a call would have to wait, its Waiter does so; without one
// Read returns ErrWouldBlock, and Write keeps what the kernel does not take (see
// Unsent).
//
// All methods belong to the thread of the loop that has the wire, but SyscallConn
// and Close, which are safe for concurrent use.
type Wire struct {
	mu    sync.Mutex // protects fd against those who only ask; nothing blocks under it
	fd    int
	open  bool
	unix  bool // a Unix socket
	asked bool // the kernel, for local

	waits   *waits // nil while no call on it waits
	watcher Watcher
	place   Key    // in the poller that the wire is in
	watched Events // what it waits for there

	dry    bool    // the last read took all there was: an event says that there is more
	hungUp bool    // the peer has closed its side, or the socket is dead: there is an end to be read
	full   bool    // the kernel takes nothing: an event says that it does
	corked bool    // writes are kept until Flush
	unsent *[]byte // what the kernel has not taken yet; nil for nothing

	local  *netip.AddrPort // nil where the kernel has to be asked
	remote netip.AddrPort  // not valid for a Unix socket
	path   string          // of the Unix socket that was connected to
}

// waits is what a wire has only as long as calls on it wait, which an idle session's do not.
type waits struct {
	by       Waiter    // nil: they do not wait at present
	deadline time.Time // of reading and writing; the zero value is none
	limited  string    // by what
	moved    int       // bytes since the Waiter last waited to read
}

// Waiter waits where a call on a wire would block.
type Waiter interface {
	// Await returns when an event has come for the wire, whatever it is, or an
	// error when the wire's deadline has passed (os.ErrDeadlineExceeded) or there
	// is another reason not to wait any longer.
	Await(w *Wire) error
	// GiveWay returns after others have had their turn.
	GiveWay()
	// Return returns where the wire may be used: its caller may have left the loop.
	Return()
}

// Watcher is told of a wire's events.
type Watcher interface {
	Ready(w *Wire, e Events)
}

// ErrWouldBlock is what Read returns on a wire without a Waiter when nothing has
// come. It is a temporary net.Error, so crypto/tls lets the call be made again.
var ErrWouldBlock net.Error = wouldBlock{"nothing to read yet"}

type wouldBlock struct{ text string }

func (e wouldBlock) Error() string { return e.text }
func (wouldBlock) Timeout() bool   { return false }
func (wouldBlock) Temporary() bool { return true }

// WaitBy makes waiter wait where a call would block; with nil no call waits. It returns
// who did so before.
func (w *Wire) WaitBy(waiter Waiter) (before Waiter) {
	before = w.waiter()
	if waiter != nil || before != nil {
		w.mayWait().by = waiter
	}
	return before
}

// Forget makes no call wait, and drops what only such calls and logins need: the limit, and our own address where the
// kernel had to be asked for it.
func (w *Wire) Forget() {
	w.waits = nil
	if w.asked {
		w.local, w.asked = nil, false
	}
}

func (w *Wire) mayWait() *waits {
	if w.waits == nil {
		w.waits = &waits{}
	}
	return w.waits
}

func (w *Wire) waiter() Waiter {
	if w.waits == nil {
		return nil
	}
	return w.waits.by
}

// WatchBy makes x hear of the wire's events; nil is no one.
func (w *Wire) WatchBy(x Watcher) { w.watcher = x }

// Note takes what the poller reports, and passes it on to the wire's Watcher.
func (w *Wire) Note(e Events) {
	if e&(Readable|HungUp|Dead) != 0 {
		w.dry = false
	}
	if e&(HungUp|Dead) != 0 {
		w.hungUp = true
	}
	if e&(Writable|Dead) != 0 {
		w.full = false
	}
	if w.watcher != nil {
		w.watcher.Ready(w, e)
	}
}

// Place is where the wire stands in its poller; the zero Key while it is in none.
func (w *Wire) Place() Key { return w.place }

// Drained reports whether all that has come so far has been read.
func (w *Wire) Drained() bool { return w.dry }

// HungUp reports whether the peer is known to have closed its side, or the socket to
// be dead. What came before may still have to be read.
func (w *Wire) HungUp() bool { return w.hungUp }

// Limit returns when calls that wait give up, the zero time for never, and the name of what
// limits them.
func (w *Wire) Limit() (name string, at time.Time) {
	if w.waits == nil {
		return "", time.Time{}
	}
	return w.waits.limited, w.waits.deadline
}

// SetLimit has calls that wait give up at a time; the zero time is never.
func (w *Wire) SetLimit(name string, at time.Time) {
	if w.waits == nil && at.IsZero() {
		return
	}
	m := w.mayWait()
	m.limited, m.deadline = name, at
}

// ShortenLimit has calls that wait give up at a time, unless they do before.
func (w *Wire) ShortenLimit(at time.Time) {
	if m := w.mayWait(); m.deadline.IsZero() || at.Before(m.deadline) {
		m.deadline = at
	}
}

// SetDeadline is that of net.Conn. It does not wake a call that waits already.
func (w *Wire) SetDeadline(t time.Time) error {
	w.SetLimit("", t)
	return nil
}

// SetReadDeadline is that of net.Conn; reading and writing have one deadline.
func (w *Wire) SetReadDeadline(t time.Time) error { return w.SetDeadline(t) }

// SetWriteDeadline is that of net.Conn; reading and writing have one deadline.
func (w *Wire) SetWriteDeadline(t time.Time) error { return w.SetDeadline(t) }

// LocalAddr is that of net.Conn.
func (w *Wire) LocalAddr() net.Addr { return netAddr(w.Local(), "") }

// RemoteAddr is that of net.Conn.
func (w *Wire) RemoteAddr() net.Addr { return netAddr(w.remote, w.path) }

func netAddr(a netip.AddrPort, path string) net.Addr {
	if !a.IsValid() {
		return &net.UnixAddr{Name: path, Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(a)
}

// IsUnix reports whether it is a Unix socket.
func (w *Wire) IsUnix() bool { return w.unix }

// Remote returns the peer's address, IPv4-mapped ones as IPv4; not valid for a Unix socket.
func (w *Wire) Remote() netip.AddrPort { return w.remote }

// RemoteText returns the peer's address as ip:port or unix:path.
func (w *Wire) RemoteText() string {
	if w.IsUnix() {
		return UnixPrefix + w.path
	}
	return w.remote.String()
}

// Local returns our own address, IPv4-mapped ones as IPv4; not valid for a Unix socket.
// The kernel is asked the first time, and after Forget, unless the client's listener has only one address.
func (w *Wire) Local() netip.AddrPort {
	if w.local == nil && !w.IsUnix() {
		_ = w.control(func(fd int) error {
			a, err := syscall.Getsockname(fd)
			local := addrPortOf(a)
			w.local, w.asked = &local, true
			return err
		})
	}
	return *cmp.Or(w.local, &netip.AddrPort{})
}

// SetLinger is that of net.TCPConn. It changes nothing for a Unix socket, which
// knows no reset: closing it is all.
func (w *Wire) SetLinger(seconds int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(max(seconds, 0))}
	if seconds < 0 {
		l.Onoff = 0
	}
	return w.control(func(fd int) error { return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l) })
}

// SetReadBuffer bounds what the kernel takes from the peer while nothing is read.
func (w *Wire) SetReadBuffer(bytes int) error {
	return w.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes) })
}

// CloseWrite sends a FIN, or ends what the peer of a Unix socket reads.
func (w *Wire) CloseWrite() error {
	return w.control(func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// Close is that of net.Conn. The kernel takes the descriptor out of its poller.
func (w *Wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return net.ErrClosed
	}
	w.open = false
	w.dropUnsent()
	return os.NewSyscallError("close", unix.Close(w.fd))
}

// SyscallConn returns access to the descriptor as long as it is open.
func (w *Wire) SyscallConn() (syscall.RawConn, error) { return bare{w: w}, nil }

// bare is the descriptor of a wire, for those who ask the kernel about it.
type bare struct {
	w *Wire
	noWait
}

// Control implements syscall.RawConn.
func (b bare) Control(f func(fd uintptr)) error {
	return b.w.control(func(fd int) error {
		f(uintptr(fd))
		return nil
	})
}

// bareListener is the descriptor of a listener.
type bareListener struct {
	l *Listener
	noWait
}

// Control implements syscall.RawConn.
func (b bareListener) Control(f func(fd uintptr)) error {
	f(uintptr(b.l.fd))
	return nil
}

// noWait is the part of syscall.RawConn that sockets of an event loop do not have.
type noWait struct{}

var errNoWait = errors.New("the socket can't be waited for in this way")

func (noWait) Read(func(uintptr) bool) error  { return errNoWait }
func (noWait) Write(func(uintptr) bool) error { return errNoWait }

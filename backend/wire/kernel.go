package wire

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// AskSocket asks the kernel for a socket's state (TCP_INFO, or poll(2) for a Unix
// socket) and inode. A
// socket that is closed already is an error.
func AskSocket(c syscall.Conn) (Socket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Socket{}, err
	}
	var s Socket
	var failed error
	err = raw.Control(func(fd uintptr) {
		var st unix.Stat_t
		if failed = unix.Fstat(int(fd), &st); failed != nil {
			return
		}
		s.Inode = st.Ino
		s.State, failed = stateOfDescriptor(int(fd))
	})
	if err != nil {
		return Socket{}, err
	}
	return s, failed
}

func stateOfDescriptor(fd int) (State, error) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err == unix.EOPNOTSUPP {
		return stateOfUnix(fd)
	}
	if err != nil {
		return StateUnknown, err
	}
	return stateOfNumber(info.State), nil
}

// stateOfUnix is the state of a Unix socket: what the peer has closed. Bytes that
// it has sent before can still be read.
func stateOfUnix(fd int) (State, error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	if _, err := retried(func() (int, error) { return unix.Poll(p, 0) }); err != nil {
		return StateUnknown, err
	}
	switch {
	case p[0].Revents&unix.POLLHUP != 0:
		return StateClosed, nil
	case p[0].Revents&unix.POLLRDHUP != 0:
		return StateCloseWait, nil
	}
	return StateEstablished, nil
}

// heldUnix returns what the kernel says of a descriptor of a Unix socket; false for
// one of another kind.
func heldUnix(fd int) (h HeldSocket, isUnix bool) {
	local, err := unix.Getsockname(fd)
	at, isUnix := local.(*unix.SockaddrUnix)
	if err != nil || !isUnix {
		return h, false
	}
	h.localPath = at.Name
	if far, err := unix.Getpeername(fd); err == nil {
		if to, ok := far.(*unix.SockaddrUnix); ok {
			h.Remote = UnixPrefix + to.Name
		}
	}
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	h.Listening = err == nil && n != 0
	return h, true
}

// Gone reports whether a peer that has closed its side has reset the connection too, or has
// vanished; cause is the kernel's word for it, nil when it has none.
func Gone(w *Wire) (cause error, gone bool) {
	err := w.control(func(fd int) error {
		state, err := stateOfDescriptor(fd)
		if err != nil || state != StateClosed {
			return err
		}
		gone = true
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
			cause = unix.Errno(n)
		}
		return nil
	})
	return cause, gone && err == nil
}

// Widen lets the kernel take more from a backend whose client has shown that it
// keeps up: fewer and larger steps cost half.
func Widen(w *Wire) {
	_ = w.control(func(fd int) error { // a narrow one does, too
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, maxUnreadWide)
	})
}

// Acknowledge has the kernel acknowledge at once what has come, instead of 40 ms later: a peer with Nagle's
// algorithm (RFC 896) sends nothing small before.
func (w *Wire) Acknowledge() {
	_ = w.control(func(fd int) error { // without it the rest comes later
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

// control runs f with the descriptor as long as it is open.
func (w *Wire) control(f func(fd int) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.open {
		return net.ErrClosed
	}
	return f(w.fd)
}

// control runs f with the descriptor of c.
func control(c syscall.Conn, f func(fd int) error) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := rc.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// values are the options as the kernel has them; 0 is left alone. What begins a probe comes last: a
// socket that has been silent for long enough sends one at once, and the next comes after the
// interval that it had then.
func (o TCPOptions) values() [6][3]int {
	return [6][3]int{
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.GoneAfter() / time.Millisecond)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.KeepAliveCount},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(o.KeepAliveInterval)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(o.KeepAliveIdle)},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	}
}

// Apply sets the options on a TCP socket. Clients of a listening socket begin with
// its options.
func (o TCPOptions) Apply(c syscall.Conn) error {
	if o == (TCPOptions{}) {
		return nil
	}
	return control(c, o.set)
}

func (o TCPOptions) set(fd int) error {
	for _, v := range o.values() {
		if v[2] == 0 {
			continue
		}
		if err := unix.SetsockoptInt(fd, v[0], v[1], v[2]); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

// Unread reports whether anything has come on an idle socket: bytes, the end, or
// an error. Nothing is taken out. In doubt something has.
func Unread(c syscall.Conn) bool {
	return !errors.Is(control(c, func(fd int) error {
		var b [1]byte
		_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err
	}), unix.EAGAIN)
}

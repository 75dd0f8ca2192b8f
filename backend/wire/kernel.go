package wire

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// applySystem sets what only Linux has: TCP_USER_TIMEOUT, and a bound on
// unsent bytes so that a peer that does not read costs little.
func applySystem(c *net.TCPConn, o TCPOptions) error {
	return control(c, func(fd int) error {
		if d := o.GoneAfter(); d > 0 {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT,
				int(d/time.Millisecond)); err != nil {
				return err
			}
		}
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
}

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

// WaitGone blocks until a peer that has closed its side has reset the
// connection too, or has vanished; cause is the kernel's word for it. An error
// means that the read deadline woke it first, or, for a parked wire, that it has
// not happened yet.
func WaitGone(c syscall.Conn) (cause, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	err = raw.Read(func(fd uintptr) bool {
		state, err := stateOfDescriptor(int(fd))
		if err == nil && state != StateClosed {
			return false
		}
		if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && n != 0 {
			cause = unix.Errno(n)
		}
		return true
	})
	return cause, err
}

// Widen lets the kernel take more from a backend whose client has shown that it
// keeps up: fewer and larger steps cost half.
func Widen(w *Wire) {
	_ = control(w, func(fd int) error { // a narrow one does, too
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, maxUnreadWide)
	})
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

// values are the options as the kernel has them; 0 is left alone.
func (o TCPOptions) values() [][3]int {
	return [][3]int{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds(o.KeepAliveIdle)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds(o.KeepAliveInterval)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, o.KeepAliveCount},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(o.GoneAfter() / time.Millisecond)},
		{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent},
	}
}

// ApplyListener sets the options on a listening socket, whose clients begin with
// them unless Go sets its own (net.ListenConfig.KeepAlive).
func (o TCPOptions) ApplyListener(ln *net.TCPListener) error {
	if o == (TCPOptions{}) {
		return nil
	}
	return control(ln, func(fd int) error {
		for _, v := range o.values() {
			if v[2] == 0 {
				continue
			}
			if err := unix.SetsockoptInt(fd, v[0], v[1], v[2]); err != nil {
				return err
			}
		}
		return nil
	})
}

// InForce reports whether a socket has the options.
func (o TCPOptions) InForce(c Stream) bool {
	return o == (TCPOptions{}) || control(c, func(fd int) error {
		for _, v := range o.values() {
			if n, err := unix.GetsockoptInt(fd, v[0], v[1]); err != nil || v[2] != 0 && n != v[2] {
				return errNotInForce
			}
		}
		return nil
	}) == nil
}

var errNotInForce = errors.New("the socket has other options")

// Unread reports whether anything has come on an idle socket: bytes, the end, or
// an error. Nothing is taken out. In doubt something has.
func Unread(c syscall.Conn) bool {
	return !errors.Is(control(c, func(fd int) error {
		var b [1]byte
		_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err
	}), unix.EAGAIN)
}

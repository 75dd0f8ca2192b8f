package wire

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Descriptor is an open socket that no Wire has yet. Whoever has it calls Wire.Init or Close.
type Descriptor struct {
	fd         int
	local      *netip.AddrPort // nil: not known
	remote     netip.AddrPort  // not valid: a Unix socket
	path       string
	connecting bool
}

// Close closes the descriptor.
func (d Descriptor) Close() { _ = unix.Close(d.fd) }

// Init makes a wire of a descriptor, which is the wire's from now on.
func (w *Wire) Init(d Descriptor) {
	w.fd, w.open, w.unix = d.fd, true, !d.remote.IsValid()
	w.local, w.remote, w.path = d.local, d.remote, d.path
	w.dry, w.hungUp, w.full = true, false, d.connecting
}

// Listener is a listening socket whose clients become wires.
type Listener struct {
	fd    int
	local *netip.AddrPort // of every client, where the listener has one address; else nil
}

// NewListener returns a listener with a descriptor of its own for the socket of ln:
// closing one does not close the other.
func NewListener(ln net.Listener) (*Listener, error) {
	c, ok := ln.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T is neither a TCP nor a Unix socket", ln)
	}
	fd := -1
	err := control(c, func(old int) (err error) {
		fd, err = unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, err
	}
	// Another process that has the socket may make it block, as systemd does when it passes it on.
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 1000})
	if _, isTCP := ln.(*net.TCPListener); isTCP {
		noDelay(fd) // clients' sockets begin with it
	}
	l := &Listener{fd: fd}
	if a, ok := ln.Addr().(*net.TCPAddr); ok && !a.IP.IsUnspecified() {
		local := unmapped(a.AddrPort())
		l.local = &local
	}
	return l, nil
}

// Accept returns the next client; ErrWouldBlock when none waits.
func (l *Listener) Accept() (Descriptor, error) {
	for {
		// not x/sys/unix, which asks for the socket's protocol each time
		fd, from, err := syscall.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			return Descriptor{fd: fd, remote: addrPortOf(from), local: l.local}, nil
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return Descriptor{}, ErrWouldBlock
		default:
			return Descriptor{}, os.NewSyscallError("accept4", err)
		}
	}
}

// Queued returns how many TCP clients wait to be accepted; in doubt, more than there can be.
func (l *Listener) Queued() int {
	info, err := unix.GetsockoptTCPInfo(l.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return maxQueued
	}
	return int(info.Unacked) // of a listening socket (tcp_get_info in Linux)
}

// maxQueued is the longest queue that the kernel's configuration is likely to allow.
const maxQueued = 1 << 16

// SyscallConn returns access to the descriptor, for TCPOptions.
func (l *Listener) SyscallConn() (syscall.RawConn, error) { return bareListener{l: l}, nil }

// Close closes the listener's own descriptor.
func (l *Listener) Close() error { return os.NewSyscallError("close", unix.Close(l.fd)) }

// Connect begins to connect to an address; Wire.AwaitConnected says what has
// come of it.
func Connect(to netip.AddrPort) (Descriptor, error) {
	to = unmapped(to)
	family, at := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(),
		ZoneId: zoneOf(to.Addr())})
	if to.Addr().Is4() {
		family, at = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	return connect(family, at, Descriptor{remote: to})
}

// ConnectUnix connects to a Unix socket.
func ConnectUnix(path string) (Descriptor, error) {
	return connect(unix.AF_UNIX, &unix.SockaddrUnix{Name: path}, Descriptor{path: path})
}

func connect(family int, to unix.Sockaddr, d Descriptor) (Descriptor, error) {
	var err error
	d.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return d, os.NewSyscallError("socket", err)
	}
	if family != unix.AF_UNIX {
		noDelay(d.fd)
	}
	switch err := unix.Connect(d.fd, to); err {
	case nil:
	case unix.EINPROGRESS, unix.EINTR:
		d.connecting = true
	default:
		d.Close()
		return d, os.NewSyscallError("connect", err)
	}
	return d, nil
}

// noDelay turns Nagle's algorithm (RFC 896) off: what is written goes out at once, also where the last bytes are not
// acknowledged yet. A socket without it still works.
func noDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// AwaitConnected waits until the connection is made, or can't be; the wire has a Waiter.
func (w *Wire) AwaitConnected() error {
	for w.full {
		if err := w.waiter().Await(w); err != nil {
			return err
		}
	}
	return w.control(func(fd int) error {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && n != 0 {
			err = os.NewSyscallError("connect", unix.Errno(n))
		}
		return err
	})
}

// addrPortOf returns a TCP address; the zero value for any other.
func addrPortOf(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return unmapped(netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port)))
	}
	return netip.AddrPort{}
}

// zoneOf returns the number of the interface that a link-local address names; 0 for none.
func zoneOf(a netip.Addr) uint32 {
	if n, err := strconv.ParseUint(a.Zone(), 10, 32); err == nil || a.Zone() == "" {
		return uint32(n)
	}
	i, err := net.InterfaceByName(a.Zone())
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

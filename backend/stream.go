package backend

import (
	"net"
	"net/netip"
	"syscall"
)

// Stream is a connected socket that a Wire can be made of: a *net.TCPConn or a
// *net.UnixConn.
type Stream interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
	SetReadBuffer(bytes int) error
}

// UnixPrefix begins the address of a Unix socket; the path follows.
const UnixPrefix = "unix:"

// ClientText writes a client's address as ip:port. Clients of a Unix socket
// have none, and are "unix:", as nginx calls them.
func ClientText(a netip.AddrPort) string {
	if !a.IsValid() {
		return UnixPrefix
	}
	return a.String()
}

// farEnd is where a socket leads: an address, or a Unix socket's path.
type farEnd struct {
	addr netip.AddrPort // IPv4-mapped addresses as IPv4
	path string
}

func farEndOf(a net.Addr) farEnd {
	switch a := a.(type) {
	case *net.TCPAddr:
		ap := a.AddrPort()
		return farEnd{addr: netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())}
	case *net.UnixAddr:
		return farEnd{path: a.Name}
	}
	return farEnd{}
}

// String gives ip:port, or unix:path.
func (e farEnd) String() string {
	if e.addr.IsValid() {
		return e.addr.String()
	}
	return UnixPrefix + e.path
}

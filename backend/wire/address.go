package wire

import (
	"net"
	"net/netip"
)

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

// AddressText writes an address as ip:port, IPv4-mapped ones as IPv4, or as
// unix:path.
func AddressText(a net.Addr) string {
	switch a := a.(type) {
	case *net.TCPAddr:
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String()
	case *net.UnixAddr:
		return UnixPrefix + a.Name
	}
	return ""
}

package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxPortRange bounds host:FIRST-LAST: each port is a socket.
const maxPortRange = 1000

// PortRange returns each address of host:FIRST-LAST, and any other as it is.
func PortRange(address string) []string {
	host, ports, err := net.SplitHostPort(address)
	first, last, isRange := strings.Cut(ports, "-")
	if err != nil || !isRange {
		return []string{address}
	}
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	if errFrom != nil || errTo != nil || from < 1 || to < from || to > 65535 || to-from >= maxPortRange {
		return []string{address} // check reports it
	}
	var list []string
	for port := from; port <= to; port++ {
		list = append(list, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	return list
}

// Network is listenNetwork, unless ipv6_only says otherwise.
func (l *Listener) Network(address string) string {
	host, _, _ := net.SplitHostPort(address)
	switch {
	case !l.Place.Has("ipv6_only"):
		return listenNetwork(address)
	case l.IPv6Only && (host == "" || host == "::"):
		return "tcp6"
	case host == "::":
		return "tcp" // both
	}
	return listenNetwork(address)
}

// listenNetwork keeps an IPv4 address to IPv4 and an IPv6 one to IPv6: only an
// address without a host means both.
func listenNetwork(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "tcp"
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case addr.Unmap().Is4():
		return "tcp4"
	}
	return "tcp6"
}

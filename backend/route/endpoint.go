package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"imapproxy/backend/printable"
	"imapproxy/backend/username"
	"imapproxy/backend/wire"
)

// maxHost bounds a host in bytes (RFC 1035 2.3.4).
const maxHost = 255

// endpoint is a backend's address, parsed and canonical.
type endpoint struct {
	ip   netip.Addr // invalid when host is a name; IPv4-mapped IPv6 becomes IPv4
	host string     // lower-case name without a final dot, "" when ip is valid
	port uint16
}

// String returns host:port, as a dialler takes it.
func (e endpoint) String() string {
	if e.ip.IsValid() {
		return netip.AddrPortFrom(e.ip, e.port).String()
	}
	return net.JoinHostPort(e.host, strconv.Itoa(int(e.port)))
}

// parseEndpoint reads host, host:port, [IPv6], [IPv6]:port or a bare IPv6 address.
func parseEndpoint(s string, defaultPort uint16) (endpoint, error) {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7F {
			return endpoint{}, fmt.Errorf("byte 0x%02X at position %d can't stand in an address", s[i], i+1)
		}
	}
	if strings.HasPrefix(s, wire.UnixPrefix+"/") {
		return endpoint{}, errors.New("a Unix socket needs a named target")
	}
	host, port, err := splitEndpoint(s)
	if err != nil {
		return endpoint{}, err
	}
	e := endpoint{port: defaultPort}
	if port != "" {
		if e.port, err = parsePort(port[1:]); err != nil {
			return endpoint{}, err
		}
	}
	bracketed := strings.HasPrefix(s, "[")
	if bracketed || strings.Contains(host, ":") {
		e.ip, err = parseIPv6(host)
		return e, err
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		e.ip = ip
		return e, nil
	}
	e.host, err = canonicalHost(host)
	return e, err
}

// splitEndpoint cuts s into the host without brackets and ":port" or "".
func splitEndpoint(s string) (host, port string, err error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, ok = strings.Cut(rest, "]")
		if !ok || port != "" && port[0] != ':' {
			return "", "", errors.New("write an IPv6 address and port as [address]:port")
		}
		return host, port, nil
	}
	if i := strings.IndexByte(s, ':'); i >= 0 && strings.Count(s, ":") == 1 {
		return s[:i], s[i:], nil
	}
	return s, "", nil
}

func parseIPv6(s string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(s)
	if err != nil || !ip.Is6() {
		return netip.Addr{}, errors.New("not an IPv6 address: write host:port or [IPv6]:port")
	}
	if ip.Zone() != "" {
		return netip.Addr{}, errors.New("an address with a zone needs a named target")
	}
	return ip.Unmap(), nil
}

func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %s is not a number from 1 to 65535", printable.Quote(s))
	}
	return uint16(port), nil
}

// canonicalHost checks a host name and returns it in lower case without a
// final dot. A name whose last label is a number is refused: system resolvers
// read "127.1" or "0x7f000001" as an address.
func canonicalHost(s string) (string, error) {
	if len(s) > maxHost {
		return "", fmt.Errorf("host of %d bytes: at most %d are allowed", len(s), maxHost)
	}
	host := username.LowerASCII(strings.TrimSuffix(s, "."))
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if !isLabel(label) {
			return "", fmt.Errorf("%s is neither an IP address nor a host name", printable.Quote(s))
		}
		last = label
	}
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		return "", fmt.Errorf("%s is neither an IP address nor a host name: its last label is a number",
			printable.Quote(s))
	}
	return host, nil
}

// isLabel reports whether s is one label of a host name (RFC 1123 2.1); the
// underscore is in wide use.
func isLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || 'z' < c) && (c < '0' || '9' < c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

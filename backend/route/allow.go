package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"imapproxy/backend/printable"
)

type addressRange struct {
	prefix netip.Prefix
	why    string
}

// neverBackend can't be the far end of a TCP connection, or means this machine
// by another name.
var neverBackend = []addressRange{
	{netip.MustParsePrefix("0.0.0.0/8"), "an address of this network (RFC 1122 3.2.1.3)"},
	{netip.MustParsePrefix("::/128"), "the unspecified address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
	{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address"},
}

// narrowOnly is permitted only by a prefix that lies inside the range: who
// lists 0.0.0.0/0 does not think of these, and who steers a route does.
var narrowOnly = []addressRange{
	{netip.MustParsePrefix("169.254.169.254/32"), "a cloud metadata address"},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "a cloud metadata address"},
	{netip.MustParsePrefix("fd00:ec2::23/128"), "a cloud metadata address"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "a cloud metadata address"},
	{netip.MustParsePrefix("fd00:c1::a9fe:a9fe/128"), "a cloud metadata address"},
	{netip.MustParsePrefix("fd00:42::42/128"), "a cloud metadata address"},
	{netip.MustParsePrefix("100.100.100.200/32"), "a cloud metadata address"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud metadata address"},
	{netip.MustParsePrefix("192.0.0.192/32"), "a cloud metadata address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("64:ff9b::/96"), "a translated IPv4 address (RFC 6052)"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "a translated IPv4 address (RFC 8215)"},
	{netip.MustParsePrefix("2002::/16"), "a tunnelled IPv4 address (RFC 3056)"},
	{netip.MustParsePrefix("2001::/32"), "a tunnelled IPv4 address (RFC 4380)"},
	{netip.MustParsePrefix("::/96"), "an IPv4 address in IPv6 (RFC 4291 2.5.5.1)"},
}

// NarrowOnly returns the ranges that an entry of the allow-list permits only when
// it is as narrow as they are.
func NarrowOnly() []netip.Prefix {
	list := make([]netip.Prefix, len(narrowOnly))
	for i, r := range narrowOnly {
		list[i] = r.prefix
	}
	return list
}

// inRange returns why ip is special, "" when it is not.
func inRange(ranges []addressRange, ip netip.Addr) string {
	for _, r := range ranges {
		if r.prefix.Contains(ip) {
			return r.why
		}
	}
	return ""
}

// Allow is one entry of the allow-list for backends without a name. The zero
// value permits nothing.
type Allow struct {
	prefix      netip.Prefix // invalid when host is set
	host        string       // exact host name, lower-case
	first, last uint16       // ports, both included
}

// ParseAllow reads an entry: an IP address, a prefix or one host name, with a
// port, a range of ports or "*" for every port: "10.0.0.0/8:143-993",
// "[fd00::/8]:993", "imap1.example.org:*". Metadata, link-local, loopback and
// translated addresses are permitted only by a prefix that lies inside their range.
func ParseAllow(s string) (Allow, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return Allow{}, fmt.Errorf("allow-list entry %s has no port: write it as 10.0.0.0/8:143, [fd00::/8]:993, "+
			"host:143-993, or host:* for every port", printable.Quote(s))
	}
	var a Allow
	err := a.setPorts(s[i+1:])
	if err == nil {
		err = a.setWhere(s[:i])
	}
	if err != nil {
		return Allow{}, fmt.Errorf("allow-list entry %s: %w", printable.Quote(s), err)
	}
	return a, nil
}

func (a *Allow) setPorts(s string) (err error) {
	if s == "*" {
		a.first, a.last = 1, 65535
		return nil
	}
	first, last, isRange := strings.Cut(s, "-")
	if a.first, err = parsePort(first); err != nil {
		return err
	}
	if !isRange {
		a.last = a.first
		return nil
	}
	if a.last, err = parsePort(last); err != nil {
		return err
	}
	if a.last < a.first {
		return fmt.Errorf("the range of ports is empty: write %d-%d", a.last, a.first)
	}
	return nil
}

func (a *Allow) setWhere(s string) (err error) {
	inner, opened := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if opened != closed || opened != strings.Contains(inner, ":") {
		return errors.New("brackets belong around an IPv6 address or prefix, as in [fd00::/8]:993, and around " +
			"nothing else")
	}
	if strings.Contains(inner, "/") {
		a.prefix, err = netip.ParsePrefix(inner)
	} else if ip, ipErr := netip.ParseAddr(inner); ipErr == nil && ip.Zone() == "" {
		a.prefix = netip.PrefixFrom(ip, ip.BitLen())
	} else {
		a.host, err = canonicalHost(inner)
		return err
	}
	if err != nil {
		return fmt.Errorf("not a prefix: %w", err)
	}
	if a.prefix.Addr().Is4In6() {
		return errors.New("write an IPv4 address as IPv4")
	}
	if a.prefix != a.prefix.Masked() {
		return fmt.Errorf("bits are set after the prefix: write %s", a.prefix.Masked())
	}
	return nil
}

func (a Allow) permits(e endpoint) bool {
	return a.first <= e.port && e.port <= a.last && a.coversHost(e)
}

// coversHost is permits without the port.
func (a Allow) coversHost(e endpoint) bool {
	if !e.ip.IsValid() {
		return a.host != "" && a.host == e.host
	}
	if !a.prefix.Contains(e.ip) {
		return false
	}
	for _, r := range narrowOnly {
		if r.prefix.Contains(e.ip) && a.prefix.Bits() < r.prefix.Bits() {
			return false
		}
	}
	return true
}

// selfAddresses is where this proxy listens.
type selfAddresses struct {
	listeners []netip.AddrPort
	local     map[netip.Addr]bool // this machine's addresses; read when a listener is unspecified
}

func newSelfAddresses(listeners []netip.AddrPort) (selfAddresses, error) {
	s := selfAddresses{local: make(map[netip.Addr]bool)}
	wildcard := false
	for _, l := range listeners {
		l = netip.AddrPortFrom(l.Addr().Unmap().WithZone(""), l.Port())
		s.listeners = append(s.listeners, l)
		wildcard = wildcard || l.Addr().IsUnspecified()
	}
	if !wildcard {
		return s, nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return selfAddresses{}, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			s.local[prefix.Addr().Unmap().WithZone("")] = true
		}
	}
	return s, nil
}

// listens reports whether a connection to a target's address would reach a
// listener of ours.
func (s selfAddresses) listens(address string) bool {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return s.contains(ap) // with a zone too
	}
	e, err := parseEndpoint(address, 0)
	return err == nil && s.has(e)
}

// has is contains for an endpoint. Of host names it knows localhost.
func (s selfAddresses) has(e endpoint) bool {
	if e.host == "localhost" {
		e.ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return e.ip.IsValid() && s.contains(netip.AddrPortFrom(e.ip, e.port))
}

// contains reports whether a connection to ap would reach a listener of ours.
func (s selfAddresses) contains(ap netip.AddrPort) bool {
	ip := ap.Addr().Unmap().WithZone("")
	for _, l := range s.listeners {
		if l.Port() != ap.Port() {
			continue
		}
		if l.Addr() == ip {
			return true
		}
		sameFamily := l.Addr().Is6() || ip.Is4() // a listener on :: takes IPv4 too
		if l.Addr().IsUnspecified() && sameFamily && (ip.IsLoopback() || ip.IsUnspecified() || s.local[ip]) {
			return true
		}
	}
	return false
}

package config

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

func checkListeners(all []Listener, r *Report) {
	names := map[string]int{}
	for i := range all {
		l := &all[i]
		checkName(l.Place, l.Name, "listeners", names, r)
		checkListenAddress(l, all[:i], r)
		checkListenerTLS(l, r)
		checkProxyProtocol(l, r)
		checkPolicy(&l.Policy, r)
	}
}

// checkListenAddress reports an address that is malformed or taken by one of
// the listeners before.
func checkListenAddress(l *Listener, before []Listener, r *Report) {
	if strings.HasPrefix(l.Address, UnixPrefix) {
		l.Address = absoluteSocket(l.Address, l.Place)
		if problem, remedy := unixProblem(l.Address); problem != "" {
			r.Errorf(l.Place, "address", remedy, "%q: %s", l.Address, problem)
			return
		}
		for _, key := range []string{"reuseport", "ipv6_only"} {
			if l.Place.Has(key) {
				r.Errorf(l.Place, key, "remove it", "not used with a Unix socket")
			}
		}
	} else if err := checkHostPort(l.Address, true); err != "" {
		r.Errorf(l.Place, "address", `write host:port, such as ":143" or "127.0.0.1:143", or unix:/path`,
			"%q: %s", l.Address, err)
		return
	}
	checkSocketMode(l, r)
	for i := range before {
		if sameAddress(l.Address, before[i].Address) {
			r.Errorf(l.Place, "address", "give each listener its own port or host",
				"%q is taken by %q of the listener %q on line %d", l.Address, before[i].Address, before[i].Name,
				before[i].Place.line("address"))
			return
		}
	}
}

// sameAddress reports whether two listeners can't both have their address: an
// address of every interface takes the port from all others.
func sameAddress(a, b string) bool {
	if strings.HasPrefix(a, UnixPrefix) || strings.HasPrefix(b, UnixPrefix) {
		return a == b
	}
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || !samePort(portA, portB) {
		return false
	}
	if hostA == "" || hostB == "" {
		return true
	}
	familyA, familyB := listenNetwork(a), listenNetwork(b)
	sameFamily := familyA == familyB || familyA == "tcp" || familyB == "tcp" // "tcp" is a name's: either
	return sameFamily && overlap(listenHost(hostA), listenHost(hostB))
}

// samePort reports whether two ports, or ranges of them, have one in common; port
// 0 is any free one.
func samePort(a, b string) bool {
	fromA, toA := ports(a)
	fromB, toB := ports(b)
	return fromA > 0 && fromB > 0 && fromA <= toB && fromB <= toA
}

// ports returns the ends of a range; of a single port twice the same.
func ports(text string) (from, to int) {
	first, last, isRange := strings.Cut(text, "-")
	from, _ = strconv.Atoi(first)
	if !isRange {
		return from, from
	}
	to, _ = strconv.Atoi(last)
	return from, to
}

// overlap reports whether two hosts of one family are the same or one of them is
// every interface.
func overlap(a, b string) bool { return a == b || a == "" || b == "" }

// listenHost writes a host in one way; every interface is "".
func listenHost(host string) string {
	if strings.EqualFold(host, "localhost") {
		return "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return strings.ToLower(host)
	case addr.IsUnspecified():
		return ""
	}
	return addr.Unmap().String()
}

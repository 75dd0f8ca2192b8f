package convert

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"imapproxy/cmd/imapproxy/config"
)

// listen is one address of an IMAP server.
type listen struct {
	from     *statement
	also     *statement // the listen of the other family that it holds as well
	host     string     // "" for every IPv4 address, "::" for every IPv6 address, "both"
	ports    string     // a port or a range; "" for a unix socket
	unix     string
	implicit bool
	keys     []setting // backlog and such
}

// imapPorts and the others are what nginx takes a server's protocol from.
var protocolPorts = map[string]string{
	"143": "imap", "993": "imap", "110": "pop3", "995": "pop3", "25": "smtp", "587": "smtp", "465": "smtp",
}

// protocol returns what a server{} speaks, by its protocol directive or the port
// of its first listen, and where; "" when it is refused.
func (c *nginxConverter) protocol(block *statement) (string, []string) {
	var protocol string
	var listens []string
	var first, named *statement
	for _, s := range block.block {
		switch {
		case s.name == "listen" && len(s.args) > 0:
			listens = append(listens, s.args[0])
			if first == nil {
				first = s
				_, _, ports, _ := splitListen(s.args[0])
				port, _, _ := strings.Cut(ports, "-")
				protocol = protocolPorts[port]
			}
		case s.name == "protocol" && len(s.args) == 1:
			named = s
		}
	}
	switch {
	case first == nil:
		c.refuse(block, `no "listen" is defined for the server`)
		return "", nil
	case named != nil:
		if protocol = named.args[0]; !slices.Contains([]string{"imap", "pop3", "smtp"}, protocol) {
			c.refuse(named, "unknown protocol %q: nginx takes imap, pop3, smtp", protocol)
			return "", nil
		}
		if protocol == "imap" {
			c.note(named, Converted, "imapproxy speaks only IMAP")
		}
	case protocol == "":
		c.refuse(block, "unknown mail protocol: the port of %q is not one of 143, 993, 110, 995, 25, 465, 587 and "+
			"there is no protocol directive", first.args[0])
	}
	return protocol, listens
}

// splitListen takes an address apart: a unix socket, or host and ports.
func splitListen(address string) (unix, host, ports string, err error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		if path == "" {
			return "", "", "", fmt.Errorf("no path in the unix domain socket")
		}
		return path, "", "", nil
	}
	i := strings.LastIndexByte(address, ':')
	if strings.HasSuffix(address, "]") {
		i = -1
	}
	if i < 0 {
		host, ports = "*", address
	} else {
		host, ports = address[:i], address[i+1:]
	}
	first, last, good := portRange(ports)
	switch {
	case !good && i < 0 && !strings.Contains(ports, "-"):
		return "", "", "", fmt.Errorf("no port in %q", address)
	case !good || first == 0 || last < first:
		return "", "", "", fmt.Errorf("invalid port in %q", address)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !addr.Is6() || !strings.HasSuffix(inner, "]") {
			return "", "", "", fmt.Errorf("invalid IPv6 address in %q", address)
		}
		host = addr.String()
	}
	_, addrErr := netip.ParseAddr(host)
	switch {
	case host == "*" || host == "0.0.0.0":
		host = ""
	case host == "":
		return "", "", "", fmt.Errorf("no host in %q", address)
	case addrErr != nil && !config.IsHostName(host):
		return "", "", "", fmt.Errorf("invalid host in %q", address)
	}
	return "", host, ports, nil
}

// address returns a listener's address as imapproxy takes it.
func (l *listen) address() string {
	switch l.host {
	case "both":
		return ":" + l.ports
	case "":
		if l.unix != "" {
			return "unix:" + l.unix
		}
		return "0.0.0.0:" + l.ports
	}
	return net.JoinHostPort(l.host, l.ports)
}

// listens converts the listen directives of a server.
func (c *nginxConverter) listens(s *draft) {
	allSSL := false
	if ssl := s.one("ssl"); ssl != nil {
		if on, good := c.flag(ssl); good && on {
			allSSL = true
			c.note(ssl, Converted, `tls = "implicit" on every listener of the server`)
		} else if good {
			c.note(ssl, Converted, "it is the default")
		}
	}
	for _, from := range s.own["listen"] {
		unix, host, ports, err := splitListen(from.args[0])
		if err != nil {
			c.refuse(from, "%v: write an address such as 143, 127.0.0.1:143 or [::]:143", err)
			continue
		}
		l := listen{from: from, unix: unix, host: host, ports: ports, implicit: allSSL}
		if unix != "" {
			l.keys = append(l.keys, setting{"socket_mode", text("0666"), "as nginx does: every user of this machine"})
		}
		if !c.listenParameters(s, &l) || !c.listenFree(s, &l) {
			continue
		}
		if addr, err := netip.ParseAddr(host); host != "" && host != "both" && (err != nil || !addr.IsValid()) {
			c.note(from, Differs,
				"imapproxy listens on the first address of the name, nginx on all: write addresses if it has several")
		}
		s.listens = append(s.listens, l)
	}
	s.mergeFamilies()
	for i := range s.listens {
		l := &s.listens[i]
		c.note(l.from, Converted, "address = %s", text(l.address()))
		if l.also != nil {
			c.note(l.also, Converted, "address = %s holds both families", text(l.address()))
		}
	}
}

// listenParameters reads what follows the address.
func (c *nginxConverter) listenParameters(s *draft, l *listen) bool {
	for _, parameter := range l.from.args[1:] {
		name, value, _ := strings.Cut(parameter, "=")
		switch {
		case parameter == "ssl":
			l.implicit = true
		case parameter == "bind", parameter == "multipath":
		case name == "rcvbuf", name == "sndbuf":
			c.note(l.from, Differs, "%s is left out: %s", name, kernelsWork)
		case parameter == "proxy_protocol":
			l.keys = append(l.keys, setting{"proxy_protocol", text("required"), l.from.from()})
		case name == "backlog":
			n, err := parseNginxNumber(value)
			if err != nil || n == 0 {
				c.refuse(l.from, "invalid backlog %q", value)
				return false
			}
			if most := countBoundsOf("listener.backlog").Most; n > most {
				n = most
				c.note(l.from, Differs, "backlog is lowered to %d, the most imapproxy takes", most)
			}
			l.keys = append(l.keys, setting{"backlog", number(n), l.from.from()})
		case name == "ipv6only" && (value == "on" || value == "off"):
			if l.host == "::" && value == "off" {
				l.host = "both"
			}
		case name == "so_keepalive":
			if !c.keepalive(l, value) {
				return false
			}
		default:
			c.refuse(l.from, "invalid parameter %q", parameter)
			return false
		}
	}
	return true
}

// keepalive reads so_keepalive=on|off|[idle]:[interval]:[count].
func (c *nginxConverter) keepalive(l *listen, value string) bool {
	switch value {
	case "on":
		return true // as [tcp] does for every client
	case "off":
		c.note(l.from, Differs, "TCP keep-alive stays on: a client that vanishes must not hold a backend's connection")
		return true
	}
	parts := strings.Split(value, ":")
	if len(parts) != 3 || value == "::" {
		c.refuse(l.from, "invalid so_keepalive value: %q", value)
		return false
	}
	for i, key := range []string{"keepalive_idle", "keepalive_interval"} {
		if parts[i] == "" {
			continue
		}
		d, err := parseNginxTime(parts[i])
		if err != nil {
			c.refuse(l.from, "invalid so_keepalive value: %q", value)
			return false
		}
		d, note := clampSpan(d, spanBoundsOf("listener."+key))
		if note != "" {
			c.note(l.from, Differs, "%s is %s", key, note)
		}
		l.keys = append(l.keys, setting{key, span(d), l.from.from()})
	}
	if parts[2] != "" {
		n, err := parseNginxNumber(parts[2])
		if b := countBoundsOf("listener.keepalive_count"); err != nil || n < b.Least || n > b.Most {
			c.refuse(l.from, "invalid so_keepalive value: %q", value)
			return false
		}
		l.keys = append(l.keys, setting{"keepalive_count", number(n), l.from.from()})
	}
	return true
}

// listenFree reports whether an address is not taken by an earlier listen.
func (c *nginxConverter) listenFree(s *draft, l *listen) bool {
	for _, other := range append(slices.Clone(c.servers), s) {
		for i := range other.listens {
			o := &other.listens[i]
			switch {
			case o.unix != l.unix || l.unix == "" && !l.sharesPort(o):
				continue
			case o.host == l.host:
				c.refuse(l.from, "duplicate %q address and port pair: %s has it already", l.from.args[0],
					o.from.place())
				return false
			case o.host != "both" && l.host != "both" && o.family() != l.family(), !o.every() && !l.every():
				continue
			case other == s && o.implicit == l.implicit && o.ports == l.ports && o.every():
				c.note(l.from, Converted, "the listener of %s holds this address too", o.from.place())
				return false
			}
			c.refuse(l.from, "it overlaps %s, and imapproxy has one listener for each port: write the addresses of "+
				"this machine instead of *", o.from.place())
			return false
		}
	}
	return true
}

// local reports whether only this machine can reach the listener.
func (l *listen) local() bool {
	if slices.ContainsFunc(l.keys, func(k setting) bool { return k.key == "proxy_protocol" }) {
		return false // its clients are somewhere else
	}
	addr, err := netip.ParseAddr(l.host)
	return l.unix != "" || l.host == "localhost" || err == nil && addr.IsLoopback()
}

// every reports whether the listener holds each address of its family, or of both.
func (l *listen) every() bool {
	return l.unix == "" && (l.host == "" || l.host == "::" || l.host == "both")
}

// sharesPort reports whether two listeners have a port in common.
func (l *listen) sharesPort(o *listen) bool {
	firstL, lastL, _ := portRange(l.ports)
	firstO, lastO, _ := portRange(o.ports)
	return firstL <= lastO && firstO <= lastL
}

// portRange returns the ends of a port or of a range; false when they are no
// numbers.
func portRange(ports string) (first, last uint64, good bool) {
	low, high, isRange := strings.Cut(ports, "-")
	if !isRange {
		high = low
	}
	first, errFirst := strconv.ParseUint(low, 10, 16)
	last, errLast := strconv.ParseUint(high, 10, 16)
	return first, last, errFirst == nil && errLast == nil
}

// family is 6 for an IPv6 address, 4 for everything else.
func (l *listen) family() int {
	if strings.Contains(l.host, ":") {
		return 6
	}
	return 4
}

// mergeFamilies makes one listener of `listen 143` and `listen [::]:143`.
func (s *draft) mergeFamilies() {
	for i := 0; i < len(s.listens); i++ {
		for j := 0; j < len(s.listens); j++ {
			four, six := &s.listens[i], &s.listens[j]
			if four.host != "" || four.unix != "" || six.host != "::" || four.ports != six.ports ||
				four.implicit != six.implicit || !sameKeys(four.keys, six.keys) {
				continue
			}
			four.host, four.also = "both", six.from
			s.listens = slices.Delete(s.listens, j, j+1)
			i = -1
			break
		}
	}
}

func sameKeys(a, b []setting) bool {
	return slices.EqualFunc(a, b, func(x, y setting) bool { return x.key == y.key && x.value == y.value })
}

package convert

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// instancePorts are the ports of an instance, of its listeners as of its
// backends: perdition takes them from the protocol, never from ssl_mode.
var instancePorts = map[string]string{"imap4": "143", "imap4s": "993"}

// strengths orders the ways to speak to a backend.
var strengths = []string{"off", "starttls", "implicit"}

// strongest returns the best protected way out of some instances, and "" for
// none.
func strongest(instances []*instance) string {
	best := ""
	for _, i := range instances {
		if slices.Index(strengths, i.outgoing) > slices.Index(strengths, best) {
			best = i.outgoing
		}
	}
	return best
}

// fits reports whether a way is the usual one for a port.
func fits(mode, port string) bool { return (mode == "implicit") == (port == "993") }

// outgoingWays finds out how each instance speaks to backends, and which of them
// imapproxy follows for a backend without a port.
func (c *perditionConverter) outgoingWays() {
	for _, i := range c.instances {
		c.outgoingTLS(i)
		i.port = instancePorts[i.name]
		if u := i.one("outgoing_port"); u != nil {
			if port := portNumber(u.value); port != "" {
				i.port = port
				c.done(u, "the port of backends without one")
			} else {
				c.refuse(u.at, "%q is no port: write its number", u.value)
			}
		}
	}
	mode := strongest(c.instances)
	for _, i := range c.instances {
		if i.outgoing == mode && (c.leading == nil || !fits(mode, c.leading.port)) {
			c.leading = i
		}
	}
	c.port, c.mode = c.leading.port, mode
}

// modeFor returns the way to a backend on a port, "" for the default one: that
// of all instances; else the best protected one that goes with a well-known
// port. It returns "" where perdition's instances contradict each other.
func (c *perditionConverter) modeFor(port string) string {
	if port == "" {
		return c.leading.outgoing
	}
	port = portNumber(port)
	implicit := func(i *instance) bool { return i.outgoing == "implicit" }
	starts := slices.DeleteFunc(slices.Clone(c.instances), implicit)
	switch {
	case len(starts) == 0 || len(starts) == len(c.instances):
		return strongest(c.instances)
	case port == "993":
		return "implicit"
	case port == "143":
		return strongest(starts)
	}
	return ""
}

// contradiction says that a port can't be spoken to in the ways of all
// instances.
const contradiction = "one of perdition's instances speaks TLS from the first byte to %s and another does not, so " +
	"that one of them fails: give both the same ssl_mode towards backends, or convert one with --line"

// mapMode takes another way for the backends of a map when none of them goes the
// best protected one, and there is no outgoing_server.
func (c *perditionConverter) mapMode() {
	if len(c.outgoing) > 0 || !c.hasMap {
		return
	}
	var ports []string
	for i := range c.mapEntries {
		ports = append(ports, c.mapEntries[i].port)
	}
	for i := range c.mapRules {
		_, _, port := serverPort(c.mapRules[i].result, c.delimiter)
		ports = append(ports, port)
	}
	other := ""
	for _, port := range ports {
		switch mode := c.modeFor(port); {
		case mode == c.mode:
			return
		case other == "":
			other = mode
		}
	}
	if other != "" {
		c.mode = other
	}
}

// ownListener reports whether an address is one of the proxy's listeners.
func (c *perditionConverter) ownListener(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	local := host == "localhost" || err == nil && ip.IsLoopback()
	for _, i := range c.instances {
		for _, listens := range i.listens {
			at, ownPort, err := net.SplitHostPort(listens)
			own, notIP := netip.ParseAddr(at)
			switch {
			case err != nil || port != ownPort:
			case at == host, notIP == nil && own.IsUnspecified() && local,
				host == "localhost" && notIP == nil && own.IsLoopback():
				return true
			}
		}
	}
	return false
}

// loops says what a backend is that ownListener reports.
const loops = "%s is this proxy's own listener: perdition finds the loop and refuses the login; name the backend, or " +
	"give listeners another bind_address"

// own returns the name of a target for a backend that is not spoken to as the
// others are.
func (c *perditionConverter) own(address, mode string) string {
	name := strings.NewReplacer(":", "-", "[", "", "]", "").Replace(address)
	if c.ownTargets == nil {
		c.ownTargets = map[string]ownTarget{}
	}
	c.ownTargets[name] = ownTarget{address, mode}
	return name
}

// ownTarget is a backend with a section of its own.
type ownTarget struct{ address, mode string }

// writeOwn writes the sections of those backends.
func (c *perditionConverter) writeOwn() string {
	var d document
	for _, name := range slices.Sorted(maps.Keys(c.ownTargets)) {
		t := c.ownTargets[name]
		d.section("[[target]]", append([]setting{{"name", text(name), "its port, which takes another tls"},
			{"addresses", list([]string{t.address}), ""}}, c.target(t.mode)...))
	}
	return d.b.String()
}

// way returns where the instances went to their backends in different ways.
func (c *perditionConverter) way() {
	for _, i := range c.instances {
		at := i.at
		if u := i.one("ssl_mode"); u != nil {
			at = u.at
		}
		mode := c.leading.outgoing
		switch {
		case !c.portless && i.outgoing != mode:
			c.note(at, Differs, "the instance %s went to backends with tls %s; imapproxy has one way to each backend, "+
				"implicit on port 993 and starttls or off on 143", i.name, i.outgoing)
		case c.portless && (i.outgoing != mode || i.port != c.port):
			c.note(at, Differs, "the instance %s went to backends with tls %s, port %s where none is named; imapproxy "+
				"has one way to a backend and takes %s, port %s", i.name, i.outgoing, i.port, mode, c.port)
		case c.portless && !fits(i.outgoing, i.port) && i.one("outgoing_port") == nil:
			c.note(at, Differs, "backends are spoken to with tls %s on port %s where none is named, since perdition "+
				"takes the port from the protocol: outgoing_port sets another", i.outgoing, i.port)
		}
	}
}

package main

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// checkConfig checks what the schema can't say: names, addresses and keys that
// depend on each other.
func checkConfig(c *config, r *report) {
	checkHostname(c, r)
	checkListeners(c.Listeners, r)
	checkLimits(&c.Limits, r)
	checkTCP(&c.TCP, r)
	checkAdmin(c, r)
	checkAuth(&c.Auth, r)
	checkRewrite(&c.Rewrite, r)
	for i := range c.Targets {
		checkTarget(&c.Targets[i], r)
	}
	checkTargetNames(c.Targets, r)
	checkRoute(c, r)
	checkPoolListeners(c, r)
}

// sectionName is what listeners and targets may be called: it stands in logs
// and in maps, where ":" and "@" have a meaning.
var sectionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// hostName is a host as it may stand in a greeting.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

func checkHostname(c *config, r *report) {
	if c.Hostname != "" && !hostName.MatchString(c.Hostname) {
		r.errorf(c.Place, "hostname", "write a name such as imap.example.org", "%q is not a host name", c.Hostname)
	}
}

func checkListeners(all []listenerConfig, r *report) {
	names := map[string]int{}
	for i := range all {
		l := &all[i]
		checkName(l.Place, l.Name, "listeners", names, r)
		checkListenAddress(l, all[:i], r)
		checkListenerTLS(l, r)
	}
}

// checkName reports a name that is malformed or taken.
func checkName(at place, name, what string, taken map[string]int, r *report) {
	if !sectionName.MatchString(name) {
		r.errorf(at, "name", `use up to 64 letters, digits, "-", "_" and ".", and begin with a letter or digit`, "%q is not a name", name)
		return
	}
	if line, ok := taken[name]; ok {
		r.errorf(at, "name", "give each its own name", "two %s are called %q; the other is on line %d", what, name, line)
		return
	}
	taken[name] = at.line("name")
}

// checkListenAddress reports an address that is malformed or taken by one of
// the listeners before.
func checkListenAddress(l *listenerConfig, before []listenerConfig, r *report) {
	if err := checkHostPort(l.Address, true); err != "" {
		r.errorf(l.Place, "address", `write host:port, such as ":143" or "127.0.0.1:143"`, "%q: %s", l.Address, err)
		return
	}
	for i := range before {
		if sameAddress(l.Address, before[i].Address) {
			r.errorf(l.Place, "address", "give each listener its own port or host",
				"%q is taken by %q of the listener %q on line %d", l.Address, before[i].Address, before[i].Name, before[i].Place.line("address"))
			return
		}
	}
}

// checkHostPort says what is wrong with host:port, "" for nothing. A listener
// may leave the host out and take port 0, which is any free one.
func checkHostPort(address string, listen bool) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "it is not host:port"
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 || (n == 0 && !listen) {
		return "the port is not a number from 1 to 65535"
	}
	if host == "" && listen {
		return ""
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName.MatchString(host) {
		return "the host is neither a name nor an address"
	}
	return ""
}

// sameAddress says whether two listeners can't both have their address: an
// address of every interface takes the port from all others.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	if hostA == "" || hostB == "" {
		return true
	}
	familyA, familyB := listenNetwork(a), listenNetwork(b)
	sameFamily := familyA == familyB || familyA == "tcp" || familyB == "tcp" // "tcp" is a name's: either
	return sameFamily && overlap(listenHost(hostA), listenHost(hostB))
}

// overlap tells whether two hosts of one family are the same or one of them is
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

// isLoopback says whether host[:port] is on this machine for certain.
func isLoopback(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

func checkListenerTLS(l *listenerConfig, r *report) {
	at := l.Place
	if l.Insecure {
		r.warnf(at, "insecure", "remove the line unless the network is trusted",
			"the listener %q takes passwords without TLS from every client", l.Name)
	}
	if l.TLS != "off" {
		if l.Certificate == "" {
			r.errorf(at, "certificate", `name the certificate's file, or write tls = "off"`, "missing, and tls is %q", l.TLS)
		}
		return
	}
	for _, key := range []string{"certificate", "key", "min_tls"} {
		if at.has(key) {
			r.errorf(at, key, `remove it, or write tls = "starttls" or "implicit"`, `not used with tls = "off"`)
		}
	}
	if !l.Insecure && !isLoopback(l.Address) {
		r.warnf(at, "tls", "offer TLS, or listen on 127.0.0.1",
			"the listener %q has no TLS: clients from other machines can't log in", l.Name)
	}
}

func checkRewrite(c *rewritesConfig, r *report) {
	for _, step := range []*rewriteConfig{&c.Auth, &c.Lookup, &c.Backend} {
		if step.Delimiter == "" {
			r.errorf(step.Place, "delimiter", `write, for example, delimiter = "@"`, "empty")
		}
		for key, text := range map[string]string{"delimiter": step.Delimiter, "add_domain": step.AddDomain} {
			if strings.ContainsFunc(text, func(c rune) bool { return c < 0x20 || c == 0x7F }) {
				r.errorf(step.Place, key, "remove them", "%q holds control characters", text)
			}
		}
		if step.Delimiter != "" && strings.Contains(step.AddDomain, step.Delimiter) {
			r.errorf(step.Place, "add_domain", "write the domain alone", "%q holds the delimiter %q", step.AddDomain, step.Delimiter)
		}
	}
}

func checkAuth(a *authConfig, r *report) {
	if a.Type == "file" && a.File == "" {
		r.errorf(a.Place, "file", `name the file of users, or write another type`, `missing, and type is "file"`)
	}
	if a.Type == "" {
		return // reported already
	}
	if a.Type != "file" && a.Place.has("file") {
		r.errorf(a.Place, "file", `remove it, or write type = "file"`, "not used with type = %q", a.Type)
	}
	if a.Type != "http" {
		if a.Place.has("http") {
			r.errorf(a.Place, "http", `remove the section, or write type = "http"`, "not used with type = %q", a.Type)
		}
		return
	}
	checkHTTP(&a.HTTP, r)
}

func checkHTTP(h *httpConfig, r *report) {
	if h.URL == "" {
		r.errorf(h.Place, "url", `write, for example, url = "https://auth.example.org/imap"`, `missing, and auth.type is "http"`)
		return
	}
	u, err := url.Parse(h.URL)
	if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) && h.Insecure {
		r.warnf(h.Place, "insecure", "use https", "passwords go to %s without TLS", u.Host)
	}
}

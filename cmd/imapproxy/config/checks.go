package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// check checks what the schema can't say: names, addresses and keys that
// depend on each other.
func check(c *File, r *Report) {
	checkHostname(c, r)
	checkListeners(c.Listeners, r)
	checkLog(c, r)
	checkLimits(&c.Limits, r)
	checkTCP(c, r)
	checkAdmin(c, r)
	checkAuth(&c.Auth, r)
	checkOffers(c, r)
	checkRewrite(&c.Rewrite, r)
	for i := range c.Targets {
		checkTarget(&c.Targets[i], r)
	}
	checkTargetNames(c.Targets, r)
	checkMasters(c, r)
	checkRoute(c, r)
	checkPoolListeners(c, r)
}

// sectionName is what listeners and targets may be called: it stands in logs
// and in maps, where ":" and "@" have a meaning.
var sectionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// hostName is a host as it may stand in a greeting.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// IsHostName reports whether a name may stand in a greeting.
func IsHostName(name string) bool { return hostName.MatchString(name) }

// IsSectionName reports whether a listener or a target may have a name.
func IsSectionName(name string) bool { return sectionName.MatchString(name) }

func checkHostname(c *File, r *Report) {
	if c.Hostname != "" && !IsHostName(c.Hostname) {
		r.Errorf(c.Place, "hostname", "write a name such as imap.example.org", "%q is not a host name", c.Hostname)
	}
}

// checkName reports a name that is malformed or taken.
func checkName(at Place, name, what string, taken map[string]int, r *Report) {
	if !IsSectionName(name) {
		r.Errorf(at, "name", `use up to 64 letters, digits, "-", "_" and ".", and begin with a letter or digit`,
			"%q is not a name", name)
		return
	}
	if line, ok := taken[name]; ok {
		r.Errorf(at, "name", "give each its own name",
			"two %s are called %q; the other is on line %d", what, name, line)
		return
	}
	taken[name] = at.line("name")
}

// checkHostPort returns what is wrong with host:port, "" for nothing. A listener
// may leave the host out and take port 0, which is any free one.
func checkHostPort(address string, listen bool) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "it is not host:port"
	}
	first, last, isRange := strings.Cut(port, "-")
	if isRange && listen {
		return checkPortRange(host, first, last)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 || (n == 0 && !listen) {
		return "the port is not a number from 1 to 65535"
	}
	if host == "" && listen {
		return ""
	}
	if _, err := netip.ParseAddr(host); err != nil && !IsHostName(host) {
		return "the host is neither a name nor an address"
	}
	return ""
}

// checkPortRange returns what is wrong with host:FIRST-LAST.
func checkPortRange(host, first, last string) string {
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	switch {
	case errFrom != nil || errTo != nil || from < 1 || to > 65535 || to < from:
		return "the ports are not a range such as 1100-1105"
	case to-from >= maxPortRange:
		return "a range has at most " + strconv.Itoa(maxPortRange) + " ports"
	}
	return checkHostPort(net.JoinHostPort(host, first), true)
}

// IsLoopback reports whether host[:port] is on this machine for certain.
func IsLoopback(address string) bool {
	if strings.HasPrefix(address, UnixPrefix) {
		return true
	}
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

func checkRewrite(c *Rewrites, r *Report) {
	for _, step := range []*Rewrite{&c.Auth, &c.Lookup, &c.Backend} {
		if step.Delimiter == "" {
			r.Errorf(step.Place, "delimiter", `write, for example, delimiter = "@"`, "empty")
		}
		for key, text := range map[string]string{"delimiter": step.Delimiter, "add_domain": step.AddDomain} {
			if strings.ContainsFunc(text, func(c rune) bool { return c < 0x20 || c == 0x7F }) {
				r.Errorf(step.Place, key, "remove them", "%q holds control characters", text)
			}
		}
		if step.Delimiter != "" && strings.Contains(step.AddDomain, step.Delimiter) {
			r.Errorf(step.Place, "add_domain", "write only the domain",
				"%q holds the delimiter %q", step.AddDomain, step.Delimiter)
		}
	}
}

func checkHTTP(h *HTTP, r *Report) {
	if h.URL == "" {
		r.Errorf(h.Place, "url", `write, for example, url = "https://auth.example.org/imap"`,
			`missing, and auth.type is "http"`)
		return
	}
	u, err := url.Parse(h.URL)
	if err == nil && u.Scheme == "http" && !IsLoopback(u.Hostname()) && h.Insecure {
		r.Warnf(h.Place, "insecure", "use https", "passwords go to %s without TLS", u.Host)
	}
}

package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

func checkTargetNames(all []Target, r *Report) {
	names := map[string]int{}
	for i := range all {
		checkName(all[i].Place, all[i].Name, "targets", names, r)
	}
}

// backends are the targets and, where it is written, [route.backend]: a target
// without name and addresses.
func (c *File) backends() []*Target {
	all := make([]*Target, len(c.Targets), len(c.Targets)+1)
	for i := range c.Targets {
		all[i] = &c.Targets[i]
	}
	if c.Route.HasBackend() {
		all = append(all, &Target{Settings: c.Route.Backend})
	}
	return all
}

// who is how messages call the target.
func (t *Target) who() string {
	if t.Place.Name == "route.backend" {
		return "a backend of route.allow"
	}
	return fmt.Sprintf("the target %q", t.Name)
}

func checkTarget(t *Target, r *Report) {
	for i, address := range t.Addresses {
		if strings.HasPrefix(address, UnixPrefix) {
			checkUnixTarget(t, i, r)
			continue
		}
		t.Addresses[i] = withPort(address, t.TLS)
		if err := checkHostPort(t.Addresses[i], false); err != "" {
			r.Errorf(t.Place, "addresses", `write host:port, such as "imap1.example.org:993" or "[2001:db8::1]:143"`,
				"%q: %s", address, err)
		}
	}
	checkSettings(t, slices.ContainsFunc(t.Addresses, func(a string) bool { return !IsLoopback(a) }), r)
}

// checkSettings checks what a target and [route.backend] have; outside says that
// connections leave this machine.
func checkSettings(t *Target, outside bool, r *Report) {
	checkTargetTLS(t, outside, r)
	checkMaster(t, r)
	checkPool(t, r)
}

// checkUnixTarget checks the address of a Unix socket, which has no host.
func checkUnixTarget(t *Target, i int, r *Report) {
	t.Addresses[i] = absoluteSocket(t.Addresses[i], t.Place)
	if problem, remedy := unixProblem(t.Addresses[i]); problem != "" {
		r.Errorf(t.Place, "addresses", remedy, "%q: %s", t.Addresses[i], problem)
	}
	if t.TLS != "off" && t.Verify && t.ServerName == "" && !t.Place.Has("server_name") {
		r.Errorf(t.Place, "server_name", `write the name in the backend's certificate, or tls = "off"`,
			"missing, and %q names no host", t.Addresses[i])
	}
}

// checkPool reports what can't be meant.
func checkPool(t *Target, r *Report) {
	p := &t.Pool
	at := p.Place
	if p.Mode != "on" {
		return
	}
	if len(p.Listeners)+len(p.Networks)+len(p.ClientNames) == 0 {
		r.Warnf(at, "mode", "choose those with short sessions by listeners, networks or client_names",
			"connections to %s are pooled for every client, also for those that idle for hours and never "+
				"give one back", t.who())
	}
	if p.KeepAlive > 0 && p.KeepAlive < 10*time.Second {
		r.Errorf(at, "keepalive", `write at least "10s", or "0s" for never`, "%s is too often", p.KeepAlive)
	}
	if p.MaxPerUser > p.MaxPerTarget {
		r.Errorf(at, "max_per_user", "make it the smaller one", "is greater than max_per_target")
	}
	if p.Spare > 0 && t.ProxyHeader != "off" {
		r.Errorf(at, "spare", "remove it",
			"not used with proxy_header: it names a client, and a spare connection has none yet")
	}
}

// checkPoolListeners finds names of listeners that there are not.
func checkPoolListeners(c *File, r *Report) {
	for _, t := range c.backends() {
		p := &t.Pool
		for _, name := range p.Listeners {
			if !slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Name == name }) {
				r.Errorf(p.Place, "listeners", "name a [[listener]]", "there is no listener %q", name)
			}
		}
	}
}

// withPort adds the port that belongs to the TLS mode when there is none.
func withPort(address, tls string) string {
	port := ":143"
	if tls == "implicit" {
		port = ":993"
	}
	if addr, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		if addr.Is6() {
			return "[" + addr.String() + "]" + port
		}
		return address + port
	}
	if strings.Contains(address, ":") {
		return address
	}
	return address + port
}

func checkTargetTLS(t *Target, outside bool, r *Report) {
	at := t.Place
	if t.TLS == "off" {
		for _, key := range []string{"server_name", "ca", "verify", "tls_min", "tls_timeout"} {
			if at.Has(key) {
				r.Errorf(at, key, `remove it, or write tls = "starttls" or "implicit"`, `not used with tls = "off"`)
			}
		}
		checkPlainLogin(t, outside, r)
		return
	}
	if t.PlainLogin {
		r.Errorf(at, "plain_login", `remove it, or write tls = "off"`,
			"not used with tls = %q: no password goes out before TLS", t.TLS)
	}
	if !t.Verify {
		r.Warnf(at, "verify", "name the backend's authority with ca instead",
			"the certificate of %s is not verified: anybody in between can read and change everything", t.who())
		if at.Has("ca") || at.Has("server_name") {
			r.Errorf(at, "verify", "remove verify = false, or ca and server_name",
				"false, so that ca and server_name have no effect")
		}
	}
}

// checkPlainLogin demands that passwords in clear are wanted.
func checkPlainLogin(t *Target, outside bool, r *Report) {
	switch {
	case t.PlainLogin && outside:
		r.Warnf(t.Place, "plain_login", "use TLS to the backend",
			"passwords go to %s without TLS: whoever sees the network reads them", t.who())
	case outside:
		r.Errorf(t.Place, "tls", `write tls = "starttls" or "implicit", or plain_login = true`,
			`"off", and %s is not on this machine: passwords would go there without TLS`, t.who())
	}
}

func checkMaster(t *Target, r *Report) {
	switch {
	case t.MasterUser != "" && t.MasterFile == "":
		r.Errorf(t.Place, "master_user", "name its password's file with master_password_file", "has no password")
	case t.MasterUser == "" && t.MasterFile != "":
		r.Errorf(t.Place, "master_password_file", "write master_user too", "there is no master_user")
	}
	if t.MasterUser != "" && (t.Mechanism == "login" || t.Mechanism == "literals") {
		r.Errorf(t.Place, "mechanism", `write "auto" or "plain"`,
			"%q, and a master login goes only by AUTHENTICATE PLAIN", t.Mechanism)
	}
}

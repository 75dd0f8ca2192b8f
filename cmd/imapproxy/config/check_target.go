package config

import (
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
	checkTargetTLS(t, r)
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
			"connections to the target %q are pooled for every client, also for those that idle for hours and never "+
				"give one back", t.Name)
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
	for i := range c.Targets {
		p := &c.Targets[i].Pool
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

func checkTargetTLS(t *Target, r *Report) {
	at := t.Place
	if t.TLS == "off" {
		for _, key := range []string{"server_name", "ca", "verify", "tls_min", "tls_timeout"} {
			if at.Has(key) {
				r.Errorf(at, key, `remove it, or write tls = "starttls" or "implicit"`, `not used with tls = "off"`)
			}
		}
		checkPlainLogin(t, r)
		return
	}
	if t.PlainLogin {
		r.Errorf(at, "plain_login", `remove it, or write tls = "off"`,
			"not used with tls = %q: no password goes out before TLS", t.TLS)
	}
	if !t.Verify {
		r.Warnf(at, "verify", "name the backend's authority with ca instead",
			"the certificate of the target %q is not verified: anybody in between can read and change everything",
			t.Name)
		if at.Has("ca") || at.Has("server_name") {
			r.Errorf(at, "verify", "remove verify = false, or ca and server_name",
				"false, so that ca and server_name have no effect")
		}
	}
}

// checkPlainLogin demands that passwords in clear are wanted.
func checkPlainLogin(t *Target, r *Report) {
	outside := slices.ContainsFunc(t.Addresses, func(a string) bool { return !IsLoopback(a) })
	switch {
	case t.PlainLogin && outside:
		r.Warnf(t.Place, "plain_login", "use TLS to the backend",
			"passwords go to the target %q without TLS: whoever sees the network reads them", t.Name)
	case outside:
		r.Errorf(t.Place, "tls", `write tls = "starttls" or "implicit", or plain_login = true`,
			`"off", and the target %q is not on this machine: passwords would go there without TLS`, t.Name)
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

func checkRoute(c *File, r *Report) {
	route := &c.Route
	checkRouteKeys(route, c.Auth.source(), r)
	for key, name := range map[string]string{"target": route.Target, "template": route.Template} {
		defined := slices.ContainsFunc(c.Targets, func(t Target) bool { return t.Name == name })
		if name != "" && !defined {
			r.Errorf(route.Place, key, "write a [[target]] with this name, or name one of "+targetNames(c.Targets),
				"there is no target %q", name)
		}
	}
	if len(route.Allow) > 0 && route.Template == "" {
		r.Errorf(route.Place, "template", "name the target whose settings they take",
			"missing, and allow names addresses")
	}
	if route.Template != "" && len(route.Allow) == 0 {
		r.Errorf(route.Place, "allow", `write, for example, allow = ["10.0.0.0/24:993"], or remove template`,
			"missing, and there is a template")
	}
}

// checkRouteKeys reports what a type of route needs and what it does not use.
func checkRouteKeys(route *Route, source Source, r *Report) {
	at := route.Place
	unused := func(keys ...string) {
		for _, key := range keys {
			if at.Has(key) {
				r.Errorf(at, key, "remove it, or write another type", "not used with type = %q", route.Type)
			}
		}
	}
	switch route.Type {
	case "fixed":
		if route.Target == "" {
			r.Errorf(at, "target", "name a target", `missing, and type is "fixed"`)
		}
		unused("file", "allow", "template")
	case "map":
		if route.File == "" {
			r.Errorf(at, "file", "name the map", `missing, and type is "map"`)
		}
		unused("target")
	case "auth":
		if source.BackendJudges {
			r.Errorf(at, "type", `write "fixed" or "map", or another auth.type`,
				`"auth", and auth.type is %q, which names no backend`, source.Name)
		}
		if route.Target != "" && route.File != "" {
			r.Errorf(at, "file", "keep one of them",
				"there are both target and file for users whose answer names no backend")
		}
	}
}

func targetNames(all []Target) string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	slices.Sort(names)
	return quoteAll(slices.Compact(names))
}

package config

import (
	"net/netip"
	"slices"
	"strings"
)

// HasBackend reports whether [route.backend] is written.
func (route *Route) HasBackend() bool { return route.Place.Has("backend") }

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
	if len(c.Targets) == 0 && !route.HasBackend() {
		r.Errorf(c.Place, "target", "write a section [[target]]", "missing")
	}
	checkAllow(route, r)
}

// checkAllow checks the backends that have no section [[target]].
func checkAllow(route *Route, r *Report) {
	if route.HasBackend() {
		checkSettings(&Target{Settings: route.Backend}, slices.ContainsFunc(route.Allow, leavesMachine), r)
	}
	switch {
	case route.HasBackend() && route.Template != "":
		r.Errorf(route.Place, "template", "remove it, or the section [route.backend]",
			"not used with [route.backend], which has the settings already")
	case len(route.Allow) > 0 && route.Template == "" && !route.HasBackend():
		r.Errorf(route.Place, "template",
			"name the target whose settings they take, or write them into a section [route.backend]",
			"missing, and allow names addresses")
	case len(route.Allow) == 0 && route.Template != "":
		r.Errorf(route.Place, "allow", `write, for example, allow = ["10.0.0.0/24:993"], or remove template`,
			"missing, and there is a template")
	case len(route.Allow) == 0 && route.HasBackend():
		r.Errorf(route.Place, "allow", `write, for example, allow = ["10.0.0.0/24:993"], or remove [route.backend]`,
			"missing, and there is [route.backend]")
	}
	var wide []string
	for _, entry := range route.Allow {
		if isWide(entry) {
			wide = append(wide, entry)
		}
	}
	if len(wide) > 0 {
		r.Warnf(route.Place, "allow", "write the addresses or networks of your backends",
			"%s: routes may lead users and their passwords to nearly any server", quoteAll(wide))
	}
}

// allowedHost is an entry of route.allow without its port and brackets.
func allowedHost(entry string) string {
	if i := strings.LastIndexByte(entry, ':'); i >= 0 {
		entry = entry[:i]
	}
	return strings.Trim(entry, "[]")
}

// leavesMachine reports whether an entry of route.allow holds other machines.
func leavesMachine(entry string) bool {
	host := allowedHost(entry)
	p, err := netip.ParsePrefix(host)
	if err != nil {
		return !IsLoopback(host)
	}
	return !p.Addr().IsLoopback() || p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 128
}

// isWide reports whether an entry of route.allow is a network that is greater
// than any one operator has: more than 2^24 IPv4 addresses, or more than 2^112
// IPv6 addresses that are not private.
func isWide(entry string) bool {
	p, err := netip.ParsePrefix(allowedHost(entry))
	if err != nil {
		return false
	}
	if p.Addr().Is4() {
		return p.Bits() < 8
	}
	private := p.Addr().IsPrivate() && p.Bits() >= 7 // fc00::/7
	return p.Bits() < 16 && !private
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
		unused("file", "allow", "template", "backend")
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

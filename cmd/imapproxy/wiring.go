package main

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"imapproxy/backend"
	"imapproxy/backend/route"
	"imapproxy/backend/username"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/imapproxy"
)

// generation is what one reading of the configuration has made. A reload makes
// a new one: files of users, maps and certificates belong to it.
type generation struct {
	Config   *config.File
	Settings *imapproxy.Settings
	Targets  []*backend.Target // in the order of the file
	Admin    adminAccess
	TLS      []*listenerTLS // what follows its files
	Explain  explanation
}

// loadGeneration reads a configuration and everything that it names. All
// findings are in the report; the generation may be used when it has not
// failed.
func loadGeneration(file string, changes ...func(*config.File)) (*generation, *config.Report) {
	c, r := config.Load(file, changes...)
	if c.Place.File == "" {
		return nil, r // not even TOML
	}
	return build(c, r), r
}

// close frees what a generation holds open besides its sessions. Sessions that
// still use it can go on.
func (g *generation) close() { closeSources(g.Settings) }

// build makes the objects. It goes on after an error, to report all of them.
func build(c *config.File, r *config.Report) *generation {
	authenticator, explain := sourceOf(&c.Auth).build(&c.Auth, r)
	s := &imapproxy.Settings{
		Hostname:  hostname(c, r),
		Auth:      authenticator,
		External:  buildExternal(&c.Auth.External, r),
		AuthName:  rewriteOf(c.Rewrite.Auth),
		Listeners: map[string]*imapproxy.Listener{},
		Limits:    limitsOf(c.Limits),
		TCP:       c.TCP.Options(),
	}
	var watched []*listenerTLS
	for i := range c.Listeners {
		l := &c.Listeners[i]
		built, files := buildListener(l, r)
		offerOf(c, l, built, r)
		s.Listeners[l.Name] = built
		watched = append(watched, files...)
	}
	named, template := buildBackends(c, r)
	s.Router, s.Referred = buildRouter(c, named, template, r)
	warnOfUsers(c, authenticator, s.Referred, r)
	return &generation{c, s, named, buildAdmin(&c.Admin, r), watched, explain}
}

// hostname is the machine's when the configuration names none.
func hostname(c *config.File, r *config.Report) string {
	if c.Hostname != "" {
		return c.Hostname
	}
	name, err := os.Hostname()
	if err != nil || !config.IsHostName(name) {
		r.Errorf(c.Place, "hostname", `write, for example, hostname = "imap.example.org"`,
			"missing, and the machine has no usable name")
	}
	return name
}

func limitsOf(l config.Limits) imapproxy.Limits {
	return imapproxy.Limits{
		Login: l.Login, Idle: l.Idle, HalfClose: l.HalfClose, HalfCloseIdle: l.HalfIdle, Drain: l.Drain,
		Retire: l.Retire, Farewell: l.Bye,
		BadCommands: l.BadCommands, FailedLogins: l.FailedLogins, Sessions: l.Sessions, ProxyTTL: l.ProxyTTL,
		Kick: l.Kick, Heartbeat: l.Heartbeat, LeakReport: l.LeakReport, LeakReclaim: l.LeakReclaim,
	}
}

func rewriteOf(c config.Rewrite) username.Rewrite {
	return username.Rewrite{LowerCase: c.LowerCase, StripDomain: c.StripDomain, AddDomain: c.AddDomain,
		Delimiter: c.Delimiter}
}

// buildBackends makes the targets and, from [route.backend], the template of the
// backends that have no section; nil without one.
func buildBackends(c *config.File, r *config.Report) (named []*backend.Target, template *backend.Target) {
	for i := range c.Targets {
		t := buildTarget(&c.Targets[i], r)
		t.TCP = c.Targets[i].TCPOptions(c.TCP)
		named = append(named, t)
	}
	if c.Route.HasBackend() {
		template = buildTarget(&config.Target{Settings: c.Route.Backend}, r)
		template.TCP = c.Route.Backend.TCPOptions(c.TCP)
	}
	return named, template
}

// buildRouter makes the router, and what finds the targets that backends refer to.
// A map is read only when all before it is good, for else its errors would be
// consequences.
func buildRouter(c *config.File, named []*backend.Target, template *backend.Target,
	r *config.Report) (backend.Router, route.Resolver) {
	o := route.TargetsOptions{Named: named, Template: template, SelfAddresses: selfAddresses(c)}
	for _, at := range ownAddresses(c) {
		if strings.HasPrefix(at, config.UnixPrefix) {
			o.SelfSockets = append(o.SelfSockets, at)
		}
	}
	for i, t := range named {
		if !config.IsSectionName(t.Name) {
			continue // reported already
		}
		if _, err := route.NewTargets(route.TargetsOptions{Named: []*backend.Target{t}, SelfAddresses: o.SelfAddresses,
			SelfSockets: o.SelfSockets}); err != nil {
			r.Errorf(c.Targets[i].Place, "addresses", "", "%v", err)
		}
		if t.Name == c.Route.Template {
			o.Template = t
		}
	}
	for _, entry := range c.Route.Allow {
		allow, err := route.ParseAllow(entry)
		if err != nil {
			r.Errorf(c.Route.Place, "allow", "", "%v", err)
		}
		o.Allow = append(o.Allow, allow)
	}
	if c.Route.File != "" {
		checkReadable(c.Route.Place, "file", c.Route.File, r)
	}
	if r.Failed() {
		return nil, nil
	}
	targets, err := route.NewTargets(o)
	if err != nil {
		r.Errorf(c.Route.Place, "", "", "%v", err)
		return nil, nil
	}
	if c.Route.Type == "auth" {
		warnShared(c, targets, r)
	}
	return chooseRouter(c, targets, r), targets.Resolve
}

// warnShared warns of addresses that an answer can't mean a target by.
func warnShared(c *config.File, targets *route.Targets, r *config.Report) {
	for _, shared := range targets.Shared() {
		for i := range c.Targets {
			if t := &c.Targets[i]; t.Name == shared.Targets[1] {
				r.Warnf(t.Place, "addresses", "let the answers name the target, or leave the address to one",
					"%s is an address of the target %q too, so that an answer that names it means neither",
					shared.Address, shared.Targets[0])
			}
		}
	}
}

// chooseRouter is the switch over route.type.
func chooseRouter(c *config.File, targets *route.Targets, r *config.Report) backend.Router {
	login := rewriteOf(c.Rewrite.Backend)
	var router backend.Router
	switch {
	case c.Route.Target != "":
		t, err := targets.Resolve(c.Route.Target)
		if err != nil {
			r.Errorf(c.Route.Place, "target", "", "%v", err)
			return nil
		}
		router = route.NewFixed(t, login)
	case c.Route.File != "":
		m, err := route.OpenMap(string(c.Route.File), targets.Resolve, rewriteOf(c.Rewrite.Lookup), login)
		if err != nil {
			r.Errorf(c.Route.Place, "file", "", "%v", err)
			return nil
		}
		for _, warning := range m.Warnings() {
			r.Warnf(c.Route.Place, "file", "", "%s", warning)
		}
		router = m
	}
	if c.Route.Type == "auth" {
		return route.NewAnswered(targets.Resolve, login, router)
	}
	return router
}

// ownAddresses are where the listeners and the admin listener are, as written.
func ownAddresses(c *config.File) []string {
	list := []string{c.Admin.Address}
	for _, s := range socketSpecs(c.Listeners) {
		list = append(list, s.address)
	}
	return list
}

// selfAddresses are ownAddresses without Unix sockets: no route may lead there.
// A name, or a port that is chosen later, is not known here.
func selfAddresses(c *config.File) []netip.AddrPort {
	var list []netip.AddrPort
	for _, address := range ownAddresses(c) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			continue
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			continue
		}
		addr, err := netip.ParseAddr(host)
		switch {
		case host == "":
			addr = netip.IPv6Unspecified()
		case strings.EqualFold(host, "localhost"):
			addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		case err != nil:
			continue
		}
		list = append(list, netip.AddrPortFrom(addr, uint16(n)))
	}
	return list
}

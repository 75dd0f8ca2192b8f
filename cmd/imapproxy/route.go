package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/printable"
)

func routeCommand() command {
	return command{
		name:    "route",
		args:    "USER",
		summary: "says which backend a user belongs to, under which name, and why",
		details: `
USER is the name as the client sends it. Each rewriting step is printed. Nothing
is asked over the network: what an auth server would answer can be given with
--server and --as. Exit code 1 when no backend is found.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			file := configFlag(fs)
			server := fs.String("server", "",
				"as if the authentication had answered this `BACKEND`: a target's name or host[:port]")
			as := fs.String("as", "", "as if the authentication had answered this user `NAME`")
			return func(p *program, args []string) int { return p.route(*file, args[0], *as, *server) }
		},
	}
}

func (p *program) route(file, user, as, server string) int {
	g := p.load(file)
	if g == nil {
		return exitFailed
	}
	defer g.close()
	if err := auth.CheckCredentials(user, "", "unused"); err != nil {
		return p.failure("no login can carry the user name %q: %v", user, err)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = t.Flush() }()
	row := func(name, value, why string) {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", name, printable.Escape(value), printable.Escape(why))
	}
	row("user", user, "as the client sends it")
	name := g.Settings.AuthName.Apply(user)
	row("authenticated", name, "[rewrite.auth]: "+g.Settings.AuthName.String())
	granted, server, why := g.granted(name, as, server)
	row("granted", granted, why)
	if server != "" {
		row("server", server, "named by the authentication")
	}
	return p.routed(g, granted, server, row)
}

// granted returns what the authentication will answer, as far as that can be
// known without a password. What --as and --server say goes before.
func (g *generation) granted(name, as, server string) (granted, answered, why string) {
	granted, answered, why = g.Explain(name)
	if as != "" {
		granted, why = as, "given with --as"
	}
	if server != "" {
		answered = server
	}
	return granted, answered, why
}

// routed prints what the router says.
func (p *program) routed(g *generation, granted, server string, row func(name, value, why string)) int {
	if g.Config.Route.Type != "fixed" {
		lookup := rewriteOf(g.Config.Rewrite.Lookup)
		row("looked up", lookup.Apply(granted), "[rewrite.lookup]: "+lookup.String())
	}
	route, err := g.Settings.Router.Route(context.Background(), backend.Query{User: granted, Server: server})
	if err != nil {
		row("backend", "none", err.Error())
		if errors.Is(err, backend.ErrNoRoute) {
			return p.failure("no rule names a backend for %q; the client reads NO", shortName(granted))
		}
		return p.failure("no backend for %q: %v", shortName(granted), err)
	}
	row("rule", route.Rule, "[route] type "+quote(g.Config.Route.Type))
	row("backend", route.Target.Name, strings.Join(route.Target.Addresses, ", then ")+"; "+speaks(route.Target))
	row("backend user", route.User, loginReason(g, granted, route))
	return exitOK
}

// shortName cuts a name for a message.
func shortName(name string) string { return name[:min(len(name), 64)] }

// loginReason returns where the backend's user name comes from.
func loginReason(g *generation, granted string, route backend.Route) string {
	login := rewriteOf(g.Config.Rewrite.Backend)
	why := "[rewrite.backend]: " + login.String()
	if login.Apply(granted) != route.User {
		why = "named by the rule"
	}
	if route.Target.Master.AuthID != "" {
		why += "; logged in by the master user " + quote(route.Target.Master.AuthID)
	}
	return why
}

// speaks returns how a target is spoken to.
func speaks(t *backend.Target) string {
	switch {
	case t.TLS == backend.TLSOff:
		return "no TLS"
	case t.TLSConfig != nil && t.TLSConfig.InsecureSkipVerify:
		return "TLS, not verified"
	case t.TLS == backend.TLSStartTLS:
		return "STARTTLS, verified"
	}
	return "TLS, verified"
}

package main

import (
	"imapproxy/auth"
	"imapproxy/backend/route"
	"imapproxy/cmd/imapproxy/config"
)

// warnOfUsers names lines of the file of users that have no effect with the rest of the
// configuration. resolve is nil where the router has an error.
func warnOfUsers(c *config.File, source auth.Authenticator, resolve route.Resolver, r *config.Report) {
	users, ok := source.(*auth.File)
	if !ok {
		return
	}
	warn := func(what string, about func(name, server string) bool) {
		if text := users.Warning(what, about); text != "" {
			r.Warnf(c.Auth.Place, "file", "", "%s", text)
		}
	}
	rewrite := rewriteOf(c.Rewrite.Auth)
	warn("no client can log in under such a name: [rewrite.auth] makes another of it ("+rewrite.String()+")",
		func(name, _ string) bool { return rewrite.Apply(name) != name })
	switch {
	case c.Route.Type != "auth":
		warn("backend= has no effect with route.type = "+quote(c.Route.Type)+`: write type = "auth", or remove it`,
			func(_, server string) bool { return server != "" })
	case resolve != nil:
		warn("backend= is neither a target's name nor permitted by route.allow: they can't log in",
			func(_, server string) bool {
				if server == "" {
					return false
				}
				_, err := resolve(server)
				return err != nil
			})
	}
}

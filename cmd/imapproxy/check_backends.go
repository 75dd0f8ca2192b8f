package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"imapproxy/auth"
	"imapproxy/backend"
	"imapproxy/backend/printable"
	"imapproxy/cmd/imapproxy/backendcheck"
	"imapproxy/cmd/imapproxy/config"
)

// checkBackends connects to all backends, prints a line for each address at which logins
// can work, and returns what is wrong. The error is about user.
func (p *program) checkBackends(g *generation, user string) (*config.Report, error) {
	loginAs, err := g.masterLogins(user)
	if err != nil {
		return nil, err
	}
	checker := backendcheck.Checker{Targets: g.Targets, LoginAs: loginAs}
	r := &config.Report{}
	for _, result := range checker.Run(context.Background()) {
		target := &g.Config.Targets[result.Target]
		where := fmt.Sprintf("target %s at %s", target.Name, result.Address)
		for _, problem := range result.Problems {
			report := r.Errorf
			if problem.Warning {
				report = r.Warnf
			}
			report(target.Place, problem.Key, problem.Remedy, "%s: %s", where, problem.Text)
		}
		if !result.Failed() && len(result.Facts) > 0 {
			_, _ = fmt.Fprintln(p.stdout, printable.Escape(where+": ok: "+strings.Join(result.Facts, ", ")))
		}
	}
	if g.Config.Route.HasBackend() {
		_, _ = fmt.Fprintln(p.stdout, "[route.backend]: not checked: a map or the auth server says where they are")
	}
	return r, nil
}

// masterLogins returns for whom the master login of a target is tried: for the user at
// the target that the user's mail is on, and at every target where only the auth server
// knows which one that is.
func (g *generation) masterLogins(user string) (func(*backend.Target) string, error) {
	if user == "" {
		return nil, nil
	}
	if err := auth.CheckCredentials(user, "", "unused"); err != nil {
		return nil, fmt.Errorf("no login can carry the user name %q: %w", shortName(user), err)
	}
	granted, server, _ := g.Explain(g.Settings.AuthName.Apply(user))
	route, err := g.Settings.Router.Route(context.Background(), backend.Query{User: granted, Server: server})
	switch {
	case err == nil:
		return func(t *backend.Target) string {
			if t.Name != route.Target.Name {
				return ""
			}
			return route.User
		}, nil
	case g.Config.Route.Type == "auth" && errors.Is(err, backend.ErrNoRoute):
		return func(*backend.Target) string { return rewriteOf(g.Config.Rewrite.Backend).Apply(granted) }, nil
	}
	return nil, fmt.Errorf("no backend for %q: %w", shortName(granted), err)
}

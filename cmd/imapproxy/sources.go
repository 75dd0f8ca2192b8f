package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"imapproxy/auth"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/imapproxy"
)

// source makes what one value of auth.type stands for. What it needs and what it
// can do stands in config.Sources, which has the same names.
type source struct {
	name string
	// build makes the authenticator, nil when an error about it is in the report.
	build func(*config.Auth, *config.Report) (auth.Authenticator, explanation)
	// own makes the authenticator of a listener that has its own; nil where none
	// can (config.Source.PerListener).
	own func(*config.Listener, *config.Auth, *config.Report) auth.Authenticator
}

// explanation returns what the authentication will answer about a name, as far as
// that can be known without a password: the name for the backend, the backend
// that it names, "" for none, and why.
type explanation func(name string) (granted, server, why string)

// sources are the values of auth.type.
func sources() []source {
	return []source{
		{name: "file", build: buildUserFile},
		{name: "passthrough", build: buildPassthrough},
		{name: "http", build: buildHTTPAuth, own: buildOwnHTTPAuth},
	}
}

// sourceOf is the source of auth.type. When that is missing or unknown, which
// has been reported, it makes nothing.
func sourceOf(c *config.Auth) source {
	for _, s := range sources() {
		if s.name == c.Type {
			return s
		}
	}
	return source{build: func(*config.Auth, *config.Report) (auth.Authenticator, explanation) { return nil, nil }}
}

// buildPassthrough lets the backend judge.
func buildPassthrough(c *config.Auth, _ *config.Report) (auth.Authenticator, explanation) {
	return auth.Passthrough{}, func(name string) (string, string, string) {
		return name, "", "auth.type " + quote(c.Type) + " keeps the name"
	}
}

func buildUserFile(c *config.Auth, r *config.Report) (auth.Authenticator, explanation) {
	if c.File == "" {
		return nil, nil
	}
	if _, err := os.Stat(string(c.File)); errors.Is(err, fs.ErrNotExist) {
		r.Unreadable(c.Place, "file", "make its lines with `imapproxy passwd --user NAME`, or name another file",
			c.File, err)
		return nil, nil
	}
	if !checkReadable(c.Place, "file", c.File, r) {
		return nil, nil
	}
	users, err := auth.OpenFile(string(c.File), auth.NewVerifiedCache(c.Cache.Positive, time.Now))
	if err != nil {
		r.Errorf(c.Place, "file", "", "%v", err)
		return nil, nil
	}
	for _, warning := range users.Warnings() {
		r.Warnf(c.Place, "file", "", "%s", warning)
	}
	return users, func(name string) (granted, server, why string) {
		login, server, known := users.Lookup(name)
		switch {
		case !known:
			return name, "", "the user file does not have this user: the login will be refused"
		case login != name:
			return login, server, "user= in the user file"
		}
		return login, server, "in the user file"
	}
}

// closeSources ends what the authenticators of a configuration hold open.
// Sessions that still use them can go on.
func closeSources(s *imapproxy.Settings) {
	all := []auth.Authenticator{s.Auth}
	for _, l := range s.Listeners {
		all = append(all, l.Auth)
	}
	for _, a := range all {
		if c, ok := a.(io.Closer); ok {
			_ = c.Close() // nothing is written: there is nothing to lose
		}
	}
}

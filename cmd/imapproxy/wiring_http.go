package main

import (
	"crypto/tls"
	"net/http"

	"imapproxy/auth"
	"imapproxy/auth/httpauth"
	"imapproxy/cmd/imapproxy/config"
)

// buildHTTPAuth makes the client of the common auth server.
func buildHTTPAuth(c *config.Auth, r *config.Report) (auth.Authenticator, explanation) {
	return httpClient(&c.HTTP, r), func(name string) (string, string, string) {
		return name, "", "auth.type " + quote(c.Type) + " may answer another name and a backend: see --as and --server"
	}
}

// buildOwnHTTPAuth makes the client of a listener's own auth server.
func buildOwnHTTPAuth(l *config.Listener, c *config.Auth, r *config.Report) auth.Authenticator {
	return httpClient(l.HTTPAuth(&c.HTTP), r)
}

// httpClient makes the client of an auth server, nil when an error about it is
// in the report. The address and the headers are checked one after the other,
// to name the right line.
func httpClient(c *config.HTTP, r *config.Report) auth.Authenticator {
	if c.URL == "" {
		return nil // reported already
	}
	o := httpauth.Options{
		URL: c.URL, Timeout: c.Timeout, MaxConns: c.MaxConnections,
		TLSConfig:      &tls.Config{RootCAs: loadAuthorities(c.Place, "ca", c.CA, r), MinVersion: tls.VersionTLS12},
		ServerOptional: c.ServerOptional, Insecure: c.Insecure, PassCertificate: c.PassCertificate,
	}
	if _, err := httpauth.New(o); err != nil {
		r.Errorf(c.Place, "url", "", "%v", err)
		return nil
	}
	o.Header = http.Header{}
	for name, value := range c.Headers {
		o.Header.Set(name, value)
	}
	client, err := httpauth.New(o)
	if err != nil {
		r.Errorf(c.Place, "headers", "", "%v", err)
		return nil
	}
	if len(c.Headers) > 0 {
		warnReadable(c.Place, "headers", config.Path(c.Place.File), "the headers for the auth server", r)
	}
	return client
}

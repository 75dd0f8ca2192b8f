package main

import (
	"crypto/tls"
	"net/http"

	"imapproxy/auth"
	"imapproxy/auth/httpauth"
	"imapproxy/cmd/imapproxy/config"
)

// buildHTTPAuth makes the client of the auth server. The address and the
// headers are checked one after the other, to name the right line.
func buildHTTPAuth(c *config.HTTP, r *config.Report) auth.Authenticator {
	if c.URL == "" {
		return nil // reported already
	}
	o := httpauth.Options{
		URL: c.URL, Timeout: c.Timeout, MaxConns: c.MaxConnections,
		TLSConfig:      &tls.Config{RootCAs: loadAuthorities(c.Place, "ca", c.CA, r), MinVersion: tls.VersionTLS12},
		ServerOptional: c.ServerOptional, Insecure: c.Insecure, PassCertificate: c.PassCertificate,
	}
	if _, err := httpauth.New(o); err != nil {
		addJoined(r, c.Place, "url", err)
		return nil
	}
	o.Header = http.Header{}
	for name, value := range c.Headers {
		o.Header.Set(name, value)
	}
	client, err := httpauth.New(o)
	if err != nil {
		addJoined(r, c.Place, "headers", err)
		return nil
	}
	if len(c.Headers) > 0 {
		warnReadable(c.Place, "headers", config.Path(c.Place.File), "the headers for the auth server", r)
	}
	return client
}

// close frees what a generation holds open besides its sessions. Sessions that
// still use it can go on.
func (g *generation) close() {
	closeAuth(g.Settings.Auth)
	for _, l := range g.Settings.Listeners {
		closeAuth(l.Auth)
	}
}

func closeAuth(a auth.Authenticator) {
	if client, ok := a.(*httpauth.Client); ok {
		client.Close()
	}
}

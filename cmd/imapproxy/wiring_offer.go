package main

import (
	"cmp"
	"time"

	"imapproxy/imapproxy"
)

// proxyTimeout is nginx's default of proxy_timeout.
const proxyTimeout = 24 * time.Hour

// offerOf takes over what a listener offers before the login and whom it asks.
func offerOf(c *config, l *listenerConfig, to *imapproxy.Listener, r *report) {
	to.Capabilities, to.Mechanisms = l.Capabilities, l.Mechanisms
	to.Login, to.BadCommands = l.Login, l.BadCommands
	to.TCP = l.tcpOptions(c.TCP)
	if l.NginxCompat {
		to.Compat = &imapproxy.Compat{ClientIdle: cmp.Or(l.ClientIdle, proxyTimeout), PassBackendErrors: l.PassBackendErrors}
	}
	if l.Place.has("auth") && c.Auth.Type == "http" {
		if client := buildHTTPAuth(l.httpAuth(&c.Auth.HTTP), r); client != nil {
			to.Auth = client
		}
	}
}

package main

import (
	"cmp"
	"time"

	"imapproxy/cmd/imapproxy/config"
	"imapproxy/imapproxy"
)

// proxyTimeout is nginx's default of proxy_timeout.
const proxyTimeout = 24 * time.Hour

// offerOf takes over what a listener offers before the login and whom it asks.
func offerOf(c *config.File, l *config.Listener, to *imapproxy.Listener, r *config.Report) {
	to.Capabilities, to.Mechanisms = l.Capabilities, l.Mechanisms
	to.Login, to.BadCommands = l.Login, l.BadCommands
	to.TCP = l.TCPOptions(c.TCP)
	if l.NginxCompat {
		to.Compat = &imapproxy.Compat{ClientIdle: cmp.Or(l.ClientIdle, proxyTimeout),
			PassBackendErrors: l.PassBackendErrors}
	}
	if own := sourceOf(&c.Auth).own; own != nil && l.Place.Has("auth") {
		to.Auth = own(l, &c.Auth, r)
	}
}

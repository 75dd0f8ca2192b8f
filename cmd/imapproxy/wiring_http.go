package main

import (
	"imapproxy/auth"
)

func buildHTTPAuth(c *httpConfig, r *report) auth.Authenticator { return nil }

func (g *generation) close() {}

package main

import (
	"strings"

	"imapproxy/auth"
	"imapproxy/cmd/imapproxy/config"
)

// adminAccess is where the admin listener is and who may use it. The zero value
// stands for none.
type adminAccess struct {
	Network string // "unix" or "tcp", "" for no listener
	Address string // a path or host:port
	Token   auth.Secret
}

// name is the address as the configuration writes it.
func (a adminAccess) name() string {
	if a.Network == "unix" {
		return config.UnixPrefix + a.Address
	}
	return a.Address
}

// leastToken keeps a token from being guessed.
const leastToken = 16

// adminAt splits an address of the configuration.
func adminAt(address string) adminAccess {
	path, isSocket := strings.CutPrefix(address, config.UnixPrefix)
	switch {
	case address == "":
		return adminAccess{}
	case isSocket:
		return adminAccess{Network: "unix", Address: path}
	}
	return adminAccess{Network: "tcp", Address: address}
}

// buildAdmin reads the admin listener's token.
func buildAdmin(c *config.Admin, r *config.Report) adminAccess {
	a := adminAt(c.Address)
	if a.Network != "tcp" || c.TokenFile == "" {
		return a // what is missing has been reported
	}
	token, err := passwordFile(string(c.TokenFile))
	switch {
	case err != nil:
		r.Unreadable(c.Place, "token_file", "write the token into its first line", c.TokenFile, err)
	case !goodToken(token):
		r.Errorf(c.Place, "token_file", "write, for example, what `openssl rand -hex 32` prints",
			"%s: the token has fewer than %d characters, or blanks or control characters among them", c.TokenFile,
			leastToken)
	}
	warnReadable(c.Place, "token_file", c.TokenFile, "the admin token", r)
	a.Token = token
	return a
}

// goodToken reports whether a token is long enough and can stand in a header.
func goodToken(token auth.Secret) bool {
	odd := func(c rune) bool { return c <= 0x20 || c >= 0x7F }
	return len(token) >= leastToken && !strings.ContainsFunc(string(token), odd)
}

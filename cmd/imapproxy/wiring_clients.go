package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"

	"imapproxy/auth"
	"imapproxy/cmd/imapproxy/config"
)

// loadClientAuthorities reads who vouches for client certificates, and lets the
// handshake ask for one. The session judges it: a client reads then why it is
// not let in.
func loadClientAuthorities(c *config.Listener, t *tls.Config, r *config.Report) *auth.Authorities {
	if c.ClientCertificates == "off" {
		return nil
	}
	t.ClientAuth = tls.RequestClientCert
	t.ClientCAs = loadAuthorities(c.Place, "client_ca", c.ClientCA, r)
	a := &auth.Authorities{Roots: x509.NewCertPool(), Depth: c.ClientCADepth, Lists: loadRevocations(c, r)}
	for key, file := range map[string]config.Path{"client_ca": c.ClientCA,
		"trusted_certificates": c.TrustedCertificates} {
		if file == "" {
			continue
		}
		text, err := config.ReadLimited(string(file), maxCertificateBytes)
		// which is reported already
		if (err != nil || !a.Roots.AppendCertsFromPEM([]byte(text))) && key != "client_ca" {
			r.Errorf(c.Place, key, "name a PEM file with certificates", "%s holds no certificate", file)
		}
	}
	return a
}

// loadRevocations reads revocation lists, PEM or DER.
func loadRevocations(c *config.Listener, r *config.Report) []*x509.RevocationList {
	if c.ClientCRL == "" {
		return nil
	}
	text, err := config.ReadLimited(string(c.ClientCRL), maxRevocationBytes)
	if err != nil {
		r.Unreadable(c.Place, "client_crl", "name a readable file", c.ClientCRL, err)
		return nil
	}
	lists, err := parseRevocations([]byte(text))
	if err != nil {
		r.Errorf(c.Place, "client_crl", "name a file such as openssl ca -gencrl makes", "%s: %v", c.ClientCRL, err)
	}
	return lists
}

// maxRevocationBytes bounds a file of revocation lists: those of big public
// authorities have some 10 MiB.
const maxRevocationBytes = 64 << 20

func parseRevocations(text []byte) ([]*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	add := func(der []byte) error {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return errors.New("holds a revocation list that can't be read")
		}
		lists = append(lists, list)
		return nil
	}
	if !strings.Contains(string(text), "-----BEGIN") {
		return lists, add(text)
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		if err := add(block.Bytes); err != nil {
			return nil, err
		}
	}
	if len(lists) == 0 {
		return nil, errors.New("holds no revocation list")
	}
	return lists, nil
}

// buildExternal makes the mapping from certificates to users; nil when EXTERNAL
// is off.
func buildExternal(c *config.External, r *config.Report) *auth.CertificateUsers {
	if c.From == "off" || c.From == "" {
		return nil
	}
	text := ""
	if c.File != "" {
		var err error
		if text, err = config.ReadLimited(string(c.File), config.MaxBytes); err != nil {
			r.Unreadable(c.Place, "file", "name a readable file", c.File, err)
			return nil
		}
	}
	users, err := auth.NewCertificateUsers(auth.CertificateName(c.From), string(c.File), text)
	if err != nil {
		r.Errorf(c.Place, "file", "", "%v", err)
	}
	for _, warning := range users.Warnings() {
		r.Warnf(c.Place, "file", "", "%s", warning)
	}
	return users
}

package config

import (
	"crypto/tls"
	"slices"
	"strings"

	"imapproxy/auth/httpauth"
)

// CipherSuiteIDs are the suites that a listener names; nil, which stands for
// Go's choice, when it names none.
func (l *Listener) CipherSuiteIDs(r *Report) []uint16 {
	var ids []uint16
	insecure := tls.InsecureCipherSuites()
	for _, name := range l.Ciphers {
		suite := findSuite(append(tls.CipherSuites(), insecure...), name)
		switch {
		case suite == nil:
			r.Errorf(l.Place, "tls_ciphers",
				"write names such as ECDHE-RSA-AES128-GCM-SHA256, one an element; OpenSSL's expressions such as "+
					"HIGH are not names",
				"%q is not a cipher suite that Go has", name)
			continue
		case slices.Contains(suite.SupportedVersions, tls.VersionTLS13):
			r.Errorf(l.Place, "tls_ciphers", "remove it", "%q is of TLS 1.3, whose suites are all on", name)
			continue
		case slices.Contains(insecure, suite):
			r.Warnf(l.Place, "tls_ciphers", "remove it unless there are clients that can't do better",
				"%q is weak", name)
		}
		ids = append(ids, suite.ID)
	}
	if l.Place.Has("tls_ciphers") && len(l.Ciphers) == 0 {
		r.Errorf(l.Place, "tls_ciphers", "name a suite or remove the line", "empty")
	}
	return ids
}

func findSuite(all []*tls.CipherSuite, name string) *tls.CipherSuite {
	for _, suite := range all {
		if strings.EqualFold(name, suite.Name) || strings.EqualFold(name, httpauth.OpenSSLName(suite.Name)) {
			return suite
		}
	}
	return nil
}

// curveNames are the key exchanges by the names of IANA and OpenSSL, in small
// letters.
var curveNames = map[string]tls.CurveID{
	"x25519": tls.X25519, "x25519mlkem768": tls.X25519MLKEM768,
	"secp256r1mlkem768": tls.SecP256r1MLKEM768, "secp384r1mlkem1024": tls.SecP384r1MLKEM1024,
	"p-256": tls.CurveP256, "prime256v1": tls.CurveP256, "secp256r1": tls.CurveP256,
	"p-384": tls.CurveP384, "secp384r1": tls.CurveP384,
	"p-521": tls.CurveP521, "secp521r1": tls.CurveP521,
}

// CurveIDs are the key exchanges that a listener names; nil for Go's choice.
func (l *Listener) CurveIDs(r *Report) []tls.CurveID {
	var ids []tls.CurveID
	for _, name := range l.Curves {
		id, known := curveNames[strings.ToLower(name)]
		if !known {
			r.Errorf(l.Place, "tls_curves",
				"write one of X25519MLKEM768, SecP256r1MLKEM768, SecP384r1MLKEM1024, X25519, P-256, P-384, P-521",
				"%q is not a key exchange that Go has", name)
			continue
		}
		ids = append(ids, id)
	}
	if l.Place.Has("tls_curves") && len(l.Curves) == 0 {
		r.Errorf(l.Place, "tls_curves", "name a key exchange or remove the line", "empty")
	}
	return ids
}

// TLSVersion returns the number of a version that the schema allows.
func TLSVersion(text string) uint16 {
	switch text {
	case "1.0":
		return tls.VersionTLS10
	case "1.1":
		return tls.VersionTLS11
	case "1.3":
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

package backend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// authority signs the certificates of a test.
type authority struct {
	tb   testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	a := &authority{tb: tb, key: key}
	a.cert = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour),
	}, key)
	return a
}

// sign completes and signs a certificate; the authority's own when there is
// none yet.
func (a *authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.tb.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	if c.NotBefore.IsZero() {
		c.NotBefore = time.Now().Add(-time.Hour)
	}
	parent := a.cert
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, a.key)
	if err != nil {
		a.tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.tb.Fatal(err)
	}
	return cert
}

// issue makes a server's configuration from a template.
func (a *authority) issue(c x509.Certificate) *tls.Config {
	a.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.tb.Fatal(err)
	}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	cert := a.sign(&c, key)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// certificates are those a TLS step can name.
func (a *authority) certificates() map[string]*tls.Config {
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	old := a.issue(x509.Certificate{IPAddresses: loopback})
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	tls12 := a.issue(x509.Certificate{IPAddresses: loopback})
	tls12.MaxVersion = tls.VersionTLS12
	return map[string]*tls.Config{
		"not-yet": a.issue(x509.Certificate{IPAddresses: loopback, NotBefore: time.Now().Add(48 * time.Hour),
			NotAfter: time.Now().Add(72 * time.Hour)}),
		"nameless":    a.issue(x509.Certificate{Subject: pkix.Name{CommonName: "imap.example.org"}}),
		"own":         {Certificates: []tls.Certificate{{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}}},
		"good":        a.issue(x509.Certificate{IPAddresses: loopback}),
		"named":       a.issue(x509.Certificate{DNSNames: []string{"imap.example.org"}}),
		"expired":     a.issue(x509.Certificate{IPAddresses: loopback, NotAfter: time.Now().Add(-time.Minute)}),
		"other-name":  a.issue(x509.Certificate{DNSNames: []string{"imap.example.net"}}),
		"self-signed": newAuthority(a.tb).issue(x509.Certificate{IPAddresses: loopback}),
		"hostile":     a.issue(x509.Certificate{DNSNames: []string{"a\r\nb\x1b[31m.example.net"}}),
		"old":         old,
		"tls12":       tls12,
	}
}

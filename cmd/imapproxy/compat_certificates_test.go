package main

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"testing"
)

// compatCertificates makes the certificates of a dialogue: imap and other, each
// its own authority; joe and, revoked by root.crl, ann, both of the authority
// root; deep of the authority middle, which is of root. none.crl revokes none.
func compatCertificates(t *testing.T, folder string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(folder, name) }
	for _, name := range []string{"imap", "other"} {
		makeCertificate(t, in(name+".crt"), in(name+".key"), farAway)
	}
	root := issueAuthority(t, in("root"), nil)
	middle := issueAuthority(t, in("middle"), root)
	person := func(name string, by *issuer) *x509.Certificate {
		return issue(t, in(name),
			&x509.Certificate{Subject: pkix.Name{CommonName: name},
				ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, by)
	}
	person("joe", root)
	ann := person("ann", root)
	person("deep", middle)
	mustWrite(t, in("deep.crt"), mustRead(t, in("deep.crt"))+mustRead(t, in("middle.crt")))
	for name, serials := range map[string][]*big.Int{"root.crl": {ann.SerialNumber}, "none.crl": nil} {
		mustWrite(t, in(name),
			string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: revoke(t, root, 1, serials...)})))
	}
}

// issueAuthority makes an authority that may revoke.
func issueAuthority(t *testing.T, base string, by *issuer) *issuer {
	t.Helper()
	c := issue(t, base, &x509.Certificate{Subject: pkix.Name{CommonName: filepath.Base(base)}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, by)
	pair, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	try(t, "authority", err)
	return &issuer{c, pair.PrivateKey.(crypto.Signer)}
}

// revoke makes a list of an authority, in DER.
func revoke(t *testing.T, by *issuer, number int64, serials ...*big.Int) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: by.NotBefore, NextUpdate: farAway}
	for _, n := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: n, RevocationTime: by.NotBefore})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, by.Certificate, by.key)
	try(t, "list", err)
	return der
}

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/youmark/pkcs8"
	"golang.org/x/crypto/ocsp"
)

// keyPassword opens the encrypted keys of a site.
const keyPassword = "correct horse"

// addTLSFiles adds the files of a listener that uses all there is of TLS to a
// site's folder.
func addTLSFiles(t *testing.T, folder string) {
	t.Helper()
	in := func(name string) string { return filepath.Join(folder, "tls", name) }
	makeCertificate(t, in("client-ca.pem"), in("client-ca.key"), farAway)
	pair, err := tls.LoadX509KeyPair(in("imap.crt"), in("imap.key"))
	try(t, "certificate", err)
	mustWrite(t, in("imap.ocsp"),
		staple(t, pair, ocsp.Response{SerialNumber: pair.Leaf.SerialNumber, NextUpdate: farAway}))
	mustWrite(t, in("stale.ocsp"),
		staple(t, pair, ocsp.Response{SerialNumber: pair.Leaf.SerialNumber,
			NextUpdate: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)}))
	mustWrite(t, in("other.ocsp"), staple(t, pair, ocsp.Response{SerialNumber: big.NewInt(99), NextUpdate: farAway}))
	mustWrite(t, in("revoked.ocsp"),
		staple(t, pair, ocsp.Response{SerialNumber: pair.Leaf.SerialNumber, NextUpdate: farAway,
			Status: ocsp.Revoked, RevokedAt: time.Date(2020, 2, 1, 0, 0, 0, 0, time.UTC)}))
	der, err := pkcs8.ConvertPrivateKeyToPKCS8(pair.PrivateKey, []byte(keyPassword))
	try(t, "encrypted key", err)
	mustWrite(t, in("locked.key"), string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der})))
	mustWrite(t, in("legacy.key"), legacyKey(t, pair.PrivateKey))
	mustWrite(t, in("key.passwords"), "wrong\n"+keyPassword+"\n")
	mustWrite(t, in("wrong.passwords"), "wrong\n")
	mustWrite(t, in("ticket.key"), strings.Repeat("0123456789abcdef", 5))
	mustWrite(t, in("short.key"), "0123456789")
}

func staple(t *testing.T, pair tls.Certificate, answer ocsp.Response) string {
	t.Helper()
	answer.ThisUpdate = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	der, err := ocsp.CreateResponse(pair.Leaf, pair.Leaf, answer, pair.PrivateKey.(crypto.Signer))
	try(t, "OCSP response", err)
	return string(der)
}

// legacyKey encrypts a key as OpenSSL did before 3.0.
func legacyKey(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	try(t, "key", err)
	//lint:ignore SA1019 such keys are what is tested
	block, err := x509.EncryptPEMBlock(rand.Reader, "PRIVATE KEY", der, []byte(keyPassword), x509.PEMCipherAES256)
	try(t, "legacy key", err)
	return string(pem.EncodeToMemory(block))
}

// issuer signs what a test needs.
type issuer struct {
	*x509.Certificate
	key crypto.Signer
}

// issue writes a certificate into BASE.crt and its key into BASE.key, signed by
// the issuer; nil signs it by itself.
func issue(t *testing.T, base string, template *x509.Certificate, by *issuer) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	try(t, "key", err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	try(t, "serial number", err)
	template.NotBefore = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	if template.NotAfter.IsZero() {
		template.NotAfter = farAway
	}
	if by == nil {
		by = &issuer{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, &key.PublicKey, by.key)
	try(t, "certificate", err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	try(t, "key", err)
	mustWrite(t, base+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	mustWrite(t, base+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	leaf, err := x509.ParseCertificate(der)
	try(t, "certificate", err)
	return leaf
}

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

// maxCertificateBytes bounds a file of certificates; the system's own bundle
// has about 250 KiB.
const maxCertificateBytes = 4 << 20

// loadCertificate reads a certificate and its key and says which of them is at
// fault.
func loadCertificate(c *config.Certificate, passwords []string, r *config.Report) (pair tls.Certificate, good bool) {
	certPEM, err := config.ReadLimited(string(c.Certificate), maxCertificateBytes)
	if err != nil {
		r.Unreadable(c.Place, "certificate", "name a PEM file", c.Certificate, err)
	}
	leaf := checkLeaf(c, certPEM, err == nil, r)
	keyFile, key := c.Key, "key"
	if keyFile == "" {
		keyFile, key = c.Certificate, "certificate"
	}
	keyPEM, err := config.ReadLimited(string(keyFile), maxCertificateBytes)
	if err != nil {
		if key == "key" {
			r.Unreadable(c.Place, key, "name a PEM file", keyFile, err)
		}
		return pair, false
	}
	if leaf == nil {
		return pair, false
	}
	plain, err := decryptKey([]byte(keyPEM), passwords)
	if err == nil {
		pair, err = tls.X509KeyPair([]byte(certPEM), plain)
	}
	if err != nil {
		text, remedy := keyFault(err, key)
		r.Errorf(c.Place, key, remedy, "%s: %s", keyFile, text)
		return pair, false
	}
	warnReadable(c.Place, key, keyFile, "the private key", r)
	loadOCSP(c, &pair, r)
	return pair, true
}

// keyFault puts the errors of tls.X509KeyPair about keys into our words.
func keyFault(err error, key string) (text, remedy string) {
	text = strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case errors.Is(err, errNoPassword):
		return text, "write its password into the file that key_password_file names"
	case strings.Contains(text, "does not match"):
		return "the private key does not fit the certificate", "name the key that the certificate was made for"
	case key == "certificate":
		return "holds no private key", "name its file with key"
	case strings.Contains(text, "failed to find"):
		return "holds no private key", "name a PEM file with a private key"
	}
	return text, "name a PEM file with a private key"
}

// checkLeaf reports a certificate that can't be read and warns of one that no
// client will take; nil when there is none.
func checkLeaf(c *config.Certificate, text string, read bool, r *config.Report) *x509.Certificate {
	if !read {
		return nil
	}
	leaf, err := parseLeaf([]byte(text))
	if err != nil {
		r.Errorf(c.Place, "certificate", "name a PEM file that begins with the server's certificate",
			"%s: %v", c.Certificate, err)
		return nil
	}
	const day = "2006-01-02"
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		r.Warnf(c.Place, "certificate", "renew it",
			"%s expired on %s: clients refuse it", c.Certificate, leaf.NotAfter.Format(day))
	case now.Before(leaf.NotBefore):
		r.Warnf(c.Place, "certificate", "check the machine's clock",
			"%s is valid from %s on: clients refuse it", c.Certificate, leaf.NotBefore.Format(day))
	}
	return leaf
}

// parseLeaf returns the first certificate of a PEM text.
func parseLeaf(text []byte) (*x509.Certificate, error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return nil, errors.New("holds no certificate")
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
		text = rest
	}
}

// warnReadable warns of a secret that every user of the machine can read.
func warnReadable(at config.Place, key string, file config.Path, what string, r *config.Report) {
	info, err := os.Stat(string(file))
	if err == nil && info.Mode().Perm()&0o004 != 0 {
		r.Warnf(at, key, "chmod o-r "+string(file), "every user of this machine can read %s in %s", what, file)
	}
}

// checkReadable reports a file that can't be opened or is none.
func checkReadable(at config.Place, key string, file config.Path, r *config.Report) bool {
	info, err := os.Stat(string(file))
	if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		err = errors.New("it is not a file")
	}
	if err != nil {
		r.Unreadable(at, key, "name a readable file", file, err)
		return false
	}
	f, err := os.Open(string(file))
	if err != nil {
		r.Unreadable(at, key, "name a readable file", file, err)
		return false
	}
	_ = f.Close()
	return true
}

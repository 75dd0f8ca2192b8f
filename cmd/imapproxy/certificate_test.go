package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// makeCertificate writes a self-signed certificate and its key and gives their
// PEM texts.
func makeCertificate(t *testing.T, certFile, keyFile string, notAfter time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "imap.example.org"},
		DNSNames:  []string{"imap.example.org"},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if name == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, name, string(pem.EncodeToMemory(block)))
	}
}

var farAway = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// siteFolder makes a folder with all the files that the examples name.
func siteFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	in := func(name string) string { return filepath.Join(folder, name) }
	makeCertificate(t, in("tls/imap.crt"), in("tls/imap.key"), farAway)
	makeCertificate(t, in("tls/backend-ca.pem"), "", farAway)
	makeCertificate(t, in("tls/auth-ca.pem"), "", farAway)
	makeCertificate(t, in("tls/other.crt"), in("tls/other.key"), farAway)
	makeCertificate(t, in("tls/old.crt"), in("tls/old.key"), time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))
	addTLSFiles(t, folder)
	mustWrite(t, in("users"), "alice:"+sampleHash+"\nbob:"+sampleHash+":user=robert\n")
	mustWrite(t, in("map"), "alice one\n@example.net two\n* one\n")
	mustWrite(t, in("master.password"), "open sesame\n")
	mustWrite(t, in("admin.token"), adminToken+"\n")
	return folder
}

// sampleHash is the SHA-512-crypt of the password "secret".
const sampleHash = "$6$testsalt$51yaaBMXXXt5vK522YOlIMZ267vqHtMIzc2klcsu3EEv/bkRDU9g3UmkypXf.NvlpPpIPK1nX5zdbCeJBiQbB/"

package convert

import (
	"crypto/tls"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestSuitesAreGos says that the table has each suite of TLS 1.2 that Go
// counts as safe.
func TestSuitesAreGos(t *testing.T) {
	for _, suite := range tls.CipherSuites() {
		known := slices.ContainsFunc(openSSLSuites, func(s openSSLSuite) bool { return s.id == suite.ID })
		if !known && slices.Contains(suite.SupportedVersions, tls.VersionTLS12) {
			t.Errorf("%s is missing", suite.Name)
		}
	}
}

// TestCipherListsAsOpenSSL compares what lists mean with openssl ciphers.
func TestCipherListsAsOpenSSL(t *testing.T) {
	notQuick(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("SKIPPED: openssl is not installed: scripts/install-test-programs installs it")
	}
	lists := []string{
		"HIGH:!aNULL:!MD5", "HIGH", "ALL", "DEFAULT", "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305",
		"EECDH+AESGCM:EDH+AESGCM",
		"ECDHE+CHACHA20:ECDHE+AESGCM:!ECDSA", "kEECDH+AES128:-SHA1", "AES256:!aRSA", "HIGH:!SHA", "HIGH:!SHA1:!SHA384",
		"TLSv1.2+ECDHE:!AES128",
		"ECDHE+AES:!AESGCM:@STRENGTH", "aECDSA+AES:aRSA+CHACHA20", "HIGH:!kRSA:!DHE:!PSK",
		"AESGCM:-AESGCM:AES256+AESGCM",
		"ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES256-SHA", "HIGH:+ECDHE:!AES256", "SSLv3:AES256+AESGCM", "TLSv1.0:!PSK",
		"HIGH:!CAMELLIA:!ARIA:!SEED:!IDEA:!RC4:!3DES",
	}
	for _, text := range lists {
		out, err := exec.Command("openssl", "ciphers", text).Output()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var want, got []string
		for name := range strings.SplitSeq(strings.TrimSpace(string(out)), ":") {
			if slices.ContainsFunc(openSSLSuites, func(s openSSLSuite) bool { return s.name == name }) {
				want = append(want, name)
			}
		}
		chosen, unknown := cipherList(text)
		for _, suite := range chosen {
			got = append(got, suite.name)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) || len(unknown) > 0 {
			t.Errorf("%s: %v, want %v; unknown %v", text, got, want, unknown)
		}
	}
}

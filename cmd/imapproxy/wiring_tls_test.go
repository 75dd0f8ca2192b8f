package main

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

const tlsSite = `
auth = { type = "passthrough" }
route = { type = "fixed", target = "one" }
target = [{ name = "one", addresses = ["imap1.example.org"] }]
[[listener]]
name = "imaps"
address = ":993"
tls = "implicit"
certificate = "tls/imap.crt"
`

// tlsListener makes the listener of a configuration with these lines.
func tlsListener(t *testing.T, folder, lines string) *tls.Config {
	t.Helper()
	if !strings.Contains(lines, "key =") {
		lines += "\nkey = \"tls/imap.key\""
	}
	return loadGood(t, folder, tlsSite+lines).Settings.Listeners["imaps"].TLSConfig
}

// shake lets a client and a listener shake hands and gives the client's view.
func shake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	try(t, "listen", err)
	defer func() { _ = ln.Close() }()
	over := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(patience))
			s := tls.Server(conn, server)
			_, err = s.Write([]byte("x")) // the ticket comes before it
		}
		over <- err
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	try(t, "dial", err)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	c := tls.Client(conn, client)
	_, err = c.Read(make([]byte, 1))
	if serverErr := <-over; err == nil {
		err = serverErr
	}
	return c.ConnectionState(), err
}

// trustAll is a client that asks for a name and looks at no certificate.
func trustAll(name string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}
}

// TestTLSOptions: what a listener names is what clients get.
func TestTLSOptions(t *testing.T) {
	folder := siteFolder(t)
	for name, test := range map[string]struct {
		lines  string
		client func(*tls.Config)
		check  func(tls.ConnectionState) bool // nil: no handshake
	}{
		"defaults": {"", nil, func(s tls.ConnectionState) bool {
			return s.Version == tls.VersionTLS13 && len(s.OCSPResponse) == 0
		}},
		"no TLS 1.1": {"", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 }, nil},
		"TLS 1.1": {`tls_min = "1.1"`, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 },
			func(s tls.ConnectionState) bool { return s.Version == tls.VersionTLS11 }},
		"at most 1.2": {`tls_max = "1.2"`, nil,
			func(s tls.ConnectionState) bool { return s.Version == tls.VersionTLS12 }},
		"at least 1.3": {`tls_min = "1.3"`, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, nil},
		"OpenSSL's name of a suite": {"tls_max = \"1.2\"\ntls_ciphers = [\"ECDHE-ECDSA-AES256-GCM-SHA384\"]", nil,
			func(s tls.ConnectionState) bool {
				return s.CipherSuite == tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
			}},
		"IANA's name of a suite": {"tls_max = \"1.2\"\ntls_ciphers = " +
			"[\"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\"]", nil,
			func(s tls.ConnectionState) bool {
				return s.CipherSuite == tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
			}},
		"no common suite": {"tls_max = \"1.2\"\ntls_ciphers = [\"ECDHE-RSA-AES256-GCM-SHA384\"]", nil, nil},
		"curve": {`tls_curves = ["secp384r1"]`, nil,
			func(s tls.ConnectionState) bool { return s.CurveID == tls.CurveP384 }},
		"no common curve": {`tls_curves = ["P-521"]`,
			func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }, nil},
		"OCSP": {`ocsp_file = "tls/imap.ocsp"`, nil,
			func(s tls.ConnectionState) bool {
				return string(s.OCSPResponse) == mustRead(t, filepath.Join(folder, "tls/imap.ocsp"))
			}},
		"stale OCSP": {`ocsp_file = "tls/stale.ocsp"`, nil,
			func(s tls.ConnectionState) bool { return len(s.OCSPResponse) == 0 }},
		"encrypted key": {"key = \"tls/locked.key\"\nkey_password_file = \"tls/key.passwords\"", nil,
			func(s tls.ConnectionState) bool { return s.HandshakeComplete }},
		"old encryption of a key": {"key = \"tls/legacy.key\"\nkey_password_file = \"tls/key.passwords\"", nil,
			func(s tls.ConnectionState) bool { return s.HandshakeComplete }},
	} {
		t.Run(name, func(t *testing.T) {
			client := trustAll("imap.example.org")
			if test.client != nil {
				test.client(client)
			}
			state, err := shake(t, tlsListener(t, folder, test.lines), client)
			switch {
			case (err == nil) != (test.check != nil):
				t.Errorf("the handshake ends with %v", err)
			case test.check != nil && !test.check(state):
				t.Errorf("the client gets %+v", state)
			}
		})
	}
}

// TestSNI: each client gets the certificate of the name it asks for; others
// get the first.
func TestSNI(t *testing.T) {
	folder := siteFolder(t)
	for _, name := range []string{"mail.example.net", "*.example.com"} {
		makeNamedCertificate(t, filepath.Join(folder, "tls", strings.TrimPrefix(name, "*.")), name)
	}
	server := tlsListener(t, folder, `
key = "tls/imap.key"
certificates = [
  { certificate = "tls/mail.example.net.crt", key = "tls/mail.example.net.key" },
  { certificate = "tls/example.com.crt", key = "tls/example.com.key" },
]`)
	for asked, want := range map[string]string{
		"imap.example.org": "imap.example.org", "mail.example.net": "mail.example.net",
		"MAIL.example.net": "mail.example.net", "a.example.com": "*.example.com",
		"a.b.example.com": "imap.example.org", "elsewhere.test": "imap.example.org", "": "imap.example.org",
	} {
		state, err := shake(t, server, trustAll(asked))
		if err != nil || state.PeerCertificates[0].DNSNames[0] != want {
			t.Errorf("asked for %q: %v, error %v; want %q", asked, state.PeerCertificates[0].DNSNames, err, want)
		}
	}
}

// TestTickets: who has the same ticket keys resumes each other's sessions, a
// listener without tickets none.
func TestTickets(t *testing.T) {
	folder := siteFolder(t)
	for name, test := range map[string]struct {
		first, second string
		resumed       bool
	}{
		"the same keys": {`tls_ticket_keys = ["tls/ticket.key"]`, `tls_ticket_keys = ["tls/ticket.key"]`, true},
		"an older key": {`tls_ticket_keys = ["tls/ticket.key"]`,
			`tls_ticket_keys = ["tls/next.key", "tls/ticket.key"]`, true},
		"other keys":     {`tls_ticket_keys = ["tls/ticket.key"]`, `tls_ticket_keys = ["tls/next.key"]`, false},
		"keys of itself": {"", "", false},
		"no tickets":     {`tls_session_tickets = false`, `tls_session_tickets = false`, false},
	} {
		t.Run(name, func(t *testing.T) {
			mustWrite(t, filepath.Join(folder, "tls/next.key"), strings.Repeat("x", 48))
			client := trustAll("imap.example.org")
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			for i, lines := range []string{test.first, test.second} {
				state, err := shake(t, tlsListener(t, folder, lines), client)
				if err != nil || state.DidResume != (i == 1 && test.resumed) {
					t.Errorf("handshake %d: resumed %v, error %v", i+1, state.DidResume, err)
				}
			}
		})
	}
}

// TestFollowsFiles: a certificate that is renewed is taken without a reload,
// one that is broken or does not fit its key is not, and nothing is said twice.
func TestFollowsFiles(t *testing.T) {
	folder := siteFolder(t)
	crt, key := filepath.Join(folder, "tls/imap.crt"), filepath.Join(folder, "tls/imap.key")
	g := loadGood(t, folder, tlsSite+`key = "tls/imap.key"`)
	server := g.Settings.Listeners["imaps"].TLSConfig
	served := func() string {
		state, err := shake(t, server, trustAll("imap.example.org"))
		try(t, "handshake", err)
		return string(state.PeerCertificates[0].Raw)
	}
	follow := func(wantChange bool, wantFinding string) {
		t.Helper()
		r := &config.Report{}
		if changed := g.TLS[0].follow(r); changed != wantChange {
			t.Errorf("changed %v", changed)
		}
		if text := ""; wantFinding == "" && len(r.Sorted()) > 0 || wantFinding != "" &&
			(len(r.Sorted()) != 1 || !strings.Contains(r.Sorted()[0].Text, wantFinding)) {
			t.Errorf("findings %v%s, want %q", r.Sorted(), text, wantFinding)
		}
	}
	old := served()
	follow(false, "")
	oldKey := mustRead(t, key)
	makeCertificate(t, crt, key, farAway)
	newKey := mustRead(t, key)
	mustWrite(t, key, oldKey) // the certificate is there before its key
	follow(false, "does not fit")
	follow(false, "")
	if served() != old {
		t.Error("a certificate without its key is served")
	}
	try(t, "new key", os.WriteFile(key+".new", []byte(newKey), 0o600))
	try(t, "rename", os.Rename(key+".new", key))
	follow(true, "")
	if now := served(); now == old {
		t.Error("the old certificate is served")
	}
	try(t, "remove", os.Remove(crt))
	follow(false, "no such file")
}

// TestFollowsRevocations: a client certificate is refused once the list that
// revokes it is there, without a reload; a list that can't be read changes
// nothing.
func TestFollowsRevocations(t *testing.T) {
	folder := siteFolder(t)
	in := func(name string) string { return filepath.Join(folder, "tls", name) }
	by := issueAuthority(t, in("revoker"), nil)
	leaf := issue(t, in("alice"), &x509.Certificate{Subject: pkix.Name{CommonName: "alice"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, by)
	list := func(number int64, serials ...*big.Int) string { return string(revoke(t, by, number, serials...)) }
	mustWrite(t, in("client.crl"), list(1))
	g := loadGood(t, folder, tlsSite+`key = "tls/imap.key"
client_certificates = "on"
client_ca = "tls/revoker.crt"
client_crl = "tls/client.crl"`)
	clients := g.Settings.Listeners["imaps"].Clients
	expect := func(wantChange, wantGood bool) {
		t.Helper()
		if changed := g.TLS[0].follow(&config.Report{}); changed != wantChange {
			t.Errorf("changed %v", changed)
		}
		if err := clients.Verify([]*x509.Certificate{leaf}, time.Now()); (err == nil) != wantGood || err != nil &&
			!strings.Contains(err.Error(), "revoked") {
			t.Errorf("the certificate gets %v, good is %v", err, wantGood)
		}
	}
	expect(false, true)
	mustWrite(t, in("client.crl"), list(2, leaf.SerialNumber))
	expect(true, false)
	mustWrite(t, in("client.crl"), "no list")
	expect(false, false)
	mustWrite(t, in("client.crl"), list(3))
	expect(true, true)
}

// TestWrongPassword: what an error says of an encrypted key holds no password.
func TestWrongPassword(t *testing.T) {
	folder := siteFolder(t)
	_, err := decryptKey([]byte(mustRead(t, filepath.Join(folder, "tls/locked.key"))), []string{"geheim"})
	if !errors.Is(err, errNoPassword) || strings.Contains(err.Error(), "geheim") {
		t.Error(err)
	}
}

// makeNamedCertificate writes a certificate for a name into BASE.crt and its
// key into BASE.key.
func makeNamedCertificate(t *testing.T, base, name string) *x509.Certificate {
	t.Helper()
	return issue(t, base, &x509.Certificate{DNSNames: []string{name}}, nil)
}

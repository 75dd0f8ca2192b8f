package httpauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"imapproxy/auth"
)

func TestRequestHeaders(t *testing.T) { bothWays(t, testRequestHeaders) }

func testRequestHeaders(t *testing.T, ask asks) {
	everything := *bob()
	everything.Mechanism, everything.User, everything.Attempt = "LOGIN", "us%er", 3
	everything.Secret = "p w\xff+\"\\\xc3\xb6"
	everything.Client = netip.MustParseAddrPort("[::ffff:192.0.2.7]:4711")
	everything.TLS = &tls.ConnectionState{Version: tls.VersionTLS12,
		CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	certified := everything
	certified.Mechanism, certified.User, certified.Secret, certified.TLSVerify = auth.External, "alice", "", "SUCCESS"
	certified.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256,
		PeerCertificates: []*x509.Certificate{{
			Raw: []byte("a certificate"), Subject: pkix.Name{CommonName: "alice\r\nAuth-User: bob"},
			Issuer: pkix.Name{CommonName: "authority"}, SerialNumber: big.NewInt(0xabc)}}}
	uncertified := everything
	uncertified.TLSVerify = "NONE"
	cram, token := *bob(), *bob()
	cram.Mechanism, cram.Salt, cram.Secret = auth.CramMD5, "<1.2@mail.example>", "00ff"
	cram.Proxied = &auth.Proxied{Client: netip.MustParseAddrPort("192.0.2.1:1"),
		Server: netip.MustParseAddrPort("[2001:db8::1]:143")}
	token.Mechanism, token.Secret = auth.OAuthBearer, "tok en"
	unixClient := *bob()
	unixClient.Client = netip.AddrPort{}
	balanced := *bob()
	balanced.TLSInFront = true
	for _, c := range []struct {
		name string
		r    auth.Request
		want map[string]string
	}{
		{"plain", *bob(), map[string]string{
			"Auth-Method": "plain", "Auth-User": "bob", "Auth-Pass": "kanarie%207c1f\"%25", "Auth-Protocol": "imap",
			"Auth-Login-Attempt": "1", "Client-IP": "192.0.2.7", "Client-Port": "4711", "X-Key": "s3",
		}},
		{"everything", everything, map[string]string{
			"Auth-Method": "plain", "Auth-User": "us%25er", "Auth-Pass": "p%20w\xff+\"\\\xc3\xb6",
			"Auth-Protocol":      "imap",
			"Auth-Login-Attempt": "3", "Client-IP": "192.0.2.7", "Client-Port": "4711", "X-Key": "s3",
			"Auth-SSL": "on", "Auth-SSL-Protocol": "TLSv1.2", "Auth-SSL-Cipher": "ECDHE-RSA-AES128-GCM-SHA256",
		}},
		{"by certificate", certified, map[string]string{
			"Auth-Method": "external", "Auth-User": "alice", "Auth-Pass": "", "Auth-Protocol": "imap",
			"Auth-Login-Attempt": "3", "Client-IP": "192.0.2.7", "Client-Port": "4711", "X-Key": "s3",
			"Auth-SSL": "on", "Auth-SSL-Protocol": "TLSv1.3", "Auth-SSL-Cipher": "TLS_AES_128_GCM_SHA256",
			"Auth-SSL-Verify": "SUCCESS", "Auth-SSL-Subject": "CN=aliceAuth-User: bob",
			"Auth-SSL-Issuer": "CN=authority",
			"Auth-SSL-Serial": "0ABC", "Auth-SSL-Fingerprint": "bbb2b7b14f224ff6ea3868f9803240406726b77c",
		}},
		{"without a certificate", uncertified, map[string]string{
			"Auth-Method": "plain", "Auth-User": "us%25er", "Auth-Pass": "p%20w\xff+\"\\\xc3\xb6",
			"Auth-Protocol":      "imap",
			"Auth-Login-Attempt": "3", "Client-IP": "192.0.2.7", "Client-Port": "4711", "X-Key": "s3",
			"Auth-SSL": "on", "Auth-SSL-Protocol": "TLSv1.2", "Auth-SSL-Cipher": "ECDHE-RSA-AES128-GCM-SHA256",
			"Auth-SSL-Verify": "NONE",
		}},
		{"by digest, through a balancer", cram, map[string]string{
			"Auth-Method": "cram-md5", "Auth-User": "bob", "Auth-Pass": "00ff", "Auth-Salt": "<1.2@mail.example>",
			"Auth-Protocol":      "imap",
			"Auth-Login-Attempt": "1", "Client-IP": "192.0.2.7", "Client-Port": "4711", "X-Key": "s3",
			"Proxy-Protocol-Addr": "192.0.2.1", "Proxy-Protocol-Port": "1", "Proxy-Protocol-Server-Addr": "2001:db8::1",
			"Proxy-Protocol-Server-Port": "143",
		}},
		{"by token", token, map[string]string{
			"Auth-Method": "oauthbearer", "Auth-User": "bob", "Auth-Pass": "tok%20en", "Auth-Protocol": "imap",
			"Auth-Login-Attempt": "1", "Client-IP": "192.0.2.7", "Client-Port": "4711", "X-Key": "s3",
		}},
		{"from a unix socket", unixClient, map[string]string{
			"Auth-Method": "plain", "Auth-User": "bob", "Auth-Pass": "kanarie%207c1f\"%25", "Auth-Protocol": "imap",
			"Auth-Login-Attempt": "1", "Client-IP": "unix:", "X-Key": "s3",
		}},
		{"TLS ends at a balancer", balanced, map[string]string{
			"Auth-Method": "plain", "Auth-User": "bob", "Auth-Pass": "kanarie%207c1f\"%25", "Auth-Protocol": "imap",
			"Auth-Login-Attempt": "1", "Client-IP": "192.0.2.7", "Client-Port": "4711", "Auth-SSL": "on", "X-Key": "s3",
		}},
	} {
		heads := make(chan string, 1)
		server := newRawServer(t, "tcp", "127.0.0.1:0", func(head string) string {
			heads <- head
			return ok("Auth-Status: OK", "Auth-Pass: x", "Auth-Server: 192.0.2.1", "Auth-Port: 143")
		})
		client := newClient(t, Options{URL: server.url(), Header: http.Header{"X-Key": {"s3"}}})
		c.want["User-Agent"] = "imapproxy"
		if _, err := ask(context.Background(), client, &c.r); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		head := <-heads
		if !strings.HasPrefix(head, "GET /auth?x=1 HTTP/1.1\r\nHost: "+server.ln.Addr().String()+"\r\n") {
			t.Errorf("%s: asked %q", c.name, head)
		}
		got := headerLines(head)
		delete(got, "Host")
		for name, want := range c.want {
			if !slices.Equal(got[name], []string{want}) {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got[name], want)
			}
			if name != "X-Key" && name != "User-Agent" && Sends(strings.ToLower(name)) == NotSent {
				t.Errorf("%s: %s counts as not sent", c.name, name)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: headers %q, want %q", c.name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(c.want)))
		}
	}
}

// Every byte that CheckCredentials lets through arrives as nginx would send it,
// at the start, in the middle and at the end.
func TestRequestBytes(t *testing.T) { bothWays(t, testRequestBytes) }

func testRequestBytes(t *testing.T, ask asks) {
	heads := make(chan string, 1)
	server := newRawServer(t, "tcp", "127.0.0.1:0", func(head string) string {
		heads <- head
		return ok("Auth-Status: OK", "Auth-Server: 192.0.2.1", "Auth-Port: 143")
	})
	client := newClient(t, Options{URL: server.url()})
	for b := range 256 {
		x := string([]byte{byte(b)})
		r := *bob()
		r.User, r.Secret = x+"u"+x, auth.Secret(x+"s"+x+x)
		g, err := ask(context.Background(), client, &r)
		if b < 0x20 || b == 0x7F {
			if kind, _ := outcome(t, g, err); kind != "denied" {
				t.Errorf("%#x: %s", b, kind)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%#x: %v", b, err)
		}
		switch b {
		case ' ':
			x = "%20"
		case '%':
			x = "%25"
		}
		got := headerLines(<-heads)
		if got["Auth-User"][0] != x+"u"+x || got["Auth-Pass"][0] != x+"s"+x+x {
			t.Errorf("%#x: sent %q, %q", b, got["Auth-User"], got["Auth-Pass"])
		}
	}
	if n := server.conns.Load(); n > 10 { // net/http drops one now and then on a busy machine
		t.Errorf("%d connections: they are not kept", n)
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"us%er": "us%25er", "p\r\nw d": "p%0D%0Aw%20d", "\x00\x1f": "%00%1F", "a+\"\\\x7f\xe4": "a+\"\\\x7f\xe4",
		"": "",
	} {
		if got := escape(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTLSNames(t *testing.T) {
	for id, want := range map[uint16]string{
		tls.TLS_AES_256_GCM_SHA384:                        "TLS_AES_256_GCM_SHA384",
		tls.TLS_CHACHA20_POLY1305_SHA256:                  "TLS_CHACHA20_POLY1305_SHA256",
		tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         "ECDHE-RSA-AES256-GCM-SHA384",
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          "ECDHE-ECDSA-AES128-SHA",
		tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256:         "ECDHE-RSA-AES128-SHA256",
		tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   "ECDHE-RSA-CHACHA20-POLY1305",
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
		tls.TLS_RSA_WITH_AES_128_GCM_SHA256:               "AES128-GCM-SHA256",
		tls.TLS_RSA_WITH_AES_256_CBC_SHA:                  "AES256-SHA",
		tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA:                 "DES-CBC3-SHA",
		tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA:                "ECDHE-RSA-RC4-SHA",
	} {
		if got := OpenSSLName(tls.CipherSuiteName(id)); got != want {
			t.Errorf("%s: %s, want %s", tls.CipherSuiteName(id), got, want)
		}
	}
	for v, want := range map[uint16]string{tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1",
		tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"} {
		if got := tlsVersion(v); got != want {
			t.Errorf("%#x: %s, want %s", v, got, want)
		}
	}
}

// TestPassesCertificate decodes what is sent as nginx's users do.
func TestPassesCertificate(t *testing.T) { bothWays(t, testPassesCertificate) }

func testPassesCertificate(t *testing.T, ask asks) {
	heads := make(chan string, 1)
	server := newRawServer(t, "tcp", "127.0.0.1:0", func(head string) string {
		heads <- head
		return ok("Auth-Status: OK", "Auth-Server: 192.0.2.1", "Auth-Port: 143")
	})
	client := newClient(t, Options{URL: server.url(), PassCertificate: true})
	r := *bob()
	r.TLSVerify = "SUCCESS"
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{Raw: []byte("a certificate"),
		SerialNumber: big.NewInt(1)}}}
	if _, err := ask(context.Background(), client, &r); err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(<-heads, "\r\nAuth-SSL-Cert: ")
	line, _, _ = strings.Cut(line, "\r\n")
	text, err := url.PathUnescape(line)
	block, rest := pem.Decode([]byte(text))
	if err != nil || block == nil || len(rest) > 0 || string(block.Bytes) != "a certificate" {
		t.Errorf("sent %q, %v", text, err)
	}
}

// TestEmptyPort takes a URL whose port is empty for one with the usual port.
func TestEmptyPort(t *testing.T) {
	got, err := parseTarget("http://127.0.0.1:/auth?x=1")
	if err != nil || got.url.Host != "127.0.0.1" || got.name != "http://127.0.0.1" {
		t.Errorf("%+v, %v", got, err)
	}
}

package imapproxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"imapproxy/auth"
)

// clientAuthority is an authority of client certificates.
type clientAuthority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newClientAuthority(t *testing.T) *clientAuthority {
	t.Helper()
	a := &clientAuthority{}
	pair := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

func (a *clientAuthority) sign(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(7)
	template.NotBefore = time.Now().Add(-48 * time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// withCertificates makes the TLS listeners of a rig want client certificates.
func withCertificates(t *testing.T, r *rig, mode CertificateMode) (authority *clientAuthority) {
	t.Helper()
	authority = newClientAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(authority.cert)
	for _, name := range []string{"tls", "starttls"} {
		l := r.settings.Listeners[name]
		l.TLSConfig.ClientAuth = tls.RequestClientCert
		l.Clients = &ClientCertificates{Mode: mode}
		l.Clients.Use(&auth.Authorities{Roots: roots, Depth: 1})
	}
	return authority
}

// secure brings a client past the handshake of a listener, with a
// certificate or without.
func (r *rig) secure(listener string, certificate *tls.Certificate) *testClient {
	r.t.Helper()
	return r.secureBy(listener, certificate, clientTLS("imap"))
}

// secureBy is secure for a client with settings of its own.
func (r *rig) secureBy(listener string, certificate *tls.Certificate, cfg *tls.Config) *testClient {
	r.t.Helper()
	c := r.connectRaw(listener)
	if listener == "starttls" {
		c.expect(`\* OK .*`)
		c.send("s STARTTLS")
		c.expect("s OK .*")
	}
	if certificate != nil { // whatever the server says of authorities
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate,
				nil
		}
	}
	c.handshake(cfg)
	return c
}

// TestClientCertificates: who is let in under each mode, and what the others
// read.
func TestClientCertificates(t *testing.T) {
	const in, out = true, false
	for _, test := range []struct {
		certificate                  string
		verify                       string
		on, optional, optionalNoAuth bool
	}{
		{"none", "NONE", out, in, in},
		{"good", "SUCCESS", in, in, in},
		{"expired", "FAILED:x509: certificate has expired", out, out, out},
		{"stranger", "FAILED:x509: certificate signed by unknown authority", out, out, in},
	} {
		for mode, may := range map[CertificateMode]bool{CertificateOff: true, CertificateOn: test.on,
			CertificateOptional: test.optional, CertificateOptionalNoCA: test.optionalNoAuth} {
			for _, listener := range []string{"tls", "starttls"} {
				t.Run(strings.Join([]string{test.certificate, listener, string(rune('0' + mode))}, " "),
					func(t *testing.T) {
						r := newRig(t)
						authority := withCertificates(t, r, mode)
						c := r.secure(listener, authority.certificate(t, test.certificate))
						if !may {
							c.expectBye(`\[CONTACTADMIN\] A client certificate is required.*`)
							if l := r.endsWith(c, endClientCertificate); !strings.HasPrefix(l.str("certificate"),
								test.verify) {
								t.Errorf("the log says %v", l)
							}
							return
						}
						if listener == "tls" {
							c.expect(`\* OK .*`)
						}
						c.send("a LOGIN joe %s", canary)
						c.expect("a OK .*")
						verify := test.verify
						if mode == CertificateOff {
							verify = ""
						}
						if asked := r.fakeAuth().last.Load(); !strings.HasPrefix(asked.TLSVerify, verify) ||
							verify == "" && asked.TLSVerify != "" {
							t.Errorf("the authenticator is told %q", asked.TLSVerify)
						}
					})
			}
		}
	}
}

// TestClientCertificateResumed: a session that is resumed is judged anew, by the
// authorities that hold now.
func TestClientCertificateResumed(t *testing.T) {
	r := newRig(t)
	authority := withCertificates(t, r, CertificateOn)
	certificate := authority.certificate(t, "good")
	cfg := clientTLS("imap")
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i, greeting := range []string{`\* OK .*`, `\* OK .*`, `\* BYE .*`} {
		if i == 2 {
			r.settings.Listeners["tls"].Clients.Use(&auth.Authorities{Roots: x509.NewCertPool(), Depth: 1})
		}
		c := r.secureBy("tls", certificate, cfg)
		c.expect(greeting)
		if resumed := c.conn.(*tls.Conn).ConnectionState().DidResume; resumed != (i > 0) {
			t.Errorf("connection %d: resumed %v", i+1, resumed)
		}
	}
}

// certificate makes a client's of a kind; nil for none.
func (a *clientAuthority) certificate(t *testing.T, kind string) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "joe"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	var pair tls.Certificate
	switch kind {
	case "none":
		return nil
	case "expired":
		template.NotAfter = time.Now().Add(-time.Hour)
		pair = a.sign(t, template)
	case "stranger":
		pair = newClientAuthority(t).sign(t, template)
	default:
		pair = a.sign(t, template)
	}
	return &pair
}

// certifiedAuth grants whom a certificate has named, with the backend's
// password in the place of the client's.
type certifiedAuth struct{ fake *fakeAuth }

// Authenticate implements auth.Authenticator.
func (c *certifiedAuth) Authenticate(ctx context.Context, r *auth.Request) (*auth.Grant, error) {
	if err := r.Check(); err != nil || r.Mechanism != auth.External {
		return nil, errors.Join(err, errDirectory)
	}
	c.fake.last.Store(r)
	return &auth.Grant{User: r.User, Secret: canary}, nil
}

// TestExternal logs in by certificate: with and without an initial response,
// with the user's own name and another's, and without a certificate.
func TestExternal(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for _, test := range []struct {
		name, certificate string
		lines             []string // after the first one the client awaits a challenge
		want              string
		user              string
	}{
		{"initial response", "good", []string{"a AUTHENTICATE EXTERNAL ="}, "a OK .*", "joe"},
		{"own name", "good", []string{"a authenticate external " + b64("joe")}, "a OK .*", "joe"},
		{"challenge", "good", []string{"a AUTHENTICATE EXTERNAL", ""}, "a OK .*", "joe"},
		{"challenge, own name", "good", []string{"a AUTHENTICATE EXTERNAL", b64("joe")}, "a OK .*", "joe"},
		{"another's name", "good", []string{"a AUTHENTICATE EXTERNAL " + b64("bob")}, `a NO \[AUTHORIZATIONFAILED\] .*`,
			""},
		{"NUL", "good", []string{"a AUTHENTICATE EXTERNAL " + b64("joe\x00bob")}, "a BAD .*", ""},
		{"no certificate", "none", []string{"a AUTHENTICATE EXTERNAL ="}, `a NO \[AUTHENTICATIONFAILED\] .*`, ""},
		{"nobody vouches", "stranger", []string{"a AUTHENTICATE EXTERNAL ="}, `a NO \[AUTHENTICATIONFAILED\] .*`, ""},
		{"cancelled", "good", []string{"a AUTHENTICATE EXTERNAL", "*"}, "a BAD .*", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, withAuth(&certifiedAuth{fake: newFakeAuth()}))
			authority := withCertificates(t, r, CertificateOptionalNoCA)
			users, err := auth.NewCertificateUsers(auth.FromCommonName, "", "")
			if err != nil {
				t.Fatal(err)
			}
			r.settings.External = users
			c := r.secure("tls", authority.certificate(t, test.certificate))
			offered := strings.Contains(c.expect(`\* OK .*`), "AUTH=EXTERNAL")
			if offered != (test.certificate == "good") {
				t.Errorf("EXTERNAL is offered: %v", offered)
			}
			for i, line := range test.lines {
				if i > 0 {
					c.expect(`\+ `)
				}
				c.send("%s", line)
			}
			c.expect(test.want)
			if asked := r.auth.(*certifiedAuth).fake.last.Load(); test.user != "" && (asked == nil ||
				asked.User != test.user || asked.Secret != "") {
				t.Errorf("the authenticator is asked %+v", asked)
			}
		})
	}
}

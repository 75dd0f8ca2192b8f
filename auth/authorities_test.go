package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

// signer is an authority of a test.
type signer struct {
	*x509.Certificate
	key crypto.Signer
}

var certificateDay = time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC)

// certify makes a certificate; without an issuer it signs itself.
func certify(t *testing.T, template x509.Certificate, by *signer) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(int64(len(template.Subject.CommonName)))
	}
	template.NotBefore = certificateDay.AddDate(-1, 0, 0)
	if template.NotAfter.IsZero() {
		template.NotAfter = certificateDay.AddDate(1, 0, 0)
	}
	if by == nil {
		by = &signer{&template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Certificate, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{c, key}
}

func authority(t *testing.T, name string, by *signer) *signer {
	t.Helper()
	return certify(t, x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}, by)
}

// revoke makes a list of an authority.
func revoke(t *testing.T, by *signer, until time.Time, serials ...*big.Int) *x509.RevocationList {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: certificateDay.AddDate(0, 0, -1),
		NextUpdate: until}
	for _, n := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: n, RevocationTime: certificateDay.AddDate(0, 0, -2)})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, by.Certificate, by.key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestAuthorities judges certificates of each kind.
func TestAuthorities(t *testing.T) {
	root, stranger := authority(t, "root", nil), authority(t, "stranger", nil)
	middle := authority(t, "middle", root)
	alice := certify(t, x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}, root)
	bob := certify(t, x509.Certificate{Subject: pkix.Name{CommonName: "bob"}}, middle)
	old := certify(t, x509.Certificate{Subject: pkix.Name{CommonName: "old"},
		NotAfter: certificateDay.AddDate(0, 0, -1)}, root)
	server := certify(t, x509.Certificate{Subject: pkix.Name{CommonName: "server"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, root)
	mallory := certify(t, x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}, stranger)
	next, past := certificateDay.AddDate(0, 0, 1), certificateDay.AddDate(0, 0, -1)
	none := revoke(t, root, next)
	impostor := authority(t, "root", nil) // another key under the same name
	for _, test := range []struct {
		name  string
		sent  []*signer
		depth int
		lists []*x509.RevocationList
		want  string // in the error; "" for none
	}{
		{"none", nil, 1, nil, "no certificate"},
		{"good", []*signer{alice}, 0, nil, ""},
		{"through an intermediate", []*signer{bob, middle}, 1, nil, ""},
		{"too deep", []*signer{bob, middle}, 0, nil, "too many intermediate"},
		{"without the intermediate", []*signer{bob}, 1, nil, "unknown authority"},
		{"unknown authority", []*signer{mallory, stranger}, 1, nil, "unknown authority"},
		{"expired", []*signer{old}, 1, nil, "expired"},
		{"a server's", []*signer{server}, 1, nil, "incompatible key usage"},
		{"not revoked", []*signer{alice}, 1, []*x509.RevocationList{none}, ""},
		{"revoked", []*signer{alice}, 1, []*x509.RevocationList{revoke(t, root, next, alice.SerialNumber)},
			"revoked since 2030-05-30"},
		{"revoked by a list out of date", []*signer{alice}, 1,
			[]*x509.RevocationList{revoke(t, root, past, alice.SerialNumber)}, "revoked"},
		{"list out of date", []*signer{alice}, 1, []*x509.RevocationList{revoke(t, root, past)}, "no revocation list"},
		{"another's list", []*signer{alice}, 1, []*x509.RevocationList{revoke(t, stranger, next)},
			"no revocation list"},
		{"a list signed by an impostor", []*signer{alice}, 1, []*x509.RevocationList{revoke(t, impostor, next)},
			"no revocation list"},
		{"no list of the intermediate", []*signer{bob, middle}, 1, []*x509.RevocationList{none}, "no revocation list"},
		{"lists of both", []*signer{bob, middle}, 1, []*x509.RevocationList{none, revoke(t, middle, next)}, ""},
		{"revoked intermediate", []*signer{bob, middle}, 1,
			[]*x509.RevocationList{revoke(t, root, next, middle.SerialNumber), revoke(t, middle, next)}, "revoked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &Authorities{Roots: x509.NewCertPool(), Depth: test.depth, Lists: test.lists}
			a.Roots.AddCert(root.Certificate)
			var sent []*x509.Certificate
			for _, s := range test.sent {
				sent = append(sent, s.Certificate)
			}
			err := a.Verify(sent, certificateDay)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if IsUnknownAuthority(err) != (test.want == "unknown authority") {
				t.Errorf("%v is of an unknown authority: %v", err, IsUnknownAuthority(err))
			}
		})
	}
	if err := (&Authorities{Roots: x509.NewCertPool()}).Verify(nil, certificateDay); !errors.Is(err, ErrNoCertificate) {
		t.Error(err)
	}
}

// TestCertificateUsers finds users in each part of a certificate.
func TestCertificateUsers(t *testing.T) {
	c := certify(t, x509.Certificate{
		Subject:        pkix.Name{CommonName: "alice", Organization: []string{"Example, Inc."}},
		EmailAddresses: []string{"alice@example.org", "a@example.org"}, DNSNames: []string{"phone.example.org"},
	}, nil).Certificate
	bare := certify(t, x509.Certificate{Subject: pkix.Name{Organization: []string{"nobody"}}}, nil).Certificate
	odd := certify(t, x509.Certificate{Subject: pkix.Name{CommonName: "alice\nx"}}, nil).Certificate
	sum := sha256.Sum256(c.Raw)
	fingerprint := strings.ToUpper(hex.EncodeToString(sum[:]))
	colons := fingerprint[:2]
	for i := 2; i < len(fingerprint); i += 2 {
		colons += ":" + fingerprint[i:i+2]
	}
	for _, test := range []struct {
		from CertificateName
		text string // "" for no file
		want string // "" for no user
	}{
		{FromCommonName, "", "alice"},
		{FromEmail, "", "alice@example.org"},
		{FromDNSName, "", "phone.example.org"},
		{FromCommonName, "# nobody else\n\nuser1 alice\n", "user1"},
		{FromCommonName, "user1 bob\n", ""},
		{FromEmail, "user2 a@example.org\n", "user2"},
		{FromSubject, "user3 CN=alice,O=Example\\, Inc.\n", "user3"},
		{FromFingerprint, "user4 " + fingerprint + "\n", "user4"},
		{FromFingerprint, "user4 " + colons + "\n", "user4"},
		{FromFingerprint, "user5 " + strings.Repeat("0", 64) + "\n", ""},
	} {
		file := ""
		if test.text != "" {
			file = "certificates"
		}
		u, err := NewCertificateUsers(test.from, file, test.text)
		if err != nil {
			t.Fatal(err)
		}
		if user, found := u.User(c); user != test.want || found != (test.want != "") {
			t.Errorf("%s %q: %q %v, want %q", test.from, test.text, user, found, test.want)
		}
		for _, other := range []*x509.Certificate{bare, odd} {
			if user, found := u.User(other); found {
				t.Errorf("%s %q: a certificate of nobody is %q's", test.from, test.text, user)
			}
		}
	}
}

// TestBadCertificateUsers: every line at fault is named.
func TestBadCertificateUsers(t *testing.T) {
	_, err := NewCertificateUsers(FromFingerprint, "certificates", "alice\nbob 12:34\nx\x01 "+strings.Repeat("a", 64)+
		"\na "+strings.Repeat("b", 40)+"\nc "+strings.Repeat("B", 40)+"\n")
	if err == nil {
		t.Fatal("taken")
	}
	for i, want := range []string{"certificates:1: write a line as: USER FINGERPRINT",
		"certificates:2: a fingerprint is 64", "certificates:3: the user name holds", "certificates:5: a second line"} {
		if lines := strings.Split(err.Error(), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[i], want) {
			t.Errorf("%q, want %q", lines, want)
		}
	}
}

// TestExternalRequests: a certificate stands for the secret, and for its own
// only that user.
func TestExternalRequests(t *testing.T) {
	for _, test := range []struct {
		r    Request
		good bool
	}{
		{Request{Mechanism: External, User: "alice"}, true},
		{Request{Mechanism: External, User: "alice", AuthzID: "alice"}, true},
		{Request{Mechanism: External, User: "alice", AuthzID: "bob"}, false},
		{Request{Mechanism: External, User: "alice", Secret: "x"}, false},
		{Request{Mechanism: External}, false},
		{Request{Mechanism: External, User: "a\x00b"}, false},
		{Request{Mechanism: "PLAIN", User: "alice"}, false},
	} {
		err := test.r.Check()
		if denied, is := errors.AsType[*Denied](err); (err == nil) != test.good ||
			err != nil && (!is || denied.Log == "") {
			t.Errorf("%+v: %v", test.r, err)
		}
	}
	if _, err := (Passthrough{}).Authenticate(t.Context(), &Request{Mechanism: External, User: "alice"}); err == nil {
		t.Error("a backend is to judge a login without a password")
	}
	file := openUsers(t, "alice:"+hashSHA+":backend=two user=al", "locked:!"+hashSHA)
	g, err := file.Authenticate(t.Context(), &Request{Mechanism: External, User: "alice"})
	if err != nil || g.User != "al" || g.Server != "two" || g.Secret != "" || g.AuthID != "" {
		t.Errorf("%+v, %v", g, err)
	}
	for _, user := range []string{"locked", "nobody"} {
		if g, err := file.Authenticate(t.Context(), &Request{Mechanism: External, User: user}); err == nil {
			t.Errorf("%s is granted: %+v", user, g)
		}
	}
}

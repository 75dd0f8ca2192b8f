package auth

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
)

// External is the mechanism of clients whose certificate says who they are
// (RFC 4422 appendix A).
const External = sasl.External

// NewExternal starts an exchange of EXTERNAL; verify gets the authorization
// identity, "" when the client names none.
func NewExternal(verify func(authzID string) error) sasl.Server {
	return sasl.NewExternalServer(func(identity string) error {
		if identity != "" && nameFlaw(identity) != "" {
			return ErrMalformed
		}
		return verify(identity)
	})
}

// NewClaimed starts an exchange of EXTERNAL whose user the authenticator judges,
// by the certificate: nginx's way, with its challenge.
func NewClaimed(verify func(user string) error) sasl.Server { return &claimedServer{verify: verify} }

type claimedServer struct {
	verify func(user string) error
	step   int
}

// Next implements sasl.Server.
func (c *claimedServer) Next(response []byte) (challenge []byte, done bool, err error) {
	c.step++
	if c.step == 1 && response == nil {
		return []byte("Username:"), false, nil
	}
	if c.step > 2 {
		return nil, true, sasl.ErrUnexpectedClientResponse
	}
	c.step = 2
	if flaw := nameFlaw(string(response)); flaw != "" {
		return nil, true, malformed("user name", flaw)
	}
	return nil, true, c.verify(string(response))
}

// CertificateName is the part of a certificate that names the user.
type CertificateName string

// The parts.
const (
	FromCommonName  CertificateName = "common_name" // of the subject
	FromEmail       CertificateName = "email"       // SAN: the first address
	FromDNSName     CertificateName = "dns_name"    // SAN: the first host
	FromSubject     CertificateName = "subject"     // the whole of it, as RFC 4514 writes it
	FromFingerprint CertificateName = "fingerprint" // SHA-256 or SHA-1 of the certificate in hexadecimal
)

// CertificateUsers finds the user of a client's certificate.
type CertificateUsers struct {
	From  CertificateName
	names map[string]string // from what stands in a certificate to the user; nil: that is the user
}

// NewCertificateUsers makes the mapping. text, when it is not "", holds a line
// "USER WHAT-THE-CERTIFICATE-SAYS" for each certificate, with # comments; the
// error joins the faults of all lines, each with its line. Subjects and
// fingerprints are never names of users by themselves and need it.
func NewCertificateUsers(from CertificateName, file, text string) (*CertificateUsers, error) {
	u := &CertificateUsers{From: from}
	if file == "" {
		return u, nil
	}
	u.names = map[string]string{}
	var faults error
	line := 0
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		line++
		if fault := u.add(strings.TrimSpace(s.Text())); fault != "" {
			faults = errors.Join(faults, fmt.Errorf("%s:%d: %s", file, line, fault))
		}
	}
	return u, faults
}

// add takes a line and says what is wrong with it.
func (u *CertificateUsers) add(line string) (fault string) {
	if line == "" || line[0] == '#' {
		return ""
	}
	user, says, _ := strings.Cut(line, " ")
	says = u.normal(strings.TrimSpace(says))
	switch {
	case says == "":
		return "write a line as: USER " + strings.ToUpper(string(u.From))
	case nameFlaw(user) != "":
		return "the user name " + nameFlaw(user)
	case u.From == FromFingerprint && len(says) != 2*sha256.Size && len(says) != 2*sha1.Size:
		return "a fingerprint is 64 (SHA-256) or 40 (SHA-1) hexadecimal digits"
	case u.names[says] != "":
		return "a second line for the same certificate"
	}
	u.names[says] = user
	return ""
}

// normal writes a fingerprint in one way: openssl has colons and capitals.
func (u *CertificateUsers) normal(says string) string {
	if u.From == FromFingerprint {
		return strings.ToLower(strings.ReplaceAll(says, ":", ""))
	}
	return says
}

// User returns the user of a certificate; false when it names no user.
func (u *CertificateUsers) User(c *x509.Certificate) (string, bool) {
	for _, says := range u.says(c) {
		if u.names == nil {
			return says, says != "" && nameFlaw(says) == ""
		}
		if user := u.names[says]; user != "" {
			return user, true
		}
	}
	return "", false
}

// says is what a certificate has in the place that names the user.
func (u *CertificateUsers) says(c *x509.Certificate) []string {
	switch u.From {
	case FromCommonName:
		return []string{c.Subject.CommonName}
	case FromEmail:
		return c.EmailAddresses
	case FromDNSName:
		return c.DNSNames
	case FromSubject:
		return []string{c.Subject.String()}
	case FromFingerprint:
		strong, weak := sha256.Sum256(c.Raw), sha1.Sum(c.Raw)
		return []string{hex.EncodeToString(strong[:]), hex.EncodeToString(weak[:])}
	}
	return nil
}

package auth

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"

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

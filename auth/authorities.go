package auth

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Authorities vouch for clients' certificates (RFC 5280).
type Authorities struct {
	Roots *x509.CertPool
	Depth int                    // intermediate certificates between a client's and a root's
	Lists []*x509.RevocationList // none: revocation is not looked at; else every authority of a chain needs one
}

// What a certificate is refused for, besides x509's own errors.
var (
	ErrNoCertificate = errors.New("no certificate")
	errTooDeep       = errors.New("too many intermediate certificates")
	errNoList        = errors.New("no revocation list of the authority that is in date")
	errRevoked       = errors.New("the certificate is revoked")
)

// Verify judges a client's certificates, its own one first, as they came in the
// handshake. Nil means that one of the chains to an authority is good. The
// error is ErrNoCertificate when the client has sent none.
func (a *Authorities) Verify(certificates []*x509.Certificate, now time.Time) error {
	if len(certificates) == 0 {
		return ErrNoCertificate
	}
	o := x509.VerifyOptions{
		Roots: a.Roots, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range certificates[1:] {
		o.Intermediates.AddCert(c)
	}
	chains, err := certificates[0].Verify(o)
	if err != nil {
		return err
	}
	for _, chain := range chains {
		if err = a.judge(chain, now); err == nil {
			return nil
		}
	}
	return err
}

// judge looks at a chain from the client's certificate to a root.
func (a *Authorities) judge(chain []*x509.Certificate, now time.Time) error {
	if len(chain)-2 > a.Depth {
		return errTooDeep
	}
	if len(a.Lists) == 0 {
		return nil
	}
	for i, c := range chain[:len(chain)-1] {
		if err := a.revoked(c, chain[i+1], now); err != nil {
			return err
		}
	}
	return nil
}

// revoked looks for a certificate in its issuer's lists.
func (a *Authorities) revoked(c, issuer *x509.Certificate, now time.Time) error {
	found := false
	for _, list := range a.Lists {
		if !bytes.Equal(list.RawIssuer, issuer.RawSubject) || list.CheckSignatureFrom(issuer) != nil {
			continue
		}
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(c.SerialNumber) == 0 {
				return fmt.Errorf("%w since %s", errRevoked, entry.RevocationTime.UTC().Format(time.DateOnly))
			}
		}
		found = found || list.NextUpdate.IsZero() || now.Before(list.NextUpdate)
	}
	if !found {
		return errNoList
	}
	return nil
}

// IsUnknownAuthority distinguishes a certificate that nothing vouches for from one that
// is bad: expired, revoked, or made for something else.
func IsUnknownAuthority(err error) bool {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	return unknown
}

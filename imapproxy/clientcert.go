package imapproxy

import (
	"crypto/x509"
	"errors"
	"sync/atomic"
	"time"

	"imapproxy/auth"
)

// CertificateMode says what a listener wants of clients' certificates.
type CertificateMode int

// The modes.
const (
	CertificateOff          CertificateMode = iota // none is asked for
	CertificateOn                                  // a good one
	CertificateOptional                            // a good one or none
	CertificateOptionalNoCA                        // one of an unknown authority as well
)

// ClientCertificates holds what a listener makes of clients' certificates. The
// authorities may be replaced while clients connect.
type ClientCertificates struct {
	Mode        CertificateMode
	authorities atomic.Pointer[auth.Authorities]
}

// Use puts authorities in force for clients that connect from now on.
func (c *ClientCertificates) Use(a *auth.Authorities) { c.authorities.Store(a) }

// Verify judges the certificates that a client has shown, its own first.
func (c *ClientCertificates) Verify(shown []*x509.Certificate, now time.Time) error {
	return c.authorities.Load().Verify(shown, now)
}

// The words for what came of a certificate, nginx's.
const (
	certificateGood   = "SUCCESS"
	certificateNone   = "NONE"
	certificateFailed = "FAILED:" // and why
)

// judgeCertificate decides after the handshake, so that a client whose
// certificate is not taken reads why.
func (s *session) judgeCertificate() error {
	c := s.listener.Clients
	if c == nil || c.Mode == CertificateOff {
		return nil
	}
	s.speaking = true // within TLS, so that BYE may be said
	err := c.Verify(s.client.state().PeerCertificates, s.server.clock.Now())
	switch {
	case err == nil:
		s.client.verify = certificateGood
		return nil
	case errors.Is(err, auth.ErrNoCertificate):
		s.client.verify = certificateNone
		if c.Mode != CertificateOn {
			return nil
		}
	default:
		s.client.verify = certificateFailed + err.Error()
		if c.Mode == CertificateOptionalNoCA && auth.IsUnknownAuthority(err) {
			return nil
		}
	}
	return s.fail(endClientCertificate, err)
}

// certified returns the user of the client's certificate. Only a certificate that
// an authority vouches for counts, but for a fingerprint: it is the
// administrator who vouches for that one.
func (s *session) certified() (user string, found bool) {
	users, state := s.settings.External, s.client.state()
	if users == nil || state == nil || len(state.PeerCertificates) == 0 {
		return "", false
	}
	if s.client.verify != certificateGood && users.From != auth.FromFingerprint {
		return "", false
	}
	return users.User(state.PeerCertificates[0])
}

// externalVerifier returns what EXTERNAL calls with the authorization identity.
func (s *session) externalVerifier(got **auth.Request) func(authzID string) error {
	return func(authzID string) error {
		user, found := s.certified()
		if !found {
			return &auth.Denied{Code: "AUTHENTICATIONFAILED", Text: "The client certificate names no user",
				Log: "the client's certificate names no user"}
		}
		*got = s.request(auth.External, authzID, user, "")
		return nil
	}
}

package main

import (
	"crypto/sha256"
	"crypto/tls"
	"time"

	"golang.org/x/crypto/ocsp"

	"imapproxy/cmd/imapproxy/config"
)

// loadTLS makes a listener's side of TLS from its files. What is wrong with
// them is in the report.
func loadTLS(c *config.Listener, r *config.Report) *tls.Config {
	t := &tls.Config{
		MinVersion:             config.TLSVersion(c.TLSMin),
		MaxVersion:             config.TLSVersion(c.TLSMax),
		CipherSuites:           c.CipherSuiteIDs(&config.Report{}), // check has reported
		CurvePreferences:       c.CurveIDs(&config.Report{}),
		SessionTicketsDisabled: !c.SessionTickets,
		NextProtos:             []string{"imap"}, // RFC 7301: a client that offers only others is refused (ALPACA)
	}
	passwords := keyPasswords(c, r)
	for _, cert := range c.AllCertificates() {
		if pair, good := loadCertificate(&cert, passwords, r); good {
			t.Certificates = append(t.Certificates, pair)
		}
	}
	if keys := loadTicketKeys(c, r); len(keys) > 0 {
		t.SetSessionTicketKeys(keys)
	}
	return t
}

// loadTicketKeys reads the ticket keys. nginx's files are 48 or 80 bytes long;
// crypto/tls takes 32, so they are hashed.
func loadTicketKeys(c *config.Listener, r *config.Report) [][32]byte {
	var keys [][32]byte
	for _, name := range c.TicketFiles() {
		text, err := config.ReadLimited(name, 80)
		if err != nil {
			r.Unreadable(c.Place, "tls_ticket_keys", "make it with: openssl rand 80", config.Path(name), err)
			continue
		}
		switch len(text) {
		case 32, 48, 80:
			keys = append(keys, sha256.Sum256([]byte(text)))
			warnReadable(c.Place, "tls_ticket_keys", config.Path(name), "the ticket key", r)
		default:
			r.Errorf(c.Place, "tls_ticket_keys", "make it with: openssl rand 80",
				"%s has %d bytes, not 32, 48 or 80", name, len(text))
		}
	}
	return keys
}

// loadOCSP reads the response that is stapled. One that is out of date is
// worse than none: clients refuse the certificate.
func loadOCSP(c *config.Certificate, pair *tls.Certificate, r *config.Report) {
	if c.OCSPFile == "" {
		return
	}
	text, err := config.ReadLimited(string(c.OCSPFile), maxCertificateBytes)
	if err != nil {
		r.Unreadable(c.Place, "ocsp_file", "name a readable file", c.OCSPFile, err)
		return
	}
	response, err := ocsp.ParseResponse([]byte(text), nil)
	switch {
	case err != nil:
		r.Errorf(c.Place, "ocsp_file", "name a DER file, such as openssl ocsp -respout makes",
			"%s holds no OCSP response that can be used", c.OCSPFile)
	case response.SerialNumber.Cmp(pair.Leaf.SerialNumber) != 0:
		r.Errorf(c.Place, "ocsp_file", "name the response for this certificate",
			"%s is about another certificate", c.OCSPFile)
	case response.Status != ocsp.Good:
		r.Warnf(c.Place, "ocsp_file", "renew the certificate",
			"%s says that %s is revoked or unknown: clients refuse it", c.OCSPFile, c.Certificate)
		pair.OCSPStaple = []byte(text)
	case !response.NextUpdate.IsZero() && time.Now().After(response.NextUpdate):
		r.Warnf(c.Place, "ocsp_file", "fetch a new one",
			"%s is out of date since %s and is not stapled", c.OCSPFile, response.NextUpdate.Format(time.DateOnly))
	default:
		pair.OCSPStaple = []byte(text)
	}
}

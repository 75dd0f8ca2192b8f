package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// demoBackends are IMAP servers in memory, one for each backend that the demo's
// users name.
type demoBackends struct {
	addresses map[string]string // host:port by name
	servers   []*imapserver.Server
}

func startDemoBackends(users []demoUser) (*demoBackends, error) {
	b := &demoBackends{addresses: map[string]string{}}
	stores := map[string]*imapmemserver.Server{}
	for _, u := range users {
		if stores[u.backend] == nil {
			stores[u.backend] = imapmemserver.New()
		}
		mailboxes, err := demoMailboxes(u)
		if err != nil {
			return nil, err
		}
		stores[u.backend].AddUser(mailboxes)
	}
	for name, store := range stores {
		if err := b.start(name, store); err != nil {
			b.close()
			return nil, err
		}
	}
	return b, nil
}

func (b *demoBackends) start(name string, store *imapmemserver.Server) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return store.NewSession(), nil, nil
		},
		Caps:         imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}},
		InsecureAuth: true, // it listens only on loopback
		Logger:       log.New(io.Discard, "", 0),
	})
	b.addresses[name] = ln.Addr().String()
	b.servers = append(b.servers, server)
	go func() { _ = server.Serve(ln) }() // ends with close
	return nil
}

func (b *demoBackends) close() {
	for _, s := range b.servers {
		_ = s.Close() // in memory: nothing is lost
	}
}

// demoMailboxes makes a user's mail.
func demoMailboxes(u demoUser) (*imapmemserver.User, error) {
	m := imapmemserver.NewUser(u.name, u.password)
	for _, box := range []string{"INBOX", "Sent", "Archive"} {
		if err := m.Create(box, nil); err != nil {
			return nil, err
		}
	}
	for n, subject := range []string{"Welcome to imapproxy", "What happens at the end of a session"} {
		text := fmt.Sprintf("From: The demo <demo@demo.example>\r\nTo: %[1]s@demo.example\r\nSubject: %[2]s\r\n"+
			"Message-ID: <%[3]d.%[1]s@demo.example>\r\n\r\nThis mail of %[1]s is on backend %[4]s.\r\n", u.name,
			subject, n+1, u.backend)
		if _, err := m.Append("INBOX", demoMessage{strings.NewReader(text)},
			&imap.AppendOptions{Time: time.Now()}); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// demoMessage is an imap.LiteralReader.
type demoMessage struct{ *strings.Reader }

// selfSigned makes a certificate of a day for a name and addresses, as PEM.
func selfSigned(name string, addrs ...net.IP) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: addrs,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}

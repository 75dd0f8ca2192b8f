package main

import (
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

const keepSessions = `key = "tls/imap.key"
tls_session_tickets = false
tls_session_cache = 2
tls_session_timeout = "1m"
`

// oneSession is a client's cache that offers its one session to every server name.
type oneSession struct{ kept *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.kept, o.kept != nil }

func (o *oneSession) Put(_ string, s *tls.ClientSessionState) { o.kept = s }

// resumer is a client with a session of its own.
func resumer(name string) *tls.Config {
	client := trustAll(name)
	client.ClientSessionCache = &oneSession{}
	return client
}

// TestTLSSessions: what a listener keeps is resumed in its time, by the same server
// name, and by no other listener.
func TestTLSSessions(t *testing.T) {
	for name, test := range map[string]struct {
		between func(t *testing.T, g *generation, server, client *tls.Config) *tls.Config // the second server
		most    uint16                                                                    // the client's newest version
		resumed bool
	}{
		"TLS 1.3":            {resumed: true},
		"tickets of TLS 1.2": {most: tls.VersionTLS12, resumed: true},
		"another server name": {between: func(_ *testing.T, _ *generation, server, client *tls.Config) *tls.Config {
			client.ServerName = "other.example.org"
			return server
		}},
		"in time":  {resumed: true, between: later(time.Minute)},
		"too late": {between: later(time.Minute + time.Second)},
		"two more": {between: func(t *testing.T, _ *generation, server, _ *tls.Config) *tls.Config {
			for range 2 {
				_, err := shake(t, server, resumer("imap.example.org"))
				try(t, "handshake", err)
			}
			return server
		}},
		"another listener": {between: func(t *testing.T, _ *generation, _, _ *tls.Config) *tls.Config {
			return tlsListener(t, siteFolder(t), keepSessions)
		}},
		"a new certificate": {between: func(t *testing.T, g *generation, server, _ *tls.Config) *tls.Config {
			l := g.TLS[0].config
			makeCertificate(t, string(l.Certificate), string(l.Key), farAway)
			if !g.TLS[0].follow(&config.Report{}) {
				t.Error("nothing has changed")
			}
			return server
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := loadGood(t, siteFolder(t), tlsSite+keepSessions)
			server, client := g.Settings.Listeners["imaps"].TLSConfig, resumer("imap.example.org")
			client.MaxVersion = test.most
			begun := time.Now()
			g.TLS[0].sessions.now = func() time.Time { return begun }
			first, err := shake(t, server, client)
			if err != nil || first.DidResume {
				t.Fatalf("the first handshake: resumed %v, error %v", first.DidResume, err)
			}
			if test.between != nil {
				server = test.between(t, g, server, client)
			}
			second, err := shake(t, server, client)
			if err != nil || second.DidResume != test.resumed {
				t.Errorf("the second handshake: resumed %v, error %v", second.DidResume, err)
			}
		})
	}
}

// later lets time pass for the listener's sessions.
func later(d time.Duration) func(*testing.T, *generation, *tls.Config, *tls.Config) *tls.Config {
	return func(_ *testing.T, g *generation, server, _ *tls.Config) *tls.Config {
		at := g.TLS[0].sessions.now().Add(d)
		g.TLS[0].sessions.now = func() time.Time { return at }
		return server
	}
}

// TestTLSSessionsForget: follow forgets the sessions whose time is over, and no others.
func TestTLSSessionsForget(t *testing.T) {
	g := loadGood(t, siteFolder(t), tlsSite+keepSessions)
	kept, begun := g.TLS[0].sessions, time.Now()
	for _, step := range []struct {
		at   time.Duration // since the first
		more bool          // a client connects
		kept int           // after follow
	}{{0, true, 1}, {40 * time.Second, true, 2}, {time.Minute, false, 2}, {61 * time.Second, false, 1},
		{100 * time.Second, false, 1}, {101 * time.Second, false, 0}} {
		kept.now = func() time.Time { return begun.Add(step.at) }
		if step.more {
			_, err := shake(t, g.Settings.Listeners["imaps"].TLSConfig, resumer("imap.example.org"))
			try(t, "handshake", err)
		}
		g.TLS[0].follow(&config.Report{})
		if n := kept.kept.Len(); n != step.kept {
			t.Errorf("after %s %d sessions are kept, want %d", step.at, n, step.kept)
		}
	}
}

// TestTLSSessionsBound: the certificates of a client do not fill the memory; its
// session is not resumed then.
func TestTLSSessionsBound(t *testing.T) {
	folder := siteFolder(t)
	by := issueAuthority(t, filepath.Join(folder, "tls/vouching"), nil)
	issue(t, filepath.Join(folder, "tls/client"),
		&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, by)
	own, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls/client.crt"), filepath.Join(folder, "tls/client.key"))
	try(t, "client certificate", err)
	leaf := own.Certificate[0]
	g := loadGood(t, folder, tlsSite+keepSessions+"client_certificates = \"on\"\nclient_ca = \"tls/vouching.crt\"\n")
	for name, test := range map[string]struct {
		copies  int
		resumed bool
	}{"small": {1, true}, "large": {1 + maxTLSSession/len(leaf), false}} {
		t.Run(name, func(t *testing.T) {
			own.Certificate = nil
			for range test.copies {
				own.Certificate = append(own.Certificate, leaf)
			}
			client := resumer("imap.example.org")
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &own, nil
			}
			for i := range 2 {
				state, err := shake(t, g.Settings.Listeners["imaps"].TLSConfig, client)
				if err != nil || state.DidResume != (i == 1 && test.resumed) {
					t.Errorf("handshake %d: resumed %v, error %v", i+1, state.DidResume, err)
				}
			}
		})
	}
}

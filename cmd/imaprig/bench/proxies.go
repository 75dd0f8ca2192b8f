package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"imapproxy/cmd/imaprig/rig"
)

// The proxies of the benchmark, by the names that its rows use.
const (
	proxyOwn     = rig.OwnProxy
	proxyNginx   = "nginx"
	proxyNginx64 = "nginx-64k"
	proxyHAProxy = "haproxy"
	proxyDirect  = "direct" // no proxy: the fast backend itself
	proxyPool    = "imapproxy-pool"
	proxyCompat  = "imapproxy-compat" // as imapproxy convert makes it of nginx's configuration
	proxyUp      = rig.UpImapproxy
)

// Suffixes of a proxy's name: for the instance whose backend takes slowLogin for each login and, about as long as
// Dovecot, slowStore for each APPEND and SEARCH; and for the one whose certificate is RSA.
const (
	slowSuffix = "-slow"
	slowLogin  = "100ms"
	slowStore  = "1ms"
	rsaSuffix  = "-rsa"
)

// servers are a backend and the auth service that sends every user there.
type servers struct {
	backend    netip.AddrPort
	backendTLS netip.AddrPort
	auth       netip.AddrPort
	delay      string // of a login
	// of the proxies in front of it: a PEM file, the key after the certificate
	certificate string
}

// environment is what the proxies need: the backends, the auth services and the certificates.
type environment struct {
	self       string // our own proxy's program, "" for bin/imapproxy
	dir        string
	fast, slow servers
	rsa        servers // fast, for proxies with an RSA certificate
	closers    []func() error
}

// newEnvironment starts them. close must be called.
func newEnvironment(self string) (s *environment, err error) {
	s = &environment{self: self}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.dir, err = os.MkdirTemp("", "imaprig-bench-"); err != nil {
		return s, err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(s.dir) })
	if s.fast, err = s.startServers("0s", "0s"); err != nil {
		return s, err
	}
	if s.slow, err = s.startServers(slowLogin, slowStore); err != nil {
		return s, err
	}
	if s.fast.certificate, err = s.writeCertificate("ecdsa.pem", rig.SelfSigned); err != nil {
		return s, err
	}
	s.slow.certificate, s.rsa = s.fast.certificate, s.fast
	s.rsa.certificate, err = s.writeCertificate("rsa.pem", rig.SelfSignedRSA)
	return s, err
}

// startServers starts a backend and its auth service in processes of their own.
func (s *environment) startServers(login, store string) (servers, error) {
	backend, err := s.startOwn("backend", 2, "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--login-delay",
		login, "--store-delay", store)
	if err != nil {
		return servers{}, err
	}
	auth, err := s.startOwn("authserver", 1, "--listen", "127.0.0.1:0", "--backend", backend.Addrs[0].String())
	if err != nil {
		return servers{}, err
	}
	return servers{backend: backend.Addrs[0], backendTLS: backend.Addrs[1], auth: auth.Addrs[0], delay: login}, nil
}

func (s *environment) close() error {
	err := rig.CloseAll(s.closers)
	s.closers = nil
	return err
}

// writeCertificate makes a certificate and returns the file's path.
func (s *environment) writeCertificate(name string, make func() (tls.Certificate, error)) (string, error) {
	cert, err := make()
	if err != nil {
		return "", err
	}
	text, err := rig.CertificatePEM(cert)
	if err != nil {
		return "", err
	}
	path := filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// startOwn starts a subcommand that lives as long as the site.
func (s *environment) startOwn(name string, listeners int, args ...string) (*rig.OwnServer, error) {
	own, err := rig.StartOwn(name, listeners, args...)
	if own != nil {
		s.closers = append(s.closers, own.Stop)
	}
	return own, err
}

// start starts one of the proxies. addr is in clear, outside with TLS from the first byte.
func (s *environment) start(ctx context.Context, instance string) (*rig.Proxy, error) {
	name, bed := instance, s.fast
	if base, slow := strings.CutSuffix(instance, slowSuffix); slow {
		name, bed = base, s.slow
	}
	if base, rsa := strings.CutSuffix(instance, rsaSuffix); rsa {
		name, bed = base, s.rsa
	}
	switch name {
	case proxyDirect:
		return &rig.Proxy{Name: name, Version: "no proxy: only the fast backend", Addr: bed.backend,
			Outside: bed.backendTLS, Backend: bed.backend,
			Stop: func() error { return nil }}, nil
	case proxyUp:
		return rig.StartUpImapproxy(ctx, bed.delay)
	}
	for _, p := range s.peers(bed) {
		if p.Name == name {
			started, err := p.Start(ctx, bed.backend, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
			if err == nil {
				started.Backend = bed.backend
			}
			return started, err
		}
	}
	return nil, fmt.Errorf("no proxy %q in the benchmark", name)
}

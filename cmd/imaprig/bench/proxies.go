package bench

import (
	"context"
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
	proxyUp      = rig.UpImapproxy
)

// slowSuffix is added to a proxy's name for the instance whose backend takes slowLogin for each login.
const (
	slowSuffix = "-slow"
	slowLogin  = "100ms"
)

// servers are a backend and the auth service that sends every user there.
type servers struct {
	backend    netip.AddrPort
	backendTLS netip.AddrPort
	auth       netip.AddrPort
	delay      string // of a login
}

// environment is what the proxies need: the backends, the auth services and the certificate of all.
type environment struct {
	self        string // our own proxy's program, "" for bin/imapproxy
	dir         string
	certificate string // PEM file, the key after the certificate
	fast, slow  servers
	closers     []func() error
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
	if err = s.writeCertificate(); err != nil {
		return s, err
	}
	if s.fast, err = s.startServers("0s"); err != nil {
		return s, err
	}
	s.slow, err = s.startServers(slowLogin)
	return s, err
}

// startServers starts a backend and its auth service in processes of their own.
func (s *environment) startServers(delay string) (servers, error) {
	backend, err := s.startOwn("backend", 2, "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0", "--login-delay",
		delay)
	if err != nil {
		return servers{}, err
	}
	auth, err := s.startOwn("authserver", 1, "--listen", "127.0.0.1:0", "--backend", backend.Addrs[0].String())
	if err != nil {
		return servers{}, err
	}
	return servers{backend: backend.Addrs[0], backendTLS: backend.Addrs[1], auth: auth.Addrs[0], delay: delay}, nil
}

func (s *environment) close() error {
	err := rig.CloseAll(s.closers)
	s.closers = nil
	return err
}

func (s *environment) writeCertificate() error {
	cert, err := rig.SelfSigned()
	if err != nil {
		return err
	}
	text, err := rig.CertificatePEM(cert)
	if err != nil {
		return err
	}
	s.certificate = filepath.Join(s.dir, "certificate.pem")
	return os.WriteFile(s.certificate, []byte(text), 0o600)
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
	name, slow := strings.CutSuffix(instance, slowSuffix)
	bed := s.fast
	if slow {
		bed = s.slow
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

// peers returns the proxies with the benchmark's settings: their defaults, except for what their settings name.
func (s *environment) peers(bed servers) []rig.Peer {
	own := rig.ImapproxyPeer()
	if s.self != "" {
		own.Programs = []string{s.self}
	}
	pooled := own
	own.Settings = "limits.sessions 100000; else the defaults"
	own.Prepare = func(setup *rig.PeerSetup) ([]string, error) { return s.prepareOwn(setup, bed, "") }
	pooled.Name, pooled.Settings = proxyPool, "as imapproxy, and a pool with its defaults"
	pooled.Prepare = func(setup *rig.PeerSetup) ([]string, error) {
		return s.prepareOwn(setup, bed, "\n[target.pool]\nmode = \"on\"\n")
	}
	small, large, tcp := rig.NginxPeer(), rig.NginxPeer(), rig.HAProxyPeer()
	small.Settings = "worker_processes 2, worker_connections and worker_rlimit_nofile at the descriptor limit, " +
		"ssl_protocols TLSv1.2 TLSv1.3; else the defaults"
	small.Prepare = func(setup *rig.PeerSetup) ([]string, error) { return s.prepareNginx(setup, bed, "") }
	large.Name, large.Settings = proxyNginx64, "as nginx, and proxy_buffer 64k"
	large.Prepare = func(setup *rig.PeerSetup) ([]string, error) {
		return s.prepareNginx(setup, bed, "\tproxy_buffer 64k;\n")
	}
	tcp.Settings = "TCP mode without authentication, maxconn for the descriptor limit, timeouts of 24 hours; else " +
		"the defaults"
	tcp.Prepare = func(setup *rig.PeerSetup) ([]string, error) { return s.prepareHAProxy(setup, bed) }
	return []rig.Peer{own, pooled, small, large, tcp}
}

func (s *environment) prepareOwn(setup *rig.PeerSetup, bed servers, pool string) ([]string, error) {
	config := fmt.Sprintf(`hostname = "bench.example"

[log]
level = "warn"
format = "json"

[auth]
type = "http"

[auth.http]
url = "http://%s/auth"

[route]
type = "auth"
allow = [%q]
template = "fast"

[limits]
sessions = 100000

[[target]]
name = "fast"
addresses = [%q]
tls = "off"
%s
[[listener]]
name = "plain"
address = %q
tls = "off"

[[listener]]
name = "tls"
address = %q
tls = "implicit"
certificate = %q
`, bed.auth, bed.backend, bed.backend, pool, setup.Listen[0], setup.Listen[1], s.certificate)
	return []string{"serve", "--config", setup.Path("imapproxy.toml")}, setup.WriteFile("imapproxy.toml", config)
}

func (s *environment) prepareNginx(setup *rig.PeerSetup, bed servers, more string) ([]string, error) {
	if _, err := os.Stat(rig.NginxModule); err != nil {
		return nil, fmt.Errorf("no mail module: apt-get install libnginx-mod-mail: %w", err)
	}
	conf := fmt.Sprintf(`%sload_module %s;
daemon off;
pid %s;
error_log %s warn;
worker_processes 2;
worker_rlimit_nofile %d;
events { worker_connections %d; }
mail {
	server_name bench.example;
	auth_http http://%s/auth;
%s	server {
		listen %s;
		protocol imap;
	}
	server {
		listen %s ssl;
		protocol imap;
		ssl_certificate %s;
		ssl_certificate_key %s;
		ssl_protocols TLSv1.2 TLSv1.3;
	}
}
`, rig.NginxUser(), rig.NginxModule, setup.Path("pid"), setup.Path("log"), rig.OpenFileLimit(), rig.OpenFileLimit(),
		bed.auth, more, setup.Listen[0], setup.Listen[1], s.certificate, s.certificate)
	return []string{"-p", setup.Dir, "-e", setup.Path("log"), "-c", setup.Path("nginx.conf")},
		setup.WriteFile("nginx.conf", conf)
}

func (s *environment) prepareHAProxy(setup *rig.PeerSetup, bed servers) ([]string, error) {
	conf := fmt.Sprintf(`global
	maxconn %d
defaults
	mode tcp
	timeout connect 5s
	timeout client 24h
	timeout server 24h
frontend imap
	bind %s
	bind %s ssl crt %s
	default_backend fast
backend fast
	server fast %s
`, (rig.OpenFileLimit()-haproxySpare)/2, setup.Listen[0], setup.Listen[1], s.certificate, bed.backend)
	return []string{"-db", "-f", setup.Path("haproxy.cfg")}, setup.WriteFile("haproxy.cfg", conf)
}

const haproxySpare = 400 // descriptors that it does not use for sessions

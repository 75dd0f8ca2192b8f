//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The proxies of the benchmark, by the names that its rows use.
const (
	benchOwn     = ownProxy
	benchNginx   = "nginx"
	benchNginx64 = "nginx-64k"
	benchHAProxy = "haproxy"
	benchDirect  = "direct" // no proxy: the fast backend itself
)

// benchSite is what stands around the proxies: the backend, the auth service and the certificate of all.
type benchSite struct {
	self        string // our own proxy's program, "" for bin/imapproxy
	dir         string
	certificate string // PEM file, with the key behind
	backend     netip.AddrPort
	backendTLS  netip.AddrPort
	auth        netip.AddrPort
	closers     []func() error
}

const siteStopLimit = 5 * time.Second

// newBenchSite starts them, in processes of their own. close must be called.
func newBenchSite(self string) (s *benchSite, err error) {
	s = &benchSite{self: self}
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
	backend, err := s.startOwn("backend", 2, "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.backend, s.backendTLS = backend.addrs[0], backend.addrs[1]
	auth, err := s.startOwn("authserver", 1, "--listen", "127.0.0.1:0", "--backend", s.backend.String())
	if err != nil {
		return s, err
	}
	s.auth = auth.addrs[0]
	return s, nil
}

func (s *benchSite) close() error {
	setup := peerSetup{closers: s.closers}
	s.closers = nil
	return setup.close()
}

func (s *benchSite) writeCertificate() error {
	cert, err := selfSigned()
	if err != nil {
		return err
	}
	text, err := certificatePEM(cert)
	if err != nil {
		return err
	}
	s.certificate = filepath.Join(s.dir, "certificate.pem")
	return os.WriteFile(s.certificate, []byte(text), 0o600)
}

// ownServer is a subcommand of ours in a process of its own.
type ownServer struct {
	child *child
	addrs []netip.AddrPort
}

// startOwn starts a subcommand and reads where it listens.
func (s *benchSite) startOwn(name string, listeners int, args ...string) (*ownServer, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, append([]string{name}, args...)...)
	cmd.Stdout = in
	c, err := startChild("imaprig "+name, cmd)
	if err := errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return c.Stop(siteStopLimit) })
	if err := out.SetReadDeadline(time.Now().Add(peerStartLimit)); err != nil {
		return nil, err
	}
	own := &ownServer{child: c}
	own.addrs, err = readListening(out, listeners)
	if err != nil {
		return nil, fmt.Errorf("start imaprig %s: %w: %s", name, err, c.stderr.String())
	}
	return own, nil
}

// readListening reads the lines that our servers print when they listen.
func readListening(r io.Reader, n int) (addrs []netip.AddrPort, err error) {
	lines := bufio.NewScanner(r)
	for len(addrs) < n && lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "listening" {
			return nil, fmt.Errorf("it printed %.*q", maxForeign, lines.Text())
		}
		a, err := netip.ParseAddrPort(strings.TrimPrefix(words[2], "http://"))
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	if len(addrs) < n {
		return nil, errors.Join(errors.New("it does not say where it listens"), lines.Err())
	}
	return addrs, nil
}

// start starts one of the proxies. addr is in clear, outside with TLS from the first byte.
func (s *benchSite) start(ctx context.Context, name string) (*proxy, error) {
	if name == benchDirect {
		return &proxy{name: name, version: "no proxy: the fast backend alone", addr: s.backend, outside: s.backendTLS, stop: func() error { return nil }}, nil
	}
	for _, p := range s.peers() {
		if p.name == name {
			return p.start(ctx, s.backend.Port(), netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		}
	}
	return nil, fmt.Errorf("no proxy %q in the benchmark", name)
}

// peers are the proxies with the benchmark's settings: their defaults, but for what settings says.
func (s *benchSite) peers() []peer {
	own := imapproxyPeer()
	if s.self != "" {
		own.programs = []string{s.self}
	}
	own.settings, own.prepare = "limits.sessions 100000; else the defaults", s.prepareOwn
	small, large, tcp := nginxPeer(), nginxPeer(), haproxyPeer()
	small.settings = "worker_processes 2, worker_connections and worker_rlimit_nofile at the descriptor limit, ssl_protocols TLSv1.2 TLSv1.3; else the defaults"
	small.prepare = func(setup *peerSetup) ([]string, error) { return s.prepareNginx(setup, "") }
	large.name, large.settings = benchNginx64, "as nginx, and proxy_buffer 64k"
	large.prepare = func(setup *peerSetup) ([]string, error) { return s.prepareNginx(setup, "\tproxy_buffer 64k;\n") }
	tcp.settings, tcp.prepare = "TCP mode without authentication, maxconn for the descriptor limit, timeouts of 24 hours; else the defaults", s.prepareHAProxy
	return []peer{own, small, large, tcp}
}

func (s *benchSite) prepareOwn(setup *peerSetup) ([]string, error) {
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

[[listener]]
name = "plain"
address = %q
tls = "off"

[[listener]]
name = "tls"
address = %q
tls = "implicit"
certificate = %q
`, s.auth, s.backend, s.backend, setup.listen[0], setup.listen[1], s.certificate)
	return []string{"serve", "--config", setup.path("imapproxy.toml")}, setup.write("imapproxy.toml", config)
}

func (s *benchSite) prepareNginx(setup *peerSetup, more string) ([]string, error) {
	if _, err := os.Stat(nginxModule); err != nil {
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
`, nginxUser(), nginxModule, setup.path("pid"), setup.path("log"), openFileLimit(), openFileLimit(), s.auth, more,
		setup.listen[0], setup.listen[1], s.certificate, s.certificate)
	return []string{"-p", setup.dir, "-e", setup.path("log"), "-c", setup.path("nginx.conf")}, setup.write("nginx.conf", conf)
}

func (s *benchSite) prepareHAProxy(setup *peerSetup) ([]string, error) {
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
`, (openFileLimit()-haproxySpare)/2, setup.listen[0], setup.listen[1], s.certificate, s.backend)
	return []string{"-db", "-f", setup.path("haproxy.cfg")}, setup.write("haproxy.cfg", conf)
}

const haproxySpare = 400 // descriptors that it does not use for sessions

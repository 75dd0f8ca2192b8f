package bench

import (
	"fmt"
	"os"
	"os/exec"

	"imapproxy/cmd/imaprig/rig"
)

// peers returns the proxies with the benchmark's settings: their defaults, except for what their settings name.
func (s *environment) peers(bed servers) []rig.Peer {
	return append(s.ownPeers(bed), s.otherPeers(bed)...)
}

func (s *environment) ownPeers(bed servers) []rig.Peer {
	own := rig.ImapproxyPeer()
	if s.self != "" {
		own.Programs = []string{s.self}
	}
	pooled, compat := own, own
	own.Settings = "limits.sessions 100000; else the defaults"
	own.Prepare = func(setup *rig.PeerSetup) ([]string, error) { return s.prepareOwn(setup, bed, "") }
	pooled.Name, pooled.Settings = proxyPool, "as imapproxy, and a pool with its defaults"
	pooled.Prepare = func(setup *rig.PeerSetup) ([]string, error) {
		return s.prepareOwn(setup, bed, "\n[target.pool]\nmode = \"on\"\n")
	}
	compat.Name, compat.Settings = proxyCompat, "nginx's configuration, converted by imapproxy convert nginx --backend"
	compat.Prepare = func(setup *rig.PeerSetup) ([]string, error) { return s.prepareCompat(setup, bed, compat) }
	return []rig.Peer{own, pooled, compat}
}

func (s *environment) otherPeers(bed servers) []rig.Peer {
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
	return []rig.Peer{small, large, tcp}
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
`, bed.auth, bed.backend, bed.backend, pool, setup.Listen[0], setup.Listen[1], bed.certificate)
	return []string{"serve", "--config", setup.Path("imapproxy.toml")}, setup.WriteFile("imapproxy.toml", config)
}

// prepareCompat converts the configuration that nginx has.
func (s *environment) prepareCompat(setup *rig.PeerSetup, bed servers, own rig.Peer) ([]string, error) {
	program, err := own.Program()
	if err != nil {
		return nil, err
	}
	if err := s.writeNginx(setup, bed, ""); err != nil {
		return nil, err
	}
	config := setup.Path("imapproxy.toml")
	if out, err := exec.Command(program, "convert", "nginx", "--backend", bed.backend.String(), "-o", config,
		setup.Path("nginx.conf")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("imapproxy convert nginx: %w: %.*q", err, rig.MaxForeign, out)
	}
	return []string{"serve", "--config", config}, nil
}

func (s *environment) prepareNginx(setup *rig.PeerSetup, bed servers, more string) ([]string, error) {
	if _, err := os.Stat(rig.NginxModule); err != nil {
		return nil, fmt.Errorf("no mail module: apt-get install libnginx-mod-mail: %w", err)
	}
	return []string{"-p", setup.Dir, "-e", setup.Path("log"), "-c", setup.Path("nginx.conf")},
		s.writeNginx(setup, bed, more)
}

// writeNginx writes nginx's configuration, with more lines in its mail section.
func (s *environment) writeNginx(setup *rig.PeerSetup, bed servers, more string) error {
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
		bed.auth, more, setup.Listen[0], setup.Listen[1], bed.certificate, bed.certificate)
	return setup.WriteFile("nginx.conf", conf)
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
`, (rig.OpenFileLimit()-haproxySpare)/2, setup.Listen[0], setup.Listen[1], bed.certificate, bed.backend)
	return []string{"-db", "-f", setup.Path("haproxy.cfg")}, setup.WriteFile("haproxy.cfg", conf)
}

const haproxySpare = 400 // descriptors that it does not use for sessions

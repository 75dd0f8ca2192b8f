package rig

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// NginxModule is where Debian puts the mail module.
const NginxModule = "/usr/lib/nginx/modules/ngx_mail_module.so"

// NginxPeer returns nginx with its mail module and an auth_http service that grants every login.
func NginxPeer() Peer {
	return Peer{
		Name: "nginx", Programs: []string{"nginx"}, version: []string{"-v"}, literals: true,
		Settings: "one worker, worker_connections at the descriptor limit",
		tuning: "so_keepalive=15s:5s:2 for clients (25 s in all), proxy_timeout 35m as imapproxy has it; its mail " +
			"module has no keep-alive on the server's side, and no limit on unanswered bytes",
		Packages: "apt-get install nginx libnginx-mod-mail", Prepare: prepareNginx,
	}
}

func prepareNginx(s *PeerSetup) ([]string, error) {
	if _, err := os.Stat(NginxModule); err != nil {
		return nil, fmt.Errorf("no mail module: apt-get install libnginx-mod-mail: %w", err)
	}
	auth, err := s.serveAuthHTTP()
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`%sload_module %s;
daemon off;
pid %s;
error_log %s warn;
worker_processes 1;
worker_rlimit_nofile %d;
events { worker_connections %d; }
mail {
	server_name rig.example;
	auth_http http://%s/auth;
	server {
		protocol imap;
%s%s	}
}
`, NginxUser(), NginxModule, s.Path("pid"), s.Path("log"), OpenFileLimit(), OpenFileLimit(), auth,
		s.perAddress("\t\tlisten %s"+s.ifTuned(" so_keepalive=15s:5s:2")+";\n"), s.ifTuned("\t\tproxy_timeout 35m;\n"))
	return []string{"-p", s.Dir, "-e", s.Path("log"), "-c", s.Path("nginx.conf")}, s.WriteFile("nginx.conf", conf)
}

// NginxUser returns the line that is needed as root, "" otherwise: else its worker could not write into the folder.
func NginxUser() string {
	if os.Geteuid() == 0 {
		return "user root;\n"
	}
	return ""
}

// serveAuthHTTP starts the service that nginx asks: every user may log in, and is sent to the backend.
func (s *PeerSetup) serveAuthHTTP() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("auth_http: %w", err)
	}
	server := &http.Server{Handler: authHTTP(s.backend), ReadHeaderTimeout: 10 * time.Second}
	over := make(chan error, 1)
	go func() { over <- server.Serve(ln) }()
	s.closers = append(s.closers, func() error {
		err := server.Close()
		if served := <-over; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
	return ln.Addr().String(), nil
}

// authHTTP answers as nginx's ngx_mail_auth_http_module wants it.
func authHTTP(backend netip.AddrPort) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", backend.Addr().String())
		w.Header().Set("Auth-Port", portText(backend.Port()))
	}
}

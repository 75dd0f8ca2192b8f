package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// nginxModule is where Debian puts the mail module.
const nginxModule = "/usr/lib/nginx/modules/ngx_mail_module.so"

func nginxPeer() peer {
	return peer{
		name: "nginx", programs: []string{"nginx"}, version: []string{"-v"},
		packages: "apt-get install nginx libnginx-mod-mail", prepare: prepareNginx,
	}
}

func prepareNginx(s *peerSetup) ([]string, error) {
	if _, err := os.Stat(nginxModule); err != nil {
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
%s	}
}
`, nginxUser(), nginxModule, s.path("pid"), s.path("log"), openFileLimit(), openFileLimit(), auth, s.each("\t\tlisten %s;\n"))
	return []string{"-p", s.dir, "-e", s.path("log"), "-c", s.path("nginx.conf")}, s.write("nginx.conf", conf)
}

// nginxUser is the line for who runs as root: else its worker could not write into the folder.
func nginxUser() string {
	if os.Geteuid() == 0 {
		return "user root;\n"
	}
	return ""
}

// serveAuthHTTP is the service that nginx asks: everybody may log in, and belongs to the backend.
func (s *peerSetup) serveAuthHTTP() (string, error) {
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
func authHTTP(backend uint16) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Auth-Status", "OK")
		w.Header().Set("Auth-Server", "127.0.0.1")
		w.Header().Set("Auth-Port", portText(backend))
	}
}

package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// oddValues are values of nginx's directives, all but the ones after "!" good
// enough for nginx or close to it. A "!" says that the converter refuses it.
var oddValues = map[string][]string{
	"imap_capabilities": {"IMAP4rev1 AUTH=PLAIN", "AUTH=PLAIN", "STARTTLS LOGINDISABLED", `!"LITERAL +"`, `!""`,
		`!"IMAP4rev1 IDLE"`, "!a(b", "!a]", "!*", "!%", "!ä"},
	"imap_auth": {"plain PLAIN", "plain; imap_auth login plain", "cram-md5", "external", "xoauth2 oauthbearer",
		"plain gssapi", "!gssapi", "!apop"},
	"server_name": {"_", "*.example.org", ".example.org", "-x", "a_b", `"a b"`, `""`, "$hostname", "ä.example.org",
		strings.Repeat("a", 300)},
	"timeout":           {"0", "1ms", "1", "4s", "11m", "1h30m", `"1m 30s"`, "10y", "!x", "!-1"},
	"proxy_timeout":     {"0", "1ms", "10y", "!x"},
	"auth_http_timeout": {"0", "1ms", "1h", "10y", "!x"},
	"max_errors":        {"1", "100", "101", "99999", "!0", "!-1"},
	"auth_http_header": {"Client-Port $remote_port", "client-ip x", "HOST x", "Connection close", "Content-Length 5",
		"Te x", "Auth-SSL on", "auth-ssl-cert x", "Auth-SSL-Verify x", "Auth-Port 143", "User-Agent x",
		`X-A "a\tb"`, `X-A "ä"`, `X-A ""`, "x_y z", `!X-A "a\nb"`, `!"" x`, `!"a b" x`,
		"!X-A 1; auth_http_header x-a 2"},
	"error_log": {"/dev/stderr info", "stderr", `""`, "logs/error.log", "off", "/var/log/nginx/error.log", "/dev/null",
		"/dev/stdout", "memory:1m", "syslog:server=127.0.0.1,facility=local7,nohostname", "syslog:server=[::1]:1234",
		"!syslog:server=", "!syslog:server=unix:", "!syslog:server=127.0.0.1,facility=audit",
		"!syslog:server=127.0.0.1,severity=loud", "!stderr loud"},
	"ssl_protocols": {"TLSv1.3", "TLSv1", "TLSv1 TLSv1.3", "SSLv2 TLSv1.2", "TLSv1.2; ssl_protocols TLSv1.3",
		"!SSLv3"},
	"ssl_ecdh_curve": {"auto", "X25519:X25519", "prime256v1:P-256", "X25519:nope", "!ffdhe2048"},
	"ssl_session_cache": {"off", "none", "builtin", "builtin:100", "shared:a:1m", "builtin shared:a:1m",
		"!big"},
	"ssl_verify_client": {"off", "on; ssl_client_certificate imap.crt", "optional_no_ca; ssl_verify_depth 300",
		"optional; ssl_client_certificate imap.crt; ssl_verify_depth 0", "!on", "!maybe"},
	"imap_client_buffer": {"0", "10k", "1m", "!1g"},
	"proxy_buffer":       {"0", "10k", "!x"},
	"set_real_ip_from": {"10.1.2.3/24", "fe80::1/10", "0.0.0.0/0", "unix:", "!localhost", "!fe80::1%eth0",
		"!::ffff:192.0.2.1", "!::ffff:192.0.2.0/120", "!10.0.0.0/33"},
	"proxy_protocol": {"on", "V2", "off", "!v3"},
	"auth_http": {"127.0.0.1", "http://127.0.0.1/", "unix:/run/a.sock", "unix:/run/a.sock:/x?y", "[::1]:9/x",
		"127.0.0.1/?a=b#c", "127.0.0.1?a=b", "127.0.0.1//x", `"127.0.0.1/a b"`, "auth.example.org/x", "127.0.0.1/ä",
		"!127.0.0.1/%zz", `!"127.0.0.1/a\tb"`, "!unix:/run/a.sock:x", "!unix:/run/a.sock:/%zz", "!127.0.0.1:0/x",
		"!127.0.0.1:http/x", "!127.0.0.1:/x", "!HTTP://127.0.0.1/", "!user@127.0.0.1/", `!""`},
	"proxy_ssl":         {"on", "off", "!x"},
	"mail_login_ip_max": {"!5"}, // only in mail{}
}

// oddListens are values of listen; see oddValues.
var oddListens = []string{"143", "[::]:143", "localhost:143", "127.0.0.1:143-145", "143; listen 127.0.0.1:143",
	"143; listen [::]:143 ipv6only=off", "[::]:143 ipv6only=off; listen 127.0.0.1:143", "143-145; listen [::]:143-145",
	"143 backlog=99999999", "143 so_keepalive=100d:1s:1", "143 so_keepalive=10ms:1:1", "143 ssl proxy_protocol",
	"unix:/run/imap.sock", "unix:/run/imap.sock ssl backlog=7", "unix:rel.sock", "[::ffff:127.0.0.1]:143",
	"!143-9999", "!143-142", "!127.0.0.1", "!0", "!unix:", "!unix:/run/" + strings.Repeat("a", 120), "!a_b:143",
	"!-x:143", "!143 backlog=0", "!127.0.0.1:143; listen localhost:143", "!143-145; listen 144",
	"!143-145; listen 127.0.0.1:144", "!1.2.3.4:143; listen 1.2.3.4:143-145",
	"!127.0.0.1:143; listen [::]:143 ipv6only=off", "!unix:/run/imap.sock; listen unix:/run/imap.sock"}

// TestConvertedPassesCheck says that the converter takes no value that check
// refuses afterwards, and that it names the place of what it refuses.
func TestConvertedPassesCheck(t *testing.T) {
	notQuick(t)
	folder := t.TempDir()
	makeCertificate(t, filepath.Join(folder, "imap.crt"), filepath.Join(folder, "imap.key"), time.Now().Add(time.Hour))
	place := regexp.MustCompile(`(?m)^nginx\.conf(:\d+: refused: |: refused: [a-z_]+ \(nginx\.conf:\d+)`)
	convertAndCheck := func(value, conf string) {
		value, refused := strings.CutPrefix(value, "!")
		mustWrite(t, filepath.Join(folder, "nginx.conf"), strings.ReplaceAll(conf, "VALUE", value))
		code, _, report := runIn(t, folder, "", "convert", "nginx", "nginx.conf", "--backend", "192.0.2.0/24:143",
			"-o", "out.toml", "--force")
		switch {
		case code == exitOK && refused, code != exitOK && !refused:
			t.Errorf("%s: exit code %d of convert\n%s", value, code, report)
		case refused:
			if !place.MatchString(report) {
				t.Errorf("%s: no place\n%s", value, report)
			}
		default:
			if code, _, problems := runIn(t, folder, "", "check", "--config", "out.toml"); code != exitOK {
				t.Errorf("%s: exit code %d of check\n%s", value, code, problems)
			}
		}
	}
	const conf = `mail {
    ssl_certificate imap.crt;
    ssl_certificate_key imap.key;
    AUTH
    server {
        LISTEN
        protocol imap;
        starttls on;
        DIRECTIVE
    }
}
`
	const anyAuth, anyListen = "auth_http 127.0.0.1:9000/auth;", "listen 143;"
	for directive, values := range oddValues {
		auth := anyAuth
		if directive == "auth_http" {
			auth = ""
		}
		for _, value := range values {
			convertAndCheck(value, strings.NewReplacer("AUTH", auth, "LISTEN", anyListen, "DIRECTIVE",
				directive+" VALUE;").Replace(conf))
		}
	}
	for _, value := range oddListens {
		convertAndCheck(value, strings.NewReplacer("AUTH", anyAuth, "LISTEN", "listen VALUE;", "DIRECTIVE", "").
			Replace(conf))
	}
}

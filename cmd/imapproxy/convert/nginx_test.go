package convert

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNginxCases converts each archive's nginx.conf, which must be good, and
// its bad.conf, which must be refused.
func TestNginxCases(t *testing.T) {
	for _, c := range openCases(t, "testdata/nginx/*.txtar") {
		t.Run(c.short(), func(t *testing.T) {
			if c.has("nginx.conf") {
				r := convertNginx(t, c, "nginx.conf")
				if r.Failed() {
					t.Errorf("refused:\n%s", report(t, r))
				}
				c.golden(t, "imapproxy.toml", r.Config)
				c.golden(t, "report", report(t, r))
			}
			if c.has("bad.conf") {
				r := convertNginx(t, c, "bad.conf")
				if !r.Failed() {
					t.Error("bad.conf is taken")
				}
				c.golden(t, "bad.report", report(t, r))
			}
		})
	}
}

func convertNginx(t *testing.T, c *caseFile, name string) *Result {
	t.Helper()
	o := NginxOptions{}
	if backends := strings.TrimSpace(string(c.archive.Comment)); backends != "" {
		o.Backends = strings.Fields(backends)
	}
	r, err := nginxAt(filepath.Join(c.folder, name), "/etc/nginx", o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// documented are all directives of nginx's mail proxy and those of the main
// level that matter to it, from nginx's documentation and source.
var documented = strings.Fields(`
	mail server listen protocol server_name timeout max_errors max_commands error_log resolver resolver_timeout
	imap_client_buffer imap_capabilities imap_auth auth_http auth_http_timeout auth_http_header
	auth_http_pass_client_cert proxy proxy_buffer proxy_timeout proxy_pass_error_message
	proxy_protocol xclient proxy_smtp_auth smtp_auth
	smtp_capabilities smtp_client_buffer smtp_greeting_delay pop3_auth
	pop3_capabilities set_real_ip_from starttls ssl ssl_certificate
	ssl_certificate_key ssl_password_file ssl_protocols ssl_ciphers ssl_prefer_server_ciphers ssl_dhparam ssl_ecdh_curve
	ssl_conf_command ssl_certificate_compression ssl_session_cache ssl_session_tickets ssl_session_ticket_key
	ssl_session_timeout ssl_verify_client ssl_verify_depth ssl_client_certificate ssl_trusted_certificate ssl_crl
	worker_shutdown_timeout worker_connections worker_rlimit_nofile worker_processes user pid load_module`)

// TestNginxDirectivesCovered says that each directive has an archive in which
// it is taken, and one of its lines is refused.
func TestNginxDirectivesCovered(t *testing.T) {
	cases := map[string]*caseFile{}
	for _, c := range openCases(t, "testdata/nginx/*.txtar") {
		cases[c.short()] = c
	}
	for name := range nginxDirectives {
		if !slices.Contains(documented, name) {
			t.Errorf("%s is converted and not in the list", name)
		}
	}
	for _, name := range documented {
		c := cases[name]
		if c == nil {
			t.Errorf("testdata/nginx/%s.txtar is missing", name)
			continue
		}
		if !strings.Contains(c.text("nginx.conf"), name) {
			t.Errorf("%s: not in its nginx.conf", name)
		}
		refused := func(line string) bool {
			_, source, found := strings.Cut(line, ": refused: ")
			return found && (strings.HasPrefix(source, name+" ") || strings.HasPrefix(source, name+":"))
		}
		if !slices.ContainsFunc(strings.Split(c.text("bad.report"), "\n"), refused) {
			t.Errorf("%s: no line of its bad.conf is refused", name)
		}
	}
}

// TestSecretsStayOut says that a header's value is only in the result.
func TestSecretsStayOut(t *testing.T) {
	for _, c := range openCases(t, "testdata/nginx/auth_http_header.txtar") {
		r := convertNginx(t, c, "nginx.conf")
		if !strings.Contains(r.Config, `se\"cret`) || strings.Contains(report(t, r), "cret\"") ||
			strings.Contains(report(t, r), "se\"") {
			t.Errorf("%s\n%s", r.Config, report(t, r))
		}
	}
}

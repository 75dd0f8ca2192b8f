package convert

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const ignoringConf = `frob_main on; frob_password kanarie;
frob_block { inner 1; }
http { server { listen 80; } }
mail {
    auth_http 127.0.0.1:9000/auth;
    frob on;
    frob_servers {
        server { listen 993; }
    }
    timeout 90s;
    server {
        listen 143;
        frob off;
        ssl_conf_command Options PrioritizeChaCha;
        timeout 30s;
    }
    server {
        listen 110;
        frob off;
    }
}
`

// TestNginxIgnore says what becomes of directives that are to be ignored.
func TestNginxIgnore(t *testing.T) {
	const unknown = "frob_main frob_password frob_block frob ssl_conf_command "
	for _, c := range []struct {
		name   string
		ignore string
		want   []string // lines of the report, as regular expressions
		config string   // a line of the result; "" when there is a refusal
	}{
		{"nothing", "", []string{
			`nginx.conf:1: refused: frob_main on: unknown .*; --ignore frob_main leaves it out`,
			`nginx.conf:1: refused: frob_password \(not shown\): unknown .*`,
			`nginx.conf:2: refused: frob_block: unknown .*; --ignore frob_block leaves it out`,
			`nginx.conf:6: refused: frob on: unknown .*; --ignore frob leaves it out`,
			`nginx.conf:14: refused: ssl_conf_command .*; --ignore ssl_conf_command leaves it out`,
		}, ""},
		{"a block with a server", unknown + "frob_servers", []string{
			`nginx.conf:1: ignored: frob_main on: left out by --ignore, as if it were not there`,
			`nginx.conf:2: ignored: frob_block: left out .*`,
			`nginx.conf:6: ignored: frob on: left out .*`,
			`nginx.conf:7: refused: frob_servers: it can't be left out: it holds server\{\} at nginx.conf:8; .*`,
			`nginx.conf:13: ignored: frob off: left out .*`,
			`nginx.conf:14: ignored: ssl_conf_command Options PrioritizeChaCha: left out .*`,
			`nginx.conf:19: ignored: frob off: left out .*`,
			`.*; 7 ignored; 2 to stay where they are`,
		}, ""},
		{"a block without one", unknown + "frob_other",
			[]string{`nginx.conf:7: ignored: frob_other: left out .*`}, `address = "0.0.0.0:143"`},
		{"one that is not there", unknown + "frob_other frop",
			[]string{`nginx.conf: not needed: --ignore frop: there is no such directive in it`},
			`address = "0.0.0.0:143"`},
		{"one that is converted", unknown + "frob_other timeout", []string{
			`nginx.conf:10: ignored: timeout 90s: left out .*`, `nginx.conf:15: ignored: timeout 30s: left out .*`,
		}, `greeting_timeout = "1m"`},
		{"http", unknown + "frob_other http",
			[]string{`nginx.conf:3: ignored: http: left out .*`}, `address = "0.0.0.0:143"`},
		{"auth_http", unknown + "frob_other auth_http", []string{
			`nginx.conf:5: ignored: auth_http .*`,
			`nginx.conf:11: refused: server: no "auth_http" is defined for the server`,
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := ignoringConf
			if strings.Contains(c.ignore, "frob_other") {
				text = strings.NewReplacer("frob_servers", "frob_other", "server { listen 993; }", "").Replace(text)
			}
			conf := filepath.Join(t.TempDir(), "nginx.conf")
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Nginx(conf, NginxOptions{Backends: []string{"10.1.0.0/24:143"}, Ignore: strings.Fields(c.ignore)})
			if err != nil {
				t.Fatal(err)
			}
			got := report(t, r)
			for _, line := range c.want {
				if !regexp.MustCompile("(?m)^" + line + "$").MatchString(got) {
					t.Errorf("no line %s in\n%s", line, got)
				}
			}
			if r.Failed() != (c.config == "") || !strings.Contains(r.Config, c.config) {
				t.Errorf("failed is %v, want %s in\n%s\n%s", r.Failed(), c.config, got, r.Config)
			}
		})
	}
}

// TestNginxNeverIgnored says which directives are more than a setting.
func TestNginxNeverIgnored(t *testing.T) {
	for name, want := range map[string]string{
		"mail": "it holds the servers", "server": "it is a server", "listen": "has no clients",
		"include": "may hold servers", "protocol": "another protocol", "starttls": "without TLS",
		"ssl": "without TLS", "ssl_verify_client": "without a certificate", "": "is no directive",
		"ssl_dhparam x": "is no directive", "frob;": "is no directive",
	} {
		if err := CheckIgnored([]string{"frob", name}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	if err := CheckIgnored([]string{"frob", "timeout", "zm_auth_http"}); err != nil {
		t.Error(err)
	}
}

// TestZimbraDirectives says that the archive of Zimbra's templates has each.
func TestZimbraDirectives(t *testing.T) {
	for _, c := range openCases(t, "testdata/nginx/zimbra.txtar") {
		for name := range zimbraDirectives {
			if !regexp.MustCompile(`(?m)^nginx.conf:\d+: (not needed|differs|converted): ` + name + `\b`).
				MatchString(c.text("report")) {
				t.Errorf("%s is not in it", name)
			}
		}
	}
}

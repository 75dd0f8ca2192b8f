package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// routeSite is a configuration whose auth server names the backends.
func routeSite(route, rest string) string {
	return `auth = { type = "http", http = { url = "http://127.0.0.1:9000/" } }
listener = [{ name = "imap", address = "127.0.0.1:1143", tls = "off" }]
[route]
type = "auth"
` + route + "\n" + rest
}

const siteTarget = `
[[target]]
name = "one"
addresses = ["127.0.0.1:26043"]
tls = "off"
`

// TestCheckRouteBackend says what check finds in [route.backend] and in allow.
func TestCheckRouteBackend(t *testing.T) {
	const private = `allow = ["10.0.0.0/8:*"]`
	const open = "backend = { tls = \"off\", plain_login = true }\n"
	tests := []struct{ name, route, rest, want string }{ // want "" is no finding at all
		{"no target at all", private + "\nbackend = { }", "", ""},
		{"neither", "", "", "x.toml:1: error: target: missing; write a section [[target]]\n"},
		{"with targets", private + "\n[route.backend]", siteTarget, ""},
		{"every host and port", `allow = ["imap.example.org:*", "[fd00::/8]:*"]` + "\n[route.backend]", "", ""},
		{"loopback needs no TLS", `allow = ["127.0.0.0/8:*", "[::1]:*", "localhost:143"]` + "\n" +
			`backend = { tls = "off" }`, "", ""},
		{"others do", private + "\n" + `backend = { tls = "off" }`, "",
			`error: route.backend.tls: "off", and a backend of route.allow is not on this machine`},
		{"in clear", private + "\n" + open, "",
			"warning: route.backend.plain_login: passwords go to a backend of route.allow without TLS"},
		{"both", private + "\ntemplate = \"one\"\nbackend = {}", siteTarget,
			"x.toml:6: error: route.template: not used with [route.backend], which has the settings already; " +
				"remove it, or the section [route.backend]\n"},
		{"no allow", "backend = {}", "", "error: route.allow: missing, and there is [route.backend]; write"},
		{"no settings", private, siteTarget, "error: route.template: missing, and allow names addresses; name the " +
			"target whose settings they take, or write them into a section [route.backend]"},
		{"a name", private + "\n" + `backend = { name = "x" }`, "",
			"error: route.backend.name: unknown key; it belongs in [[listener]] or [[target]]"},
		{"addresses", private + "\n" + `backend = { addresses = ["10.0.0.1:143"] }`, "",
			"error: route.backend.addresses: unknown key; it belongs in [[target]]"},
		{"a bad value", private + "\n" + `backend = { tls = "on" }`, "",
			`error: route.backend.tls: "on" is not known; write one of "off", "starttls", "implicit"`},
		{"a pool for all", private + "\n[route.backend.pool]\nmode = \"on\"", "",
			"warning: route.backend.pool.mode: connections to a backend of route.allow are pooled for every client"},
		{"a pool's listener", private + "\n[route.backend.pool]\nmode = \"on\"\nlisteners = [\"nowhere\"]", "",
			`error: route.backend.pool.listeners: there is no listener "nowhere"`},
		{"unverified", private + "\nbackend = { verify = false }", "",
			"warning: route.backend.verify: the certificate of a backend of route.allow is not verified"},
		{"a master without a password", private + "\n" + `backend = { master_user = "proxy" }`, "",
			"error: route.backend.master_user: has no password"},
		{"slow keep-alive", private + "\nbackend = { keepalive_count = 100 }", "",
			"warning: route.backend.keepalive_count: a peer that has vanished is noticed only after"},
		{"a wide list", `allow = ["0.0.0.0/0:*", "10.0.0.0/8:*", "[::/0]:143", "128.0.0.0/7:1", "[2000::/3]:143",` +
			` "[fc00::/7]:143"]` + "\nbackend = { }", "",
			`x.toml:5: warning: route.allow: "0.0.0.0/0:*", "[::/0]:143", "128.0.0.0/7:1", "[2000::/3]:143": ` +
				"routes may lead users and their passwords to nearly any server; write the addresses or networks of " +
				"your " +
				"backends\n"},
		{"a bad entry", `allow = ["10.0.0.0/8:all"]` + "\nbackend = { }", "",
			`error: route.allow: allow-list entry "10.0.0.0/8:all": port "all" is not a number`},
		{"one address of two targets", "", siteTarget + strings.Replace(siteTarget, "one", "two", 1),
			"x.toml:14: warning: target.addresses: 127.0.0.1:26043 is an address of the target \"one\" too, so " +
				"that an answer that names it means neither; let the answers name the target, or leave the address " +
				"to one\n"},
		{"our listener as a target", "", strings.Replace(siteTarget, "26043", "1143", 1),
			`error: target.addresses: target "one": 127.0.0.1:1143 is this proxy's own listener`},
	}
	folder := siteFolder(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			said := findingsOf(t, folder, routeSite(tt.route, tt.rest))
			if (tt.want == "") != (said == "") || !strings.Contains(said, tt.want) || strings.Count(said, "\n") > 1 {
				t.Errorf("said %q, want %q", said, tt.want)
			}
		})
	}
	said := findingsOf(t, folder, strings.Replace(routeSite(private+"\nbackend = {}\ntarget = \"one\"", siteTarget),
		`"auth"`, `"fixed"`, 1))
	if !strings.Contains(said, `error: route.backend: not used with type = "fixed"`) {
		t.Errorf("type fixed: %q", said)
	}
}

// TestRouteBackend says that backends without a section [[target]] have the
// settings of [route.backend], the name of their address, and the port of its TLS.
func TestRouteBackend(t *testing.T) {
	s := loadGood(t, siteFolder(t), `tcp = { keepalive_idle = "30s" }
`+routeSite(`allow = ["10.0.0.0/8:*", "127.0.0.0/8:*"]
[route.backend]
proxy_header = "v2"
login_timeout = "7s"
keepalive_count = 3
[route.backend.pool]
mode = "on"
networks = ["10.1.2.0/24"]
max_idle = 9
`, siteTarget)).Settings
	for _, c := range []struct{ server, name string }{{"10.1.2.3:26043", "10.1.2.3:26043"},
		{"10.1.2.3", "10.1.2.3:993"}} {
		got := targetNamed(t, s, c.server)
		if got.Name != c.name || got.Addresses[0] != c.name || got.TLS != backend.TLSImplicit ||
			got.Header != backend.ProxyV2 || got.Limits.Login != 7*time.Second ||
			got.TCP.GoneAfter() != time.Minute || got.Pool == nil || got.Pool.MaxIdle != 9 {
			t.Errorf("%s: %+v", c.server, got)
		}
	}
	if one := targetNamed(t, s, "127.0.0.1:26043"); one.Name != "one" || one.TLS != backend.TLSOff {
		t.Errorf("a target's own address: %+v", one)
	}
	if r, err := s.Router.Route(context.Background(), backend.Query{User: "a", Server: "127.0.0.1:1143"}); err == nil {
		t.Errorf("our own listener is a backend: %+v", r.Target)
	}
}

// TestAddressOfTargetEverywhere says that a target's own address means the
// target in an answer, in a map and in a referral, whatever type the route has,
// and without an allow-list.
func TestAddressOfTargetEverywhere(t *testing.T) {
	folder := siteFolder(t)
	mustWrite(t, folder+"/map", "alice 127.0.0.1:26043\n/^(.*)@example.net$/ 127.0.0.1:26043\n* two\n")
	const two = "\n[[target]]\nname = \"two\"\naddresses = [\"imap2.example.org\", \"imap3.example.org:1993\"]\n"
	for _, route := range []string{"", "type = \"map\"\nfile = \"map\"", "type = \"fixed\"\ntarget = \"two\""} {
		text := routeSite("", siteTarget+two)
		if route != "" {
			text = strings.Replace(text, `type = "auth"`, route, 1)
		}
		s := loadGood(t, folder, text).Settings
		for server, want := range map[string]string{"127.0.0.1:26043": "one", "[::ffff:127.0.0.1]:26043": "one",
			"IMAP2.example.org": "two", "imap3.example.org:1993": "two"} {
			got, err := s.Referred(server)
			if err != nil || got.Name != want {
				t.Errorf("%s: referral to %s: %+v, %v", route, server, got, err)
			}
		}
		for _, user := range []string{"alice", "bob@example.net"} {
			q := backend.Query{User: user, Server: "127.0.0.1:26043"}
			want := "one"
			if strings.Contains(route, "fixed") {
				want = "two"
			}
			if got, err := s.Router.Route(context.Background(), q); err != nil || got.Target.Name != want {
				t.Errorf("%s: %s: %+v, %v", route, user, got.Target, err)
			}
		}
	}
}

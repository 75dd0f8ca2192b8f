package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/auth"
	"imapproxy/auth/httpauth"
	"imapproxy/backend"
	"imapproxy/backend/wire"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/imapproxy"
)

// loadGood makes a generation of a configuration that must be good.
func loadGood(t *testing.T, folder, text string) *generation {
	t.Helper()
	name := filepath.Join(folder, "x.toml")
	mustWrite(t, name, text)
	g, r := loadGeneration(name)
	if r.Failed() {
		t.Fatal(r.Sorted())
	}
	t.Cleanup(g.close)
	return g
}

func TestWiring(t *testing.T) {
	g := loadGood(t, siteFolder(t), mustRead(t, "testdata/config/good_full.toml"))
	s := g.Settings
	one, two := targetNamed(t, s, "one"), targetNamed(t, s, "two")
	imap, imaps := s.Listeners["imap"], s.Listeners["imaps"]
	tests := []struct {
		what      string
		got, want any
	}{
		{"hostname", s.Hostname, "imap.example.org"},
		{"limits", s.Limits, imapproxy.Limits{Login: 90 * time.Second, Idle: time.Hour, HalfClose: 10 * time.Second,
			HalfCloseIdle: 3 * time.Second, Drain: 5 * time.Minute, Retire: 24 * time.Hour,
			Farewell: time.Second, BadCommands: 5, FailedLogins: 10, Sessions: 500, ProxyTTL: 2,
			Kick: time.Second, Heartbeat: 2 * time.Minute, LeakReport: time.Minute, LeakReclaim: 10 * time.Minute}},
		{"TCP", []wire.TCPOptions{s.TCP, one.TCP, two.TCP}, slices.Repeat([]wire.TCPOptions{
			{KeepAliveIdle: 30 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 3,
				UserTimeout: 45 * time.Second}}, 3)},
		{"admin", []string{g.Admin.Network, g.Admin.Address, string(g.Admin.Token)},
			[]string{"tcp", "127.0.0.1:9143", adminToken}},
		{"auth name", s.AuthName.Apply("A@B"), "a@b"},
		{"rewrite lookup", rewriteOf(g.Config.Rewrite.Lookup).Apply("a+at+b"), "a"},
		{"modes", []imapproxy.ListenerTLS{imap.TLS, imaps.TLS},
			[]imapproxy.ListenerTLS{imapproxy.StartTLS, imapproxy.ImplicitTLS}},
		{"listener min", []uint16{imap.TLSConfig.MinVersion, imaps.TLSConfig.MinVersion},
			[]uint16{tls.VersionTLS13, tls.VersionTLS12}},
		{"ALPN", imap.TLSConfig.NextProtos, []string{"imap"}},
		{"insecure", []bool{imap.Insecure, imaps.Insecure}, []bool{false, false}},
		{"target modes", []backend.TLSMode{one.TLS, two.TLS}, []backend.TLSMode{backend.TLSOff, backend.TLSStartTLS}},
		{"headers", []backend.ProxyHeader{one.Header, two.Header},
			[]backend.ProxyHeader{backend.ProxyV2, backend.ProxyNone}},
		{"forward", []bool{one.ForwardID, two.ForwardID}, []bool{false, true}},
		{"master", one.Master.AuthID + " " + one.Master.Secret, "proxy open sesame"},
		{"no master", two.Master.AuthID + two.Master.Secret, ""},
		{"server name", two.TLSConfig.ServerName, "mail.example.org"},
		{"target min", two.TLSConfig.MinVersion, uint16(tls.VersionTLS13)},
		{"verified", two.TLSConfig.InsecureSkipVerify, false},
		{"own authorities", two.TLSConfig.RootCAs == nil, false},
		{"target limits", two.Limits,
			backend.Limits{Connect: 2 * time.Second, TLS: 3 * time.Second, Greeting: 4 * time.Second,
				Login: 5 * time.Second, Logout: 6 * time.Second}},
	}
	for _, tt := range tests {
		if fmt.Sprintf("%+v", tt.got) != fmt.Sprintf("%+v", tt.want) {
			t.Errorf("%s: got %+v, want %+v", tt.what, tt.got, tt.want)
		}
	}
	if _, ok := s.Auth.(*httpauth.Client); !ok {
		t.Errorf("auth is %T", s.Auth)
	}
}

func targetNamed(t *testing.T, s *imapproxy.Settings, name string) *backend.Target {
	t.Helper()
	route, err := s.Router.Route(context.Background(), backend.Query{User: "alice", Server: name})
	if err != nil {
		t.Fatal(err)
	}
	return route.Target
}

// TestWiringOfWeakSettings: what the file weakens is weak, and nothing else is.
func TestWiringOfWeakSettings(t *testing.T) {
	folder := siteFolder(t)
	g := loadGood(t, folder, mustRead(t, "testdata/config/warn_weak.toml"))
	if l := g.Settings.Listeners; !l["open"].Insecure || l["closed"].Insecure || l["old"].Insecure ||
		l["open"].TLS != imapproxy.NoTLS {
		t.Errorf("%+v", l)
	}
	plain, unverified := targetNamed(t, g.Settings, "plain"), targetNamed(t, g.Settings, "unverified")
	if !plain.PlainLogin || unverified.PlainLogin || !unverified.TLSConfig.InsecureSkipVerify {
		t.Errorf("%+v %+v", plain, unverified)
	}
	if _, err := g.Settings.Router.Route(context.Background(), backend.Query{User: "alice"}); err == nil {
		t.Error("an answer without a backend was routed")
	}
}

func TestAuthTypes(t *testing.T) {
	folder := siteFolder(t)
	rest := "\nroute = { type = \"fixed\", target = \"one\" }\n" + routeStart
	if g := loadGood(t, folder,
		`auth = { type = "passthrough" }`+strings.ReplaceAll(rest, "\nmaster_",
			"\n#master_")); g.Settings.Auth != (auth.Passthrough{}) {
		t.Errorf("%T", g.Settings.Auth)
	}
	g := loadGood(t, folder, `auth = { type = "file", file = "users" }`+rest)
	for secret, good := range map[auth.Secret]bool{"secret": true, "wrong": false} {
		_, err := g.Settings.Auth.Authenticate(context.Background(),
			&auth.Request{Mechanism: "PLAIN", User: "alice", Secret: secret})
		if (err == nil) != good {
			t.Errorf("%v", err)
		}
	}
}

// TestReadingAgain: a new generation has the files as they are now, the old one
// keeps what it read.
func TestReadingAgain(t *testing.T) {
	folder := siteFolder(t)
	text := "auth = { type = \"file\", file = \"users\" }\nroute = { type = \"map\", file = \"map\" }\n" + routeStart
	before := loadGood(t, folder, text)
	makeCertificate(t, filepath.Join(folder, "tls/imap.crt"), filepath.Join(folder, "tls/imap.key"), farAway)
	mustWrite(t, filepath.Join(folder, "map"), "* two\n")
	mustWrite(t, filepath.Join(folder, "users"), "carol:"+sampleHash+"\n")
	mustWrite(t, filepath.Join(folder, "master.password"), "changed\n")
	after := loadGood(t, folder, text)
	leaf := func(g *generation) []byte {
		return g.Settings.Listeners["imap"].TLSConfig.Certificates[0].Certificate[0]
	}
	if bytes.Equal(leaf(before), leaf(after)) {
		t.Error("the certificate is still the old one")
	}
	state := func(g *generation, user string) string {
		route, err := g.Settings.Router.Route(context.Background(), backend.Query{User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = g.Settings.Auth.Authenticate(context.Background(),
			&auth.Request{Mechanism: "PLAIN", User: user, Secret: "secret"})
		return fmt.Sprint(route.Target.Name, " ", route.Target.Master.Secret, " ", err == nil)
	}
	for _, tt := range []struct{ got, want string }{
		{state(before, "alice"), "one  true"}, {state(after, "carol"), "two changed true"},
		{state(before, "carol"), "one  false"}, {state(after, "alice"), "two changed false"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// TestReadableSecrets: each secret that everybody can read gives a warning with
// the line that names it, and none when it is kept.
func TestReadableSecrets(t *testing.T) {
	folder := siteFolder(t)
	name := filepath.Join(folder, "x.toml")
	mustWrite(t, name, "auth = { type = \"file\", file = \"users\" }\nroute = { type = \"map\", file = \"map\" }\n"+
		routeStart)
	count := func() int {
		_, r := loadGeneration(name)
		return len(r.Of(config.Warning))
	}
	if n := count(); n != 0 {
		t.Fatalf("%d warnings at first", n)
	}
	for i, file := range []string{"tls/imap.key", "users", "master.password"} {
		if err := os.Chmod(filepath.Join(folder, file), 0o644); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != i+1 {
			t.Errorf("%d warnings after %s", n, file)
		}
	}
}

func TestSelfAddresses(t *testing.T) {
	var listeners []config.Listener
	for _, address := range []string{":143", "0.0.0.0:1143", "localhost:2143", "[::1]:3143", "imap.example.org:4143",
		"127.0.0.1:0", "bad"} {
		listeners = append(listeners, config.Listener{Address: address})
	}
	var want []netip.AddrPort
	for _, address := range []string{"[::]:143", "0.0.0.0:1143", "127.0.0.1:2143", "[::1]:3143"} {
		want = append(want, netip.MustParseAddrPort(address))
	}
	want = append([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9143")}, want...)
	c := &config.File{Listeners: listeners, Admin: config.Admin{Address: "127.0.0.1:9143"}}
	if got := selfAddresses(c); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestNoSecretInFindings puts a secret wherever one may stand, breaks each
// place, and looks for it in all that is printed.
func TestNoSecretInFindings(t *testing.T) {
	const canary = "canary-7f3a"
	folder := siteFolder(t)
	mustWrite(t, filepath.Join(folder, "users"), "alice:"+canary+"\nbob "+canary+"\n")
	mustWrite(t, filepath.Join(folder, "master.password"), "")
	for _, text := range []string{
		"auth = { type = \"file\", file = \"users\" }\nroute = { type = \"fixed\", target = \"two\" }\n" + routeStart,
		"auth = { type = \"http\", http = { url = \"http://u:" + canary + "@x/\" } }\nroute = { type = \"auth\" }\n" +
			routeStart,
		"auth = { type = \"http\", http = { url = \"https://x/\", headers = { X = \"" + canary +
			"\\u0001\" } } }\nroute = { type = \"auth\" }\n" + routeStart,
		"auth = { type = \"http\", http = { url = \"https://x/\", headers = [\"" + canary +
			"\"] } }\nroute = { type = \"auth\" }\n" + routeStart,
	} {
		mustWrite(t, filepath.Join(folder, "x.toml"), text)
		code, stdout, stderr := runIn(t, folder, "", "check", "--config", "x.toml")
		if code != exitFailed || strings.Contains(stdout+stderr, canary) {
			t.Errorf("code %d: %s%s", code, stdout, stderr)
		}
	}
}

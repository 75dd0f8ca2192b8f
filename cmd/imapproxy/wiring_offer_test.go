package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/auth"
	"imapproxy/cmd/imapproxy/config"
)

const offersConfig = `
[auth]
type = "http"
http = { url = "http://127.0.0.1:%d/common", headers = { X-Key = "common" } }

[tcp]
keepalive_idle = "50s"
keepalive_count = 5

[route]
type = "auth"
target = "one"

[[listener]]
name = "common"
address = "127.0.0.1:1143"
tls = "off"

[[listener]]
name = "own"
address = "127.0.0.1:1144"
tls = "off"
nginx_compat = true
pass_backend_errors = true
capabilities = ["IMAP4rev1"]
mechanisms = ["XOAUTH2"]
login_timeout = "7s"
bad_commands = 9
keepalive_count = 3

[listener.auth]
url = "http://127.0.0.1:%d/own"

[[target]]
name = "one"
addresses = ["imap1.example.org:993"]
`

// TestOffers says that a listener's own settings are its own, and that its auth
// server is asked without the headers for the common one.
func TestOffers(t *testing.T) {
	common := &authScript{answers: []string{"Auth-Status: OK | $backend"}, backend: 143}
	own := &authScript{answers: common.answers, backend: 144}
	file := filepath.Join(t.TempDir(), "x.toml")
	mustWrite(t, file, fmt.Sprintf(offersConfig, acting(t, common.serve), acting(t, own.serve)))
	g, r := loadGeneration(file)
	if r.Failed() {
		t.Fatal(r.Of(config.Error))
	}
	t.Cleanup(g.close)
	a, b := g.Settings.Listeners["common"], g.Settings.Listeners["own"]
	if a.Auth != nil || a.Compat != nil || a.Capabilities != nil || a.Mechanisms != nil || a.Login != 0 ||
		a.BadCommands != 0 || a.TCP != g.Settings.TCP {
		t.Errorf("common: %+v", a)
	}
	if b.Compat == nil || b.Compat.ClientIdle != 24*time.Hour || !b.Compat.PassBackendErrors ||
		b.Login != 7*time.Second || b.BadCommands != 9 ||
		!slices.Equal(b.Capabilities, []string{"IMAP4rev1"}) || !slices.Equal(b.Mechanisms, []string{"XOAUTH2"}) {
		t.Errorf("own: %+v", b)
	}
	if b.TCP.KeepAliveCount != 3 || b.TCP.KeepAliveIdle != 50*time.Second || a.TCP.KeepAliveCount != 5 {
		t.Errorf("keep-alive: %+v, %+v", a.TCP, b.TCP)
	}
	for _, c := range []struct {
		who    auth.Authenticator
		script *authScript
		server string
	}{{g.Settings.Auth, common, "127.0.0.1:143"}, {b.Auth, own, "127.0.0.1:144"}} {
		grant, err := c.who.Authenticate(context.Background(), &auth.Request{
			Mechanism: "LOGIN", User: "joe", Secret: "secret", Client: netip.MustParseAddrPort("127.0.0.1:1")})
		if err != nil || grant.Server != c.server || len(c.script.questions()) != 1 {
			t.Errorf("%s: %+v, %v", c.server, grant, err)
		}
	}
	own1, common1 := own.questions()[0], common.questions()[0]
	if strings.Contains(own1, "X-Key: common\r\n") || !strings.Contains(common1, "X-Key: common\r\n") {
		t.Errorf("asked\n%s\n%s", common1, own1)
	}
}

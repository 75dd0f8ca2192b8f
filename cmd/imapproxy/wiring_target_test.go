package main

import (
	"errors"
	"path/filepath"
	"testing"

	"imapproxy/backend"
	"imapproxy/backend/login"
	"imapproxy/cmd/imapproxy/config"
)

const targetsConfig = `[auth]
type = "http"
http = { url = "http://127.0.0.1:1/auth" }

[route]
type = "auth"
template = "three"
allow = ["192.0.2.0/24:993"]

[[listener]]
name = "plain"
address = "127.0.0.1:1143"
tls = "off"

[[target]]
name = "one"
addresses = ["imap1.example.org:993"]
mechanism = "login"
backend_texts = "all"
referral = "follow"

[[target]]
name = "two"
addresses = ["imap2.example.org:993"]
mechanism = "plain"
backend_texts = "none"

[[target]]
name = "three"
addresses = ["imap3.example.org:993"]

[[target]]
name = "four"
addresses = ["imap4.example.org:993"]
mechanism = "literals"
`

// TestTargetOptions says that a target's options reach the backend, and which servers
// a referral may name.
func TestTargetOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.toml")
	mustWrite(t, file, targetsConfig)
	g, r := loadGeneration(file)
	if r.Failed() {
		t.Fatal(r.Of(config.Error))
	}
	t.Cleanup(g.close)
	for server, want := range map[string]struct {
		mechanism login.Mechanism
		texts     login.Texts
		follow    bool
	}{
		"one":  {login.MechanismLogin, login.TextsAll, true},
		"two":  {login.MechanismPlain, login.TextsNone, false},
		"four": {login.MechanismLiterals, login.TextsCodes, false},
	} {
		got, err := g.Settings.Referred(server)
		if err != nil || got.Mechanism != want.mechanism || got.Texts != want.texts || got.Follow != want.follow {
			t.Errorf("%s: got %+v, %v", server, got, err)
		}
	}
	if got, err := g.Settings.Referred("192.0.2.9:993"); err != nil || got.Mechanism != login.MechanismAuto ||
		got.Texts != login.TextsCodes || got.Follow {
		t.Errorf("a server within route.allow: got %+v, %v", got, err)
	}
	for _, server := range []string{"198.51.100.1:993", "evil.example.net", "?"} {
		if got, err := g.Settings.Referred(server); !errors.Is(err, backend.ErrNotPermitted) {
			t.Errorf("%s: got %+v, %v", server, got, err)
		}
	}
}

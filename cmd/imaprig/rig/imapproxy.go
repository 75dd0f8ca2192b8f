package rig

import (
	"fmt"
	"os"
	"path/filepath"
)

// OwnProxy is the name of our own proxy.
const OwnProxy = "imapproxy"

// ImapproxyPeer returns our own proxy.
func ImapproxyPeer() Peer {
	programs := []string{filepath.Join("bin", OwnProxy), OwnProxy}
	if exe, err := os.Executable(); err == nil {
		programs = append([]string{filepath.Join(filepath.Dir(exe), OwnProxy)}, programs...)
	}
	return Peer{
		Name: OwnProxy, Programs: programs, version: []string{"version"},
		Packages: "build it with make, or name it with --self FILE",
		Settings: "limits.sessions 100000",
		tuning:   "keepalive_idle 15s, keepalive_interval 5s, keepalive_count 3, user_timeout 20s, on both sides",
		Prepare:  prepareImapproxy,
	}
}

const imapproxyTuned = `
[tcp]
keepalive_idle = "15s"
keepalive_interval = "5s"
keepalive_count = 3
user_timeout = "20s"
`

func prepareImapproxy(s *PeerSetup) ([]string, error) {
	config := `hostname = "rig.example"

[log]
level = "warn"
format = "json"

[auth]
type = "passthrough"

[route]
type = "fixed"
target = "java"

[limits]
sessions = 100000

[[target]]
name = "java"
tls = "off"
plain_login = true
`
	config += fmt.Sprintf("addresses = [%q]\n", s.backend.String())
	config += s.ifTuned(imapproxyTuned)
	for i, a := range s.Listen {
		config += fmt.Sprintf("\n[[listener]]\nname = \"rig%d\"\naddress = %q\ntls = \"off\"\ninsecure = true\n", i, a)
	}
	return []string{"serve", "--config", s.Path("imapproxy.toml")}, s.WriteFile("imapproxy.toml", config)
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const ownProxy = "imapproxy"

// imapproxyPeer is our own proxy. Its limits for peers that are gone are set to what the targets ask for.
func imapproxyPeer() peer {
	programs := []string{filepath.Join("bin", ownProxy), ownProxy}
	if exe, err := os.Executable(); err == nil {
		programs = append([]string{filepath.Join(filepath.Dir(exe), ownProxy)}, programs...)
	}
	return peer{
		name: ownProxy, programs: programs, version: []string{"version"},
		packages: "build it with make, or name it with --self FILE",
		settings: "keepalive_idle 15s, keepalive_interval 5s, keepalive_count 3, user_timeout 20s",
		prepare:  prepareImapproxy,
	}
}

func prepareImapproxy(s *peerSetup) ([]string, error) {
	config := `hostname = "rig.example"

[log]
level = "warn"
format = "json"

[auth]
type = "passthrough"

[route]
type = "fixed"
target = "java"

[tcp]
keepalive_idle = "15s"
keepalive_interval = "5s"
keepalive_count = 3
user_timeout = "20s"

[limits]
sessions = 100000

[[target]]
name = "java"
tls = "off"
`
	config += fmt.Sprintf("addresses = [%q]\n", loopbackAddr(s.backend))
	for i, a := range s.listen {
		config += fmt.Sprintf("\n[[listener]]\nname = \"rig%d\"\naddress = %q\ntls = \"off\"\ninsecure = true\n", i, a)
	}
	return []string{"serve", "--config", s.path("imapproxy.toml")}, s.write("imapproxy.toml", config)
}

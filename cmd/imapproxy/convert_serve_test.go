package main

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestConvertedServes converts the smallest nginx.conf, and logs a user in
// through the result on a backend of this machine, at a port that nothing in
// the configuration says.
func TestConvertedServes(t *testing.T) {
	for name, test := range map[string]struct {
		at     string // the backend's address
		listed bool   // --backend
	}{
		"no backend listed":       {"127.0.0.1:0", false},
		"no backend listed, IPv6": {"[::1]:0", false},
		"listed":                  {"127.0.0.1:0", true},
	} {
		t.Run(name, func(t *testing.T) {
			b, folder := &backendScript{}, t.TempDir()
			port := actingAt(t, test.at, b.serve)
			host, _, _ := net.SplitHostPort(test.at)
			a := &authScript{backend: port, answers: []string{"Auth-Status: OK | Auth-Server: " + host + " | $port"}}
			mustWrite(t, filepath.Join(folder, "nginx.conf"), fmt.Sprintf(
				"events {}\nmail { auth_http 127.0.0.1:%d/auth; server { listen 143; } }\n", acting(t, a.serve)))
			if !test.listed {
				port = 0
			}
			logsIn(t, startConverted(t, folder, port))
			if logins, _ := b.seen(); !slices.Equal(logins, []string{"joe secret"}) {
				t.Errorf("the backend's logins: %q", logins)
			}
		})
	}
}

// TestAnsweredAddressOfTarget logs a user in where the auth server's answer names
// a target by its address, with the target's settings and without an allow-list.
func TestAnsweredAddressOfTarget(t *testing.T) {
	b, folder := &backendScript{proxy: true}, t.TempDir()
	port := acting(t, b.serve)
	a := &authScript{backend: port, answers: []string{"Auth-Status: OK | $backend"}}
	file := filepath.Join(folder, "x.toml")
	mustWrite(t, file, fmt.Sprintf(`hostname = "imap.example.org"
auth = { type = "http", http = { url = "http://127.0.0.1:%d/" } }
route = { type = "auth" }
listener = [{ name = "imap", address = "127.0.0.1:1143", tls = "off" }]
target = [
  { name = "down", addresses = ["127.0.0.1:1"], tls = "off" },
  { name = "pair", addresses = ["127.0.0.1:1", "127.0.0.1:%d"], tls = "off", proxy_header = "v1" },
]
`, acting(t, a.serve), port))
	side := startFile(t, file, 0)
	logsIn(t, side)
	logins, said := b.seen()
	if !slices.Equal(logins, []string{"joe secret"}) || len(said) == 0 || !strings.HasPrefix(said[0], "PROXY TCP4 ") {
		t.Errorf("the backend's logins: %q; it was told %q", logins, said)
	}
}

// logsIn logs joe in.
func logsIn(t *testing.T, side *compatSide) {
	t.Helper()
	conn, err := net.Dial("tcp", side.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	_, _ = in.ReadString('\n') // the greeting
	_, _ = fmt.Fprintf(conn, "a LOGIN joe secret\r\n")
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "a OK") {
		t.Errorf("got %q, %v\n%s", line, err, side.log())
	}
}

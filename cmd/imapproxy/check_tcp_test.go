package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tcpSite is a configuration with a listener and a target that may have
// settings of their own, and one of each that has none.
func tcpSite(tcp, listener, target string) string {
	return `auth = { type = "http", http = { url = "http://127.0.0.1:9000/" } }
route = { type = "auth", allow = ["10.0.0.0/24:993"], template = "own" }
tcp = { ` + tcp + ` }
listener = [
  { name = "own", address = "127.0.0.1:1143", tls = "off"` + more(listener) + ` },
  { name = "common", address = "127.0.0.1:1144", tls = "off" },
]
target = [
  { name = "own", addresses = ["imap1.example.org:993"]` + more(target) + ` },
  { name = "common", addresses = ["imap2.example.org:993"] },
]
`
}

// more continues an inline table, which may not end with a comma.
func more(keys string) string {
	if keys == "" {
		return ""
	}
	return ", " + keys
}

// TestGoneAfter says when a peer of each listener and of each target counts as
// gone: after what is written nearest to it, else after its probes.
func TestGoneAfter(t *testing.T) {
	const short = `keepalive_idle = "10s", keepalive_interval = "5s", keepalive_count = 3`
	tests := []struct {
		name, tcp, listener, target string
		own, common, named, rest    time.Duration // the two listeners', the two targets'
		warning                     string
	}{
		{name: "nothing", own: 120, common: 120, named: 120, rest: 120},
		{name: "[tcp]", tcp: short, own: 25, common: 25, named: 25, rest: 25},
		{name: "the listener", listener: short, own: 25, common: 120, named: 120, rest: 120},
		{name: "the target", target: short, own: 120, common: 120, named: 25, rest: 120},
		{name: "a part", tcp: `keepalive_idle = "30s"`, listener: `keepalive_count = 2`,
			target: `keepalive_interval = "1s"`,
			own:    50, common: 90, named: 36, rest: 90},
		{name: "written in [tcp]", tcp: short + `, user_timeout = "45s"`, own: 45, common: 45, named: 45, rest: 45},
		{name: "written in each", tcp: `user_timeout = "45s"`, listener: short + `, user_timeout = "7s"`,
			target: short + `, user_timeout = "8s"`,
			own:    7, common: 45, named: 8, rest: 45},
		{name: "written without a keep-alive", listener: `user_timeout = "7s"`, target: `user_timeout = "8s"`,
			own: 7, common: 120, named: 8, rest: 120},
		{name: "[tcp] before the listener's", tcp: `user_timeout = "45s"`, listener: short, own: 45, common: 45,
			named: 45, rest: 45,
			warning: "warning: listener.keepalive_idle: tcp.user_timeout, which is 45s, holds here, not the 25s " +
				"that the keep-alive takes; write user_timeout here too"},
		{name: "[tcp] before the target's", tcp: `user_timeout = "45s"`, target: `keepalive_count = 3`, own: 45,
			common: 45, named: 45, rest: 45,
			warning: "warning: target.keepalive_count: tcp.user_timeout, which is 45s, holds here, not the 1m30s"},
		{name: "[tcp] as the listener's", tcp: `user_timeout = "25s"`, listener: short, own: 25, common: 25, named: 25,
			rest: 25},
		{name: "least", listener: `keepalive_idle = "1s", keepalive_interval = "1s", keepalive_count = 1`, own: 2,
			common: 120, named: 120, rest: 120},
		{name: "most", target: `keepalive_idle = "2h", keepalive_interval = "10m", keepalive_count = 127`, own: 120,
			common: 120, named: 83400, rest: 120,
			warning: "warning: target.keepalive_idle: a peer that has vanished is noticed only after 23h10m0s"},
		{name: "long for a listener", listener: `keepalive_count = 25`, own: 310, common: 120, named: 120, rest: 120,
			warning: "warning: listener.keepalive_count: a peer that has vanished is noticed only after 5m10s"},
		{name: "long and written", listener: `user_timeout = "301s"`, own: 301, common: 120, named: 120, rest: 120,
			warning: "warning: listener.user_timeout: a peer that has vanished is noticed only after 5m1s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder, text := t.TempDir(), tcpSite(tt.tcp, tt.listener, tt.target)
			s := loadGood(t, folder, text).Settings
			for _, c := range []struct {
				who  string
				got  time.Duration
				want time.Duration
			}{
				{"own listener", s.Listeners["own"].TCP.GoneAfter(), tt.own},
				{"common listener", s.Listeners["common"].TCP.GoneAfter(), tt.common},
				{"own target", targetNamed(t, s, "own").TCP.GoneAfter(), tt.named},
				{"template", targetNamed(t, s, "10.0.0.1:993").TCP.GoneAfter(), tt.named},
				{"common target", targetNamed(t, s, "common").TCP.GoneAfter(), tt.rest},
			} {
				if c.got != c.want*time.Second {
					t.Errorf("%s: %v, want %v", c.who, c.got, c.want*time.Second)
				}
			}
			said := findingsOf(t, folder, text)
			if (tt.warning == "") != (said == "") || !strings.Contains(said, tt.warning) ||
				strings.Count(said, "\n") > 1 {
				t.Errorf("said %q, want %q", said, tt.warning)
			}
		})
	}
}

// TestConvertedKeepAlive wants so_keepalive of nginx's listen to hold after the
// conversion.
func TestConvertedKeepAlive(t *testing.T) {
	folder := t.TempDir()
	mustWrite(t, filepath.Join(folder, "nginx.conf"),
		strings.Replace(plainNginx, "listen 143;", "listen 143 so_keepalive=10s:5s:3;", 1))
	code, _, stderr := runIn(t, folder, "", "convert", "nginx", "nginx.conf", "--backend", "10.0.0.0/8:143", "-o",
		"converted.toml")
	if code != exitOK {
		t.Fatalf("%d: %s", code, stderr)
	}
	s := loadGood(t, folder, mustRead(t, filepath.Join(folder, "converted.toml"))).Settings
	if got := s.Listeners["imap"].TCP.GoneAfter(); got != 25*time.Second {
		t.Errorf("%v, want 25s", got)
	}
}

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"imapproxy/cmd/imapproxy/config"
)

// adminToken is the token of the tests. It may stand in no answer, log or error.
const adminToken = "c4nary-t0ken-Wk27pVx9"

// restOfConfig completes a configuration.
const restOfConfig = "auth = { type = \"file\", file = \"users\" }\nroute = { type = \"fixed\", target = \"one\" }\n" +
	routeStart

// findingsOf gives what loading a configuration says.
func findingsOf(t *testing.T, folder, text string) string {
	t.Helper()
	name := filepath.Join(folder, "x.toml")
	mustWrite(t, name, text)
	g, r := loadGeneration(name)
	if g != nil {
		g.close()
	}
	var said strings.Builder
	r.Print(&said)
	return strings.ReplaceAll(said.String(), folder+"/", "")
}

func TestCheckAdmin(t *testing.T) {
	folder := siteFolder(t)
	mustWrite(t, filepath.Join(folder, "short.token"), "fifteen-letters\n")
	mustWrite(t, filepath.Join(folder, "blank.token"), "sixteen letters and more\n")
	mustWrite(t, filepath.Join(folder, "empty.token"), "\n")
	long := strings.Repeat("x", config.MaxSocketPath)
	tests := []struct{ admin, want string }{ // want "" is no finding at all
		{``, ""},
		{`address = ""`, ""},
		{`address = "unix:admin.sock"`, ""},
		{`address = "unix:/run/admin.sock"`, ""},
		{`address = "127.0.0.1:9143", token_file = "admin.token"`, ""},
		{`address = "[::1]:9143", token_file = "admin.token"`, ""},
		{`address = "localhost:9143", token_file = "admin.token"`, ""},
		{`address = "unix:"`, "error: admin.address: \"unix:\": there is no path; write"},
		{`address = "unix:/` + long + `"`, "107 bytes at most; choose a shorter one"},
		{`address = "unix:/a\u0000b"`, "holds a NUL"},
		{`address = "unix:admin.sock", token_file = "admin.token"`,
			"error: admin.token_file: not used with a Unix socket; remove it"},
		{`token_file = "admin.token"`, "error: admin.token_file: not used without an address"},
		{`address = "/run/admin.sock"`, "it is not host:port; write unix:/path"},
		{`address = "127.0.0.1:0", token_file = "admin.token"`, "the port is not a number"},
		{`address = ":9143", token_file = "admin.token"`, "error: admin.address:"},
		{`address = "0.0.0.0:9143", token_file = "admin.token"`,
			"it can be reached from other machines; write 127.0.0.1"},
		{`address = "192.0.2.1:9143", token_file = "admin.token"`, "it can be reached from other machines"},
		{`address = "[::]:9143", token_file = "admin.token"`, "it can be reached from other machines"},
		{`address = "localhost.example.org:9143", token_file = "admin.token"`, "it can be reached from other machines"},
		{`address = "127.0.0.1:9143"`,
			"error: admin.token_file: missing, and every user of this machine can reach 127.0.0.1:9143; name"},
		{`address = "127.0.0.1:143", token_file = "admin.token"`,
			`error: admin.address: "127.0.0.1:143" is taken by ":143" of the listener "imap" on line`},
		{`address = "127.0.0.1:9143", token_file = "missing"`, "error: admin.token_file: missing: no such file"},
		{`address = "127.0.0.1:9143", token_file = "short.token"`, "fewer than 16 characters"},
		{`address = "127.0.0.1:9143", token_file = "blank.token"`, "or blanks"},
		{`address = "127.0.0.1:9143", token_file = "empty.token"`, "the first line is empty"},
	}
	for _, tt := range tests {
		said := findingsOf(t, folder, "admin = { "+tt.admin+" }\n"+restOfConfig)
		if (tt.want == "") != (said == "") || !strings.Contains(said, tt.want) || strings.Count(said, "\n") > 1 {
			t.Errorf("%s: said %q, want %q", tt.admin, said, tt.want)
		}
	}
}

func TestAdminSocketFromFolder(t *testing.T) {
	folder := siteFolder(t)
	g := loadGood(t, folder, "admin = { address = \"unix:run/admin.sock\" }\n"+restOfConfig)
	if want := filepath.Join(folder, "run/admin.sock"); g.Admin.Network != "unix" || g.Admin.Address != want {
		t.Errorf("%+v, want %s", g.Admin, want)
	}
}

func TestCheckLimitsAndTCP(t *testing.T) {
	folder := siteFolder(t)
	tests := []struct{ section, want string }{ // want "" is no finding at all
		{`limits = { idle_heartbeat = "0s", leak_report = "0s", leak_reclaim = "0s" }`, ""},
		{`limits = { idle_heartbeat = "30s", leak_report = "10s", leak_reclaim = "11s" }`, ""},
		{`limits = { idle_heartbeat = "29s" }`,
			`error: limits.idle_heartbeat: 29s is out of range; write at least "30s", or "0s" for never`},
		{`limits = { idle_heartbeat = "30m" }`, "30m is out of range"},
		{`limits = { leak_report = "9s" }`, `error: limits.leak_report: 9s is out of range; write at least "10s"`},
		{`limits = { leak_report = "30m" }`, "error: limits.leak_reclaim: 30m0s is not longer than leak_report"},
		{`limits = { leak_report = "1m", leak_reclaim = "30s" }`,
			"error: limits.leak_reclaim: 30s is not longer than leak_report"},
		{`limits = { kick_timeout = "0s" }`, "0s is out of range"},
		{`limits = { kick_timeout = "61s" }`, "61s is out of range"},
		{`tcp = { keepalive_idle = "240s" }`, ""},
		{`tcp = { keepalive_idle = "241s" }`,
			"warning: tcp.keepalive_idle: a peer that has vanished is noticed only after 5m1s"},
		{`tcp = { keepalive_interval = "41s" }`, "noticed only after 5m6s"},
		{`tcp = { keepalive_count = 25 }`, "noticed only after 5m10s"},
		{`tcp = { user_timeout = "5m" }`, ""},
		{`tcp = { user_timeout = "301s" }`,
			"warning: tcp.user_timeout: a peer that has vanished is noticed only after 5m1s"},
		{`tcp = { user_timeout = "999ms" }`, "999ms is out of range"},
		{`tcp = { user_timeout = "61m" }`, "61m is out of range"},
		{`tcp = { keepalive_count = 0 }`, "0 is out of range"},
	}
	for _, tt := range tests {
		said := findingsOf(t, folder, tt.section+"\n"+restOfConfig)
		if (tt.want == "") != (said == "") || !strings.Contains(said, tt.want) || strings.Count(said, "\n") > 1 {
			t.Errorf("%s: said %q, want %q", tt.section, said, tt.want)
		}
	}
}

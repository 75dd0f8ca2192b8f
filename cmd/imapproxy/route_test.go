package main

import (
	"path/filepath"
	"strings"
	"testing"
)

const routeStart = `
[[listener]]
name = "imap"
address = ":143"
certificate = "tls/imap.crt"
key = "tls/imap.key"
[[target]]
name = "one"
addresses = ["imap1.example.org", "imap1b.example.org"]
[[target]]
name = "two"
addresses = ["127.0.0.1:1143"]
tls = "off"
master_user = "proxy"
master_password_file = "master.password"
[rewrite.auth]
lower_case = true
[rewrite.backend]
strip_domain = true
`

func TestRoute(t *testing.T) {
	const byMap = `auth = { type = "http", http = { url = "http://127.0.0.1:9/" } }` + "\n" +
		`route = { type = "map", file = "map" }` + "\n"
	const byAuth = `auth = { type = "http", http = { url = "http://127.0.0.1:9/" } }` + "\n" +
		`route = { type = "auth", target = "one", allow = ["10.0.0.0/24:993"], template = "one" }` + "\n"
	const byFile = `auth = { type = "file", file = "users" }` + "\n" +
		`route = { type = "auth", target = "one" }` + "\n"
	tests := []struct {
		name, config, args string
		code               int
		want               []string // in this order, in either output
	}{
		{"exact name", byMap, "Alice", exitOK,
			[]string{"Alice", "authenticated", "alice", "lower-case", "looked up", "map:1 (exact name)", "one",
				"imap1.example.org:993, then imap1b.example.org:993; TLS, verified", "backend user", "alice"}},
		{"domain", byMap, "Bob@Example.Net", exitOK,
			[]string{"bob@example.net", "map:2 (domain", "two", "no TLS", "bob",
				"strip the domain; logged in by the master user \"proxy\""}},
		{"nobody", byMap, "carol", exitFailed, []string{"none", `no rule names a backend for "carol"`}},
		{"fallback", byAuth, "alice", exitOK, []string{"see --as and --server", "fixed target one"}},
		{"named by the answer", byAuth, "alice --server two", exitOK, []string{"server", "two", "auth answer two"}},
		{"allowed address", byAuth, "alice --server 10.0.0.7", exitOK,
			[]string{"auth answer 10.0.0.7", "10.0.0.7:993"}},
		{"address that is not", byAuth, "alice --server 10.1.0.7", exitFailed,
			[]string{"none", "neither a target's name nor in the allow-list"}},
		{"other name", byAuth, "alice --as dave@x", exitOK, []string{"dave@x", "given with --as", "dave"}},
		{"user file", byFile, "alice", exitOK,
			[]string{"al", "user= in the user file", "server", "two", "auth answer two", "al"}},
		{"plain user of the file", byFile, "bob", exitOK, []string{"bob", "in the user file", "fixed target one"}},
		{"not in the file", byFile, "carol", exitOK, []string{"the login will be refused"}},
		{"control byte", byAuth, "a\x01", exitFailed, []string{"no login can carry"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := siteFolder(t)
			mustWrite(t, filepath.Join(folder, "users"), "alice:!:user=al backend=two\nbob:!\n")
			mustWrite(t, filepath.Join(folder, "map"), "alice one\n@example.net two\n")
			mustWrite(t, filepath.Join(folder, "x.toml"), tt.config+routeStart)
			args := append([]string{"route", "--config", "x.toml"}, strings.Fields(tt.args)...)
			code, stdout, stderr := runIn(t, folder, "", args...)
			if code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			rest := stdout + stderr
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Errorf("%q is missing or out of order:\n%s", want, stdout+stderr)
					break
				}
				rest = after
			}
		})
	}
}

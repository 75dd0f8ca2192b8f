package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imapproxy/imapproxy"
)

// TestAdminCommands runs every command against a proxy, by the configuration.
func TestAdminCommands(t *testing.T) {
	port := freePort(t)
	for name, section := range map[string]string{"socket": onSocket, "port": onPort(port)} {
		t.Run(name, func(t *testing.T) {
			r := newAdminRig(t, section)
			alice, bob := r.login("alice"), r.login("bob")
			bob.says("i IDLE\r\n")
			bob.reads("+")
			eventually(t, "IDLE", func() (bool, string) {
				_, out, _ := runIn(t, r.folder, "", "sessions", "--config", "x.toml", "--user", "bob")
				return strings.Contains(out, "IDLE\n"), out
			})
			row := `(?m)^[a-z0-9]+ +alice +127\.0\.0\.1:\d+ +imap +- +relay +one 127\.0\.0\.1:\d+ +\d+s +\d+s +\d+B ` +
				`+\d+B +-\n`
			tests := []struct {
				args string
				code int
				want string // a pattern for standard output and error
			}{
				{"sessions", exitOK, `^SESSION +USER +CLIENT +LISTENER +TLS +PHASE +BACKEND +AGE +QUIET +IN +OUT ` +
					`+DOING\n`},
				{"sessions", exitOK, row},
				{"sessions", exitOK, `\n2 sessions\n$`},
				{"sessions --user bob", exitOK, `IDLE\n1 session\n$`},
				{"sessions --backend two --user alice", exitOK, `DOING\n0 sessions\n$`},
				{"sockets", exitOK, `^STATE +SIDE +PEER +TARGET +PHASE +SINCE +SESSION\n` +
					`(ESTABLISHED +(client +127\.0\.0\.1:\d+ +-|backend +127\.0\.0\.1:\d+ +(one|two)) ` +
					`+\w+ +\d+s +[a-z0-9]+\n){4}4 sockets\n$`},
				{"session bob", exitOK, `IDLE\n1 session\n$`},
				{"kick nobody", exitFailed, "there is no such session.* --session takes an id"},
				{"kick --user nobody", exitFailed, "there is no such session"},
				{"kick --user nobody --json", exitFailed, `\{"kicked":0\}`},
				{"kick --user alice", exitOK, "^1 session kicked\n$"},
				{"kick --backend two --json", exitOK, `^\{"kicked":1\}\n$`},
			}
			for _, tt := range tests {
				code, stdout, stderr := runIn(t, r.folder, "", append(strings.Fields(tt.args), "--config", "x.toml")...)
				if code != tt.code || !regexp.MustCompile(tt.want).MatchString(stdout+stderr) {
					t.Errorf("%s: code %d\n%s%s", tt.args, code, stdout, stderr)
				}
			}
			alice.farewell()
			bob.farewell()
			code, stdout, stderr := runIn(t, r.folder, "", "drain", "--config", "x.toml")
			if code != exitOK || !regexp.MustCompile(`^draining: \d sessions? to end\n$`).MatchString(stdout) {
				t.Errorf("drain: code %d\n%s%s", code, stdout, stderr)
			}
			if code := r.waitEnd(); code != exitOK {
				t.Errorf("the daemon: code %d", code)
			}
		})
	}
}

// TestAdminJSON: what --json prints is what the types say.
func TestAdminJSON(t *testing.T) {
	r := newAdminRig(t, onSocket)
	r.login("alice")
	var sessions []imapproxy.SessionInfo
	var sockets []imapproxy.SocketInfo
	for command, value := range map[string]any{"sessions": &sessions, "sockets": &sockets} {
		code, stdout, stderr := runIn(t, r.folder, "", command, "--json", "--admin", r.address())
		if err := json.Unmarshal([]byte(stdout), value); code != exitOK || err != nil {
			t.Errorf("%s: code %d, %v\n%s%s", command, code, err, stdout, stderr)
		}
	}
	if len(sessions) != 1 || sessions[0].User != "alice" || len(sockets) != 2 || sockets[0].Session != sessions[0].ID {
		t.Errorf("%+v\n%+v", sessions, sockets)
	}
	code, stdout, _ := runIn(t, r.folder, "", "kick", "--session", sessions[0].ID, "--admin", "unix:admin.sock")
	if code != exitOK || stdout != "1 session kicked\n" {
		t.Errorf("code %d, %q", code, stdout)
	}
	if code, stdout, _ = runIn(t, r.folder, "", "drain", "--json", "--admin", r.address()); code != exitOK ||
		!strings.HasPrefix(stdout, `{"draining":true,`) {
		t.Errorf("code %d, %q", code, stdout)
	}
}

// TestAdminNoAnswer: each way not to be answered has its own words, and none
// holds the token.
func TestAdminNoAnswer(t *testing.T) {
	port := freePort(t)
	r := newAdminRig(t, onPort(port))
	imap := r.daemon.sockets["imap"].Addr().String()
	web := startWeb(t)
	here := fmt.Sprintf("127.0.0.1:%d", port)
	mustWrite(t, filepath.Join(r.folder, "wrong.token"), strings.ToUpper(adminToken)+"\n")
	mustWrite(t, filepath.Join(r.folder, "bad.toml"),
		strings.Replace(mustRead(t, r.file), "tls = \"off\"", "tls = \"of\"", 1))
	mustWrite(t, filepath.Join(r.folder, "moved.toml"),
		strings.Replace(mustRead(t, r.file), "127.0.0.1:"+fmt.Sprint(port), "192.0.2.1:9143", 1))
	mustWrite(t, filepath.Join(r.folder, "notoml.toml"), "x = = y\n")
	mustWrite(t, filepath.Join(r.folder, "untold.toml"),
		strings.Replace(mustRead(t, r.file), "token_file", "#token_file", 1))
	tests := []struct {
		args string
		code int
		want string
	}{
		{"--config x.toml", exitOK, "0 sessions"},
		{"--config bad.toml", exitOK, "0 sessions"}, // only [admin] matters
		{"--admin " + here + " --token-file admin.token", exitOK, "0 sessions"},
		{"--config untold.toml --token-file admin.token", exitOK, "0 sessions"},
		{"--config x.toml --token-file wrong.token", exitFailed,
			"is missing or wrong; the token is not that of the running proxy"},
		{"--admin " + here + " --token-file wrong.token", exitFailed, "missing or wrong"},
		{"--config untold.toml", exitFailed, "untold.toml does not say where the admin listener is"},
		{"--config moved.toml", exitFailed, "it can be reached from other machines"},
		{"--config notoml.toml", exitFailed, "notoml.toml:1: error: TOML"},
		{"--config nowhere.toml", exitFailed, "imapproxy: nowhere.toml:1: error: can't be read: no such file or " +
			"directory; name a readable file with --config; or name the admin listener with --admin\n"},
		{"--admin " + imap + " --token-file admin.token", exitFailed, "no answer from " + imap},
		{"--admin " + web + " --token-file admin.token", exitFailed,
			"answers 418 I'm a teapot: is it an admin listener of imapproxy?"},
		{"--admin unix:x.toml", exitFailed, "nothing listens on unix:x.toml"},
		{"--admin unix:nothing", exitFailed, "nothing listens on unix:nothing"},
		{"--admin", exitUsage, "flag needs an argument"},
	}
	for _, tt := range tests {
		code, stdout, stderr := runIn(t, r.folder, "", append([]string{"sessions"}, strings.Fields(tt.args)...)...)
		if code != tt.code || !strings.Contains(stdout+stderr, tt.want) ||
			strings.Contains(strings.ToLower(stdout+stderr), strings.ToLower(adminToken)) {
			t.Errorf("%s: code %d\n%s%s", tt.args, code, stdout, stderr)
		}
	}
}

// startWeb starts a web server that is no admin listener.
func startWeb(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})}
	over := make(chan struct{})
	go func() { defer close(over); _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-over })
	return ln.Addr().String()
}

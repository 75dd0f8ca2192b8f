package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

func TestMain(m *testing.M) {
	rigtest.RunCommand(map[string]rigtest.Command{"leak": runLeak})
	goleak.VerifyTestMain(m)
}

func TestRun(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"nothing", nil, rig.ExitUsage, "", "usage: imaprig"},
		{"help", []string{"--help"}, rig.ExitOK, "watch", ""},
		{"help of one", []string{"help", "watch"}, rig.ExitOK, "usage: imaprig watch PORT... [flags]\n", ""},
		{"help of none", []string{"help", "wacth"}, rig.ExitUsage, "", "did you mean `imaprig watch`?"},
		{"help of two", []string{"help", "load", "watch"}, rig.ExitUsage, "", "help takes one command"},
		{"version", []string{"--version"}, rig.ExitOK, "imaprig development", ""},
		{"mistaken flag", []string{"load", "--sesions", "3"}, rig.ExitUsage, "",
			"-sesions; did you mean --sessions?; see `imaprig load --help`\n"},
		{"unknown", []string{"wacth"}, rig.ExitUsage, "",
			"there is no command \"wacth\"; did you mean `imaprig watch`?"},
		{"command's help", []string{"watch", "--help"}, rig.ExitOK, "\n  --warn-count NUMBER ", ""},
		{"command's usage", []string{"watch"}, rig.ExitUsage, "", "no port given"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(tt.args, &stdout, &stderr); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			checkOutput(t, "stdout", stdout.String(), tt.stdout)
			checkOutput(t, "stderr", stderr.String(), tt.stderr)
		})
	}
}

// checkOutput wants text to hold want, or to be empty when want is.
func checkOutput(t *testing.T, name, text, want string) {
	t.Helper()
	if want == "" && text != "" || !strings.Contains(text, want) {
		t.Errorf("%s %q, want %q", name, text, want)
	}
}

// TestServersUsage wants wrong usage to be refused.
func TestServersUsage(t *testing.T) {
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"backend", "--login-delay", "-1s"}, rig.ExitUsage, "no negative time"},
		{[]string{"backend", "--listen", "127.0.0.1:99999"}, rig.ExitUsage, "listen on 127.0.0.1:99999"},
		{[]string{"authserver", "--backend", "localhost:143"}, rig.ExitUsage, "want an IP address"},
		{[]string{"authserver", "--listen", "127.0.0.1:99999"}, rig.ExitUsage, "listen on"},
		{[]string{"load", "--proxy", "127.0.0.1:1"}, rig.ExitUsage, "want one MODE"},
		{[]string{"load", "logni", "--proxy", "127.0.0.1:1"}, rig.ExitUsage, "want one MODE"},
		{[]string{"load", "login"}, rig.ExitUsage, "want --proxy"},
		{[]string{"load", "login", "--proxy", "host"}, rig.ExitUsage, "want host:port"},
		{[]string{"load", "login", "--proxy", "h:1", "--tls", "yes"}, rig.ExitUsage, "want off, starttls or implicit"},
		{[]string{"load", "login", "--proxy", "h:1", "--proxy-pid", "x"}, rig.ExitUsage, "want process ids"},
		{[]string{"load", "login", "--proxy", "h:1", "--proxy-pid", "99999999"}, rig.ExitUsage, "no such process"},
		{[]string{"load", "login", "--proxy", "h:1", "--sources", "3"}, rig.ExitUsage, "not an IPv4 loopback"},
		{[]string{"load", "login", "--proxy", "h:1", "--sessions", "-1"}, rig.ExitUsage, "--sessions -1"},
		{[]string{"load", "login", "--proxy", "h:1", "--duration", "1ms"}, rig.ExitUsage, "--duration 1ms"},
		{[]string{"load", "append", "--proxy", "h:1", "--size", "1g"}, rig.ExitUsage, "--size"},
		{[]string{"load", "login", "--proxy", "h:1", "--user", "a\r\nb"}, rig.ExitUsage, "no line end"},
		{[]string{"load", "login", "--proxy", "127.0.0.1:1", "--json", "/no/such/file"}, rig.ExitUsage,
			"/no/such/file"},
		{[]string{"load", "idle", "--proxy", "127.0.0.1:1", "--sessions", "99999"}, rig.ExitFailed, "ulimit -n"},
		{[]string{"bench", "--rounds", "0"}, rig.ExitUsage, "--rounds 0"},
		{[]string{"bench", "--out", "/no/such/page"}, rig.ExitFailed, "/no/such/page"},
	}
	for _, tt := range tests {
		var stdout, stderr strings.Builder
		if code := run(tt.args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: code %d, %q; want %d, %q", tt.args, code, stderr.String(), tt.code, tt.want)
		}
	}
	for _, name := range []string{"load", "backend", "authserver", "bench"} {
		var stdout, stderr strings.Builder
		if code := run([]string{name, "--help"}, &stdout, &stderr); code != rig.ExitOK ||
			!strings.Contains(stdout.String(), "usage: imaprig "+name) {
			t.Errorf("%s --help: code %d, %q", name, code, stdout.String())
		}
	}
}

// TestReadme wants the lines of README to be subcommands.
func TestReadme(t *testing.T) {
	lines := regexp.MustCompile(`(?m)^    bin/imaprig ([a-z]+)`).FindAllStringSubmatch(
		rigtest.ReadFile(t, filepath.Join(rigtest.Root(t), "README.md")), -1)
	if len(lines) != 3 {
		t.Errorf("%d lines to paste, want 3", len(lines))
	}
	for _, line := range lines {
		var stdout, stderr strings.Builder
		if code := run([]string{line[1], "--help"}, &stdout, &stderr); code != rig.ExitOK {
			t.Errorf("%s: code %d, %s", line[1], code, stderr.String())
		}
	}
}

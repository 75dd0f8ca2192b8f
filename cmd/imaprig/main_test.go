package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"nothing", nil, exitUsage, "", "usage: imaprig"},
		{"help", []string{"--help"}, exitOK, "watch", ""},
		{"unknown", []string{"wacth"}, exitUsage, "", `no subcommand "wacth"`},
		{"subcommand's help", []string{"watch", "--help"}, exitOK, "-warn-count", ""},
		{"subcommand's usage", []string{"watch"}, exitUsage, "", "no port given"},
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
		{[]string{"backend", "--login-delay", "-1s"}, exitUsage, "no negative time"},
		{[]string{"backend", "--listen", "127.0.0.1:99999"}, exitFailed, "listen on 127.0.0.1:99999"},
		{[]string{"authserver", "--backend", "localhost:143"}, exitUsage, "want an IP address"},
		{[]string{"authserver", "--listen", "127.0.0.1:99999"}, exitFailed, "listen on"},
		{[]string{"load", "--proxy", "127.0.0.1:1"}, exitUsage, "want one MODE"},
		{[]string{"load", "logni", "--proxy", "127.0.0.1:1"}, exitUsage, "want one MODE"},
		{[]string{"load", "login"}, exitUsage, "want --proxy"},
		{[]string{"load", "login", "--proxy", "host"}, exitUsage, "want host:port"},
		{[]string{"load", "login", "--proxy", "h:1", "--tls", "yes"}, exitUsage, "want off, starttls or implicit"},
		{[]string{"load", "login", "--proxy", "h:1", "--proxy-pid", "x"}, exitUsage, "want process ids"},
		{[]string{"load", "login", "--proxy", "h:1", "--proxy-pid", "99999999"}, exitUsage, "no such process"},
		{[]string{"load", "login", "--proxy", "h:1", "--sources", "3"}, exitUsage, "not an IPv4 loopback"},
		{[]string{"load", "login", "--proxy", "h:1", "--sessions", "-1"}, exitUsage, "--sessions -1"},
		{[]string{"load", "login", "--proxy", "h:1", "--duration", "1ms"}, exitUsage, "--duration 1ms"},
		{[]string{"load", "append", "--proxy", "h:1", "--size", "1g"}, exitUsage, "--size"},
		{[]string{"load", "login", "--proxy", "h:1", "--user", "a\r\nb"}, exitUsage, "no line end"},
		{[]string{"load", "login", "--proxy", "127.0.0.1:1", "--json", "/no/such/file"}, exitFailed, "/no/such/file"},
		{[]string{"load", "idle", "--proxy", "127.0.0.1:1", "--sessions", "99999"}, exitFailed, "ulimit -n"},
		{[]string{"bench", "--rounds", "0"}, exitUsage, "--rounds 0"},
		{[]string{"bench", "--out", "/no/such/page"}, exitFailed, "/no/such/page"},
	}
	for _, tt := range tests {
		var stdout, stderr strings.Builder
		if code := run(tt.args, &stdout, &stderr); code != tt.code || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%v: code %d, %q; want %d, %q", tt.args, code, stderr.String(), tt.code, tt.want)
		}
	}
	for _, name := range []string{"load", "backend", "authserver", "bench"} {
		var stdout, stderr strings.Builder
		if code := run([]string{name, "--help"}, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), "usage: imaprig "+name) {
			t.Errorf("%s --help: code %d, %q", name, code, stdout.String())
		}
	}
}

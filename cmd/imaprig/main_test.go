package main

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is what a test, or the benchmark, starts our own program again for.
func TestMain(m *testing.M) {
	if os.Getenv(asFirstThread) != "" {
		os.Exit(leaveFirstThread())
	}
	if len(os.Args) > 1 && (os.Args[1] == "backend" || os.Args[1] == "authserver") {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

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

func addr(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// checkError wants err to hold this text, or to be nil when it is empty.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

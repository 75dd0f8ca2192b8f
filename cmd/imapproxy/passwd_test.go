package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"imapproxy/auth"
)

// TestPasswdMakesUsersThatCanLogIn takes the line that passwd prints to where
// it belongs.
func TestPasswdMakesUsersThatCanLogIn(t *testing.T) {
	folder := t.TempDir()
	for _, scheme := range auth.Schemes() {
		code, line, stderr := runIn(t, folder, "geheim, ü\r\nsecond line\n", "passwd", "--user", "alice",
			"--scheme", scheme)
		if code != exitOK || stderr != "" || !strings.HasPrefix(line, "alice:$") || strings.Contains(line, "geheim") {
			t.Fatalf("%s: code %d, %q, %q", scheme, code, line, stderr)
		}
		name := filepath.Join(folder, "users")
		mustWrite(t, name, line)
		users, err := auth.OpenFile(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		for secret, good := range map[auth.Secret]bool{"geheim, ü": true, "geheim": false} {
			_, err := users.Authenticate(context.Background(),
				&auth.Request{Mechanism: "PLAIN", User: "alice", Secret: secret})
			if (err == nil) != good {
				t.Errorf("%s: %v", scheme, err)
			}
		}
	}
}

func TestPasswdRefuses(t *testing.T) {
	tests := []struct {
		name, stdin, args string
		code              int
		stderr            string
	}{
		{"nothing", "", "", exitFailed, "the first line is empty"},
		{"empty line", "\nsecond\n", "", exitFailed, "the first line is empty"},
		{"control byte", "a\x00b\n", "", exitFailed, "control byte"},
		{"too long", strings.Repeat("x", 5000) + "\n", "", exitFailed, "longer than 4096"},
		{"endless", strings.Repeat("x", 20000), "", exitFailed, "longer than 8191"},
		{"too long for bcrypt", strings.Repeat("x", 73) + "\n", "--scheme bcrypt", exitFailed, "at most 72"},
		{"user as a comment", "secret\n", "--user #a", exitUsage, "can't stand in the file"},
	}
	for _, tt := range tests {
		code, stdout, stderr := runIn(t, t.TempDir(), tt.stdin,
			append([]string{"passwd"}, strings.Fields(tt.args)...)...)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.stderr) ||
			strings.Contains(stderr, "secret") {
			t.Errorf("%s: code %d, %q, %q", tt.name, code, stdout, stderr)
		}
	}
}

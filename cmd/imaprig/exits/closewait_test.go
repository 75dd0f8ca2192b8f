package exits

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/rig"
)

func runCloseWait(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints strings.Builder
	code = RunCloseWait(t.Context(), args, &out, &complaints)
	return code, out.String(), complaints.String()
}

// TestCloseWait wants each of the server's sockets to stay after nginx's clients, and none after our proxy's.
func TestCloseWait(t *testing.T) {
	t.Parallel()
	program := ownProgram(t)
	if _, err := rig.NginxPeer().Program(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	code, stdout, stderr := runCloseWait(t, "--self", program, "--sessions", "4")
	if code != rig.ExitOK || stderr != "" {
		t.Fatalf("code %d\n%s%s", code, stdout, stderr)
	}
	if !regexp.MustCompile(`(?m)^nginx \(\d`).MatchString(stdout) {
		t.Errorf("want nginx's version in\n%s", stdout)
	}
	rows := regexp.MustCompile(`(?m)  nginx +4 +4, still \d s later\n +imapproxy +4 +none, \d\.\d s later$`)
	if n := len(rows.FindAllString(stdout, -1)); n != len(closeWaitStories()) {
		t.Errorf("%d stories as they should be, want %d:\n%s", n, len(closeWaitStories()), stdout)
	}
}

func TestCloseWaitUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "imapproxy")
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--help"}, rig.ExitOK, "usage: imaprig closewait"},
		{[]string{"--sessions", "0"}, rig.ExitUsage, "--sessions 0: want 1 to"},
		{[]string{"--peer", "ngnix"}, rig.ExitUsage, `no peer "ngnix"`},
		{[]string{"nginx"}, rig.ExitUsage, "want flags only"},
		{[]string{"--self", missing, "--peer", "imapproxy"}, rig.ExitUsage, "build it with make"},
	}
	for _, tt := range tests {
		if code, stdout, stderr := runCloseWait(t, tt.args...); code != tt.code ||
			!strings.Contains(stdout+stderr, tt.want) {
			t.Errorf("%v: code %d\n%s%s", tt.args, code, stdout, stderr)
		}
	}
}

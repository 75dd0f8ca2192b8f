package exits

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// davMailExits runs the subcommand against DavMail and returns, by proxy and cell, what is left in the end: the
// backend's sockets in CLOSE_WAIT, and descriptors in the proxy and in DavMail.
func davMailExits(t *testing.T, args ...string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "result.json")
	args = append(args, "--backend", "davmail", "--json", file)
	var stdout, stderr strings.Builder
	if code := Run(t.Context(), args, &stdout, &stderr); code != rig.ExitOK {
		t.Fatalf("code %d\n%s%s", code, stdout.String(), stderr.String())
	}
	var r runResult
	if err := json.Unmarshal([]byte(rigtest.ReadFile(t, file)), &r); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, p := range r.Proxies {
		for _, c := range p.Cells {
			key := fmt.Sprintf("%s %v", p.Name, c.cell)
			if c.NotRun != "" {
				found[key] = "not run: " + c.NotRun
				continue
			}
			last := c.Counts[len(c.Counts)-1]
			found[key] = fmt.Sprintf("%d/%d/%d", last.Backend[wire.StateCloseWait].Sockets, last.ProxyFDs, last.JavaFDs)
		}
	}
	return found
}

func needDavMail(t *testing.T) {
	t.Helper()
	rigtest.NeedPrograms(t, "java")
	if _, err := os.Stat("/usr/share/davmail/davmail.jar"); err != nil {
		t.Skip("SKIPPED: no DavMail: apt-get install davmail-server")
	}
}

// TestExitsDavMail wants DavMail to forget clients that leave in IDLE, and our proxy to cure that.
func TestExitsDavMail(t *testing.T) {
	needDavMail(t)
	program := rigtest.OwnProgram(t)
	t.Parallel()
	got := davMailExits(t, "--self", program, "--peer", proxyDirect, "--sessions", "3", "--after", "1s,10s",
		"--modes", "as-is,hanging-login", "--endings", "in-idle,mid-login")
	want := map[string]string{
		"direct as-is/in-idle": "3/-1/3", "direct hanging-login/mid-login": "3/-1/3",
		"imapproxy as-is/in-idle":           "0/0/0",
		"imapproxy hanging-login/mid-login": "0/0/3", // its thread waits for Exchange
	}
	for key, w := range want {
		if got[key] != w {
			t.Errorf("%s: %s left, want %s", key, got[key], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d cells, want %d: %v", len(got), len(want), got)
	}
}

// TestExitsNoJava wants one sentence where there is no java to run DavMail.
func TestExitsNoJava(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var stdout, stderr strings.Builder
	code := Run(t.Context(), []string{"--backend", "davmail", "--peer", proxyDirect}, &stdout, &stderr)
	if code != rig.ExitUsage || strings.Count(stderr.String(), "\n") != 1 ||
		!strings.Contains(stderr.String(), "apt-get install davmail-server") {
		t.Errorf("code %d, want 2 and the package\n%s", code, stderr.String())
	}
}

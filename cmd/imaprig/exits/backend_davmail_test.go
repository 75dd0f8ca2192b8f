package exits

import (
	"fmt"
	"maps"
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
	r := exitsOf(t, rig.ExitOK, append(args, "--backend", "davmail")...)
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

// TestExitsDavMail wants DavMail to forget clients that leave in IDLE, and our proxy to cure that.
func TestExitsDavMail(t *testing.T) {
	rigtest.NeedDavMail(t)
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want map[string]string
	}{
		{proxyDirect, []string{"--peer", proxyDirect, "--after", "1s"}, map[string]string{
			"direct as-is/in-idle": "3/-1/3", "direct hanging-login/mid-login": "3/-1/3",
		}},
		{rig.OwnProxy, []string{"--self", ownProgram(t), "--after", "1s,10s"}, map[string]string{
			"imapproxy as-is/in-idle": "0/0/0", "imapproxy hanging-login/mid-login": "0/0/3", // its thread waits
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := davMailExits(t, append(tt.args, "--sessions", "3", "--modes", "as-is,hanging-login",
				"--endings", "in-idle,mid-login")...)
			if !maps.Equal(got, tt.want) {
				t.Errorf("left are %v, want %v", got, tt.want)
			}
		})
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

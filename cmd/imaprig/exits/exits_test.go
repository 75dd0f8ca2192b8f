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

// javaExits runs the subcommand against the Java program and returns its result.
func javaExits(t *testing.T, wantCode int, args ...string) *runResult {
	t.Helper()
	return exitsOf(t, wantCode, append(args, "--java-backend", rigtest.JavaSource(t))...)
}

// exitsOf runs the subcommand and returns its result.
func exitsOf(t *testing.T, wantCode int, args ...string) *runResult {
	t.Helper()
	file := filepath.Join(t.TempDir(), "result.json")
	var stdout, stderr strings.Builder
	if code := Run(t.Context(), append(args, "--json", file), &stdout, &stderr); code != wantCode {
		t.Fatalf("code %d, want %d\n%s%s", code, wantCode, stdout.String(), stderr.String())
	}
	var r runResult
	if err := json.Unmarshal([]byte(rigtest.ReadFile(t, file)), &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// TestExitsOwn runs our proxy, which meets every target; one cell has clients that vanish.
func TestExitsOwn(t *testing.T) {
	t.Parallel()
	program := ownProgram(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: clients that vanish need root; run the tests as root")
	}
	r := javaExits(t, rig.ExitOK, "--self", program, "--sessions", "5", "--after", "1s,30s",
		"--modes", "good,no-close-without-logout,stuck-worker", "--endings", "idle,vanish,login-refused,mid-fetch")
	for _, c := range r.Proxies[0].Cells {
		if c.NotRun != "" || c.Opened != 5 || c.Reached < 5 || len(c.Counts) != 2 || len(c.Series) < 3 ||
			c.Series[len(c.Series)-1].Seconds < 30 {
			t.Errorf("%v: not run %q, %d opened, %d reached, %d counts, %d points", c.cell, c.NotRun, c.Opened,
				c.Reached, len(c.Counts), len(c.Series))
			continue
		}
		first, last := c.Counts[0], c.Counts[1]
		if n := first.Backend[wire.StateEstablished].Sockets; c.Ending == "vanish" && (n != 5 || first.ProxyFDs != 10) {
			t.Errorf("%v: after 1 s %d sockets and %d descriptors in the proxy; want 5 and 10: no one can know yet",
				c.cell, n, first.ProxyFDs)
		}
		stuck := 0
		if c.Mode == "stuck-worker" {
			stuck = 5
		}
		if last.JavaFDs != stuck {
			t.Errorf("%v: %d descriptors in Java, want %d", c.cell, last.JavaFDs, stuck)
		}
	}
	if p := r.Proxies[0]; p.Java["good"].Accepted != 20 || p.Unattributed != 0 ||
		!strings.Contains(p.Version, ", go1.") {
		t.Errorf("accepted in mode good %d, want 20; unattributed %d; version %q", p.Java["good"].Accepted,
			p.Unattributed, p.Version)
	}
}

// TestExitsDefaults runs our proxy as it is installed: it looks for a client that has vanished after a minute only, and
// that is no fault. Messages break off below and above the size from which the kernel moves them.
func TestExitsDefaults(t *testing.T) {
	t.Parallel()
	program := ownProgram(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: clients that vanish need root; run the tests as root")
	}
	r := javaExits(t, rig.ExitOK, "--self", program, "--settings", "defaults", "--sessions", "5", "--after", "1s,30s",
		"--modes", "good", "--endings", "vanish,mid-append,mid-append-large,mid-fetch,mid-fetch-small")
	p := r.Proxies[0]
	for _, c := range p.Cells {
		want := 0
		if c.Ending == "vanish" {
			want = 5
		}
		if n := c.Last().Established(); c.Opened != 5 || n != want || c.Answers == nil || c.Answers.Login.Count != 5 {
			t.Errorf("%v: %d opened, %d ESTABLISHED after 30 s, answers %+v; want 5, %d and 5 logins", c.cell,
				c.Opened, n,
				c.Answers, want)
		}
	}
	if p.StoredUnasked != 0 || p.Java["good"].Truncated != 10 {
		t.Errorf("%d messages stored, %d broken off; want 0 and 10", p.StoredUnasked, p.Java["good"].Truncated)
	}
	if r.Settings != settingsDefaults || strings.Contains(p.Settings, "keepalive") {
		t.Errorf("settings %q, %q; want the defaults", r.Settings, p.Settings)
	}
	if len(r.Verdicts) != 1 || r.Verdicts[0].Fault != faultNone {
		t.Errorf("verdicts %+v, want one that the server closes cleanly", r.Verdicts)
	}
}

// TestExitsRelay runs a proxy that is there already and misses targets.
func TestExitsRelay(t *testing.T) {
	t.Parallel()
	rigtest.NeedPrograms(t, "java")
	backend, err := rig.FreeAddr(rigtest.Addr("127.0.0.1:0").Addr())
	if err != nil {
		t.Fatal(err)
	}
	relay := plainRelay(t, backend.String())
	r := javaExits(t, rig.ExitFailed, "--proxy", relay, "--backend-port", fmt.Sprint(backend.Port()), "--proxy-pid",
		fmt.Sprint(os.Getpid()), "--sessions", "5", "--after", "1s,10s",
		"--modes", "good,no-close-without-logout", "--endings", "idle,logout,half-close")
	want := map[string]string{ // sockets in CLOSE_WAIT, descriptors in the proxy and in Java
		"good/idle": "0 0 0 []", "good/logout": "0 0 0 []", "good/half-close": "0 0 0 []",
		"no-close-without-logout/idle":       "5 0 5 [server sockets: 5, must be 0 server descriptors: 5, must be 0]",
		"no-close-without-logout/logout":     "0 0 0 []",
		"no-close-without-logout/half-close": "5 0 5 [server sockets: 5, must be 0 server descriptors: 5, must be 0]",
	}
	for _, c := range r.Proxies[0].Cells {
		last := c.Counts[len(c.Counts)-1]
		var misses []string
		for _, m := range c.Misses {
			misses = append(misses, fmt.Sprintf("%s: %d, must be 0", m.Target, m.Found))
			if m.Seconds < 10 { // a busy machine counts later
				t.Errorf("%v: %v, want it after 10 s", c.cell, m)
			}
		}
		got := fmt.Sprint(last.Backend[wire.StateCloseWait].Sockets, last.ProxyFDs, last.JavaFDs, misses)
		if got != want[c.cell.String()] {
			t.Errorf("%v: got %s, want %s", c.cell, got, want[c.cell.String()])
		}
	}
	if len(r.Proxies[0].Cells) != len(want) {
		t.Errorf("%d cells, want %d", len(r.Proxies[0].Cells), len(want))
	}
}

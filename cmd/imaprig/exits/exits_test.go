package exits

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// exitsOf runs the subcommand and returns its result.
func exitsOf(t *testing.T, wantCode int, args ...string) *runResult {
	t.Helper()
	file := filepath.Join(t.TempDir(), "result.json")
	args = append(args, "--java-backend", rigtest.JavaSource(t), "--json", file)
	var stdout, stderr strings.Builder
	if code := Run(t.Context(), args, &stdout, &stderr); code != wantCode {
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
	program := rigtest.OwnProgram(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: clients that vanish need root; run the tests as root")
	}
	dirs := len(tempDirs(t))
	r := exitsOf(t, rig.ExitOK, "--self", program, "--sessions", "5", "--after", "1s,30s",
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
			t.Errorf("%v: after 1 s %d sockets and %d descriptors in the proxy; want 5 and 10, for nobody can know yet",
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
	if n := len(tempDirs(t)); n > dirs {
		t.Errorf("%d folders of peers are left", n-dirs)
	}
}

// TestExitsDefaults runs our proxy as it is installed: it looks for a client that has vanished after a minute only, and
// that is no fault. Messages break off below and above the size from which the kernel moves them.
func TestExitsDefaults(t *testing.T) {
	t.Parallel()
	program := rigtest.OwnProgram(t)
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: clients that vanish need root; run the tests as root")
	}
	r := exitsOf(t, rig.ExitOK, "--self", program, "--settings", "defaults", "--sessions", "5", "--after", "1s,30s",
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

func tempDirs(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), "imaprig-"+rig.OwnProxy+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// plainRelay is a proxy that closes both sides when one has closed, as most do.
func plainRelay(t *testing.T, backend string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { relayOne(conn, backend) })
		}
	})
	return ln.Addr().String()
}

func relayOne(client net.Conn, backend string) {
	defer client.Close()
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	over := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			_, _ = io.Copy(pair[1], pair[0])
			_, _ = client.Close(), server.Close()
			over <- struct{}{}
		}()
	}
	<-over
	<-over
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
	r := exitsOf(t, rig.ExitFailed, "--proxy", relay, "--backend-port", fmt.Sprint(backend.Port()), "--proxy-pid",
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

// firstLine calls f when something is written.
type firstLine struct{ f func() }

func (w firstLine) Write(p []byte) (int, error) { w.f(); return len(p), nil }

// silentProxy takes connections, calls f for each, and says nothing.
func silentProxy(t *testing.T, f func()) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	t.Cleanup(func() { _ = ln.Close(); accepting.Wait() })
	accepting.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			f()
		}
	})
	return ln.Addr().String()
}

// TestExitsInterrupted is Ctrl-C after the first cell, and while sessions wait for an answer: the run ends at once and
// nothing is left running.
func TestExitsInterrupted(t *testing.T) {
	program := rigtest.OwnProgram(t)
	backend, err := rig.FreeAddr(rigtest.Addr("127.0.0.1:0").Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"after the first cell", "while sessions wait"} {
		t.Run(when, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dirs := len(tempDirs(t))
			var at time.Time
			var once sync.Once
			interrupt := func() { once.Do(func() { at = time.Now(); cancel() }) }
			args := []string{"--sessions", "5", "--java-backend", rigtest.JavaSource(t), "--modes", "good"}
			stderr := firstLine{interrupt}
			if when == "while sessions wait" {
				args = append(args, "--proxy", silentProxy(t, interrupt), "--backend-port", fmt.Sprint(backend.Port()))
			} else {
				args = append(args, "--self", program)
			}
			var stdout strings.Builder
			if code := Run(ctx, args, &stdout, stderr); code != rig.ExitFailed || stdout.String() != "" {
				t.Errorf("code %d, output %q; want 1 and none", code, stdout.String())
			}
			if took := time.Since(at); took > answerLimit/2 {
				t.Errorf("it went on for %v", took)
			}
			if n := len(tempDirs(t)); n > dirs {
				t.Errorf("%d folders of peers are left", n-dirs)
			}
			rigtest.NoDevice(t, "imaprig"+fmt.Sprint(os.Getpid()))
		})
	}
}

func TestExhaust(t *testing.T) {
	program := rigtest.OwnProgram(t)
	backend, err := rig.FreeAddr(rigtest.Addr("127.0.0.1:0").Addr())
	if err != nil {
		t.Fatal(err)
	}
	relay := plainRelay(t, backend.String())
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"own", []string{"--self", program}, rig.ExitOK, "12 of 12 sessions served"},
		{"relay", []string{"--proxy", relay, "--backend-port", fmt.Sprint(backend.Port())}, rig.ExitFailed,
			"5 of 12 sessions served"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parseExhaust(append(tt.args, "--sessions", "12", "--fd-limit", "5", "--java-backend",
				rigtest.JavaSource(t)), t.Output())
			if err != nil {
				t.Fatal(err)
			}
			o.patience = 2 * time.Second
			var stdout, stderr strings.Builder
			if code := o.run(t.Context(), &stdout, &stderr); code != tt.code ||
				!strings.Contains(stdout.String(), tt.want) {
				t.Errorf("code %d, want %d and %q\n%s%s", code, tt.code, tt.want, stdout.String(), stderr.String())
			}
		})
	}
}

// TestPeersRun starts each peer that is installed, with its defaults and tuned, and logs in through it.
func TestPeersRun(t *testing.T) {
	java, err := rig.StartJava(t.Context(), rig.JavaOptions{Source: rigtest.JavaSource(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := java.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	peers := rig.Peers()
	for _, p := range rig.Peers() {
		p.Tuned = true
		peers = append(peers, p)
	}
	for _, p := range peers {
		t.Run(fmt.Sprintf("%s tuned %v", p.Name, p.Tuned), func(t *testing.T) {
			if p.Name == rig.OwnProxy {
				p.Programs = []string{rigtest.OwnProgram(t)}
			}
			if _, err := p.Program(); err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			x, err := p.Start(t.Context(), loopback(java.Port), rigtest.Addr("127.0.0.2:0").Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := x.Stop(); err != nil {
					t.Error(err)
				}
				if there, err := rig.Listens(ownNet, x.Addr); there || err != nil {
					t.Errorf("it listens still: %v, %v", there, err)
				}
			}()
			if x.Version == "" {
				t.Error("no version")
			}
			for _, to := range []string{x.Addr.String(), x.Outside.String()} {
				c := (&runOptions{user: "rig%d", password: "secret"}).newClient(7)
				if err := c.connect(dialTCP, to, rigtest.Addr("127.0.0.1:0").Addr(), false); err != nil {
					t.Fatal(err)
				}
				if err := openFetch(c); err != nil {
					t.Errorf("%s: %v", to, err)
				}
				_ = c.conn.Close()
			}
		})
	}
}

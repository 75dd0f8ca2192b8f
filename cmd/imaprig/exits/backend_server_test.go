package exits

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// serverExits runs the subcommand against a server that runs, and returns its result.
func serverExits(t *testing.T, server string, args ...string) *runResult {
	t.Helper()
	args = append(args, "--server", server, "--user", "u", "--password", "secret", "--sessions", "4")
	if !slices.Contains(args, "--after") {
		args = append(args, "--after", "1s,10s")
	}
	return exitsOf(t, rig.ExitOK, args...)
}

// TestExitsServer runs servers that were running before: what they keep is counted, and is no fault of the proxy.
func TestExitsServer(t *testing.T) {
	t.Parallel()
	program := ownProgram(t)
	pid := fmt.Sprint(os.Getpid())
	endings := []string{"before-login", "login-refused", "idle", "in-idle", "mid-fetch", "mid-append", "rst", "logout",
		"half-close"}
	kept := func(n int, of ...string) map[string]int { // by ending
		m := map[string]int{}
		for _, e := range of {
			m[e] = n
		}
		return m
	}
	// a client that resets, and one that closes with unread data, leaves no socket, but the server's program forgets it
	leave := []string{"before-login", "login-refused", "idle", "in-idle", "mid-append", "half-close"}
	direct := []string{"--peer", proxyDirect, "--after", "1s"}
	known := append(slices.Clone(direct), "--server-pid", pid)
	tests := []struct {
		name                   string
		server                 scripted
		addr                   string
		args                   []string
		closeWait, descriptors map[string]int
	}{
		{"clean", scripted{}, rigtest.AnyPort, known, nil, nil},
		{"forgets", scripted{forgets: true}, rigtest.AnyPort, known,
			kept(4, leave...), kept(4, append([]string{"mid-fetch", "rst"}, leave...)...)},
		{"forgets, IPv6", scripted{forgets: true}, "[::1]:0", []string{"--self", program, "--server-pid", pid}, nil,
			kept(4, "mid-append")},
		{"its process is not known", scripted{forgets: true}, rigtest.AnyPort, direct,
			kept(4, leave...), kept(-1, endings...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := append(slices.Clone(tt.args), "--endings", strings.Join(endings, ","))
			r := serverExits(t, tt.server.start(t, tt.addr), args...)
			if known := len(r.Backend.Unknown) == 0; r.Backend.Kind != kindServer ||
				known != slices.Contains(tt.args, "--server-pid") {
				t.Errorf("the backend is %+v", r.Backend)
			}
			if n := len(r.Proxies[0].Cells); n != len(endings) {
				t.Errorf("%d cells, want %d", n, len(endings))
			}
			for _, c := range r.Proxies[0].Cells {
				last := c.Counts[len(c.Counts)-1]
				closeWait := last.Backend[wire.StateCloseWait].Sockets
				if closeWait != tt.closeWait[c.Ending] || last.JavaFDs != tt.descriptors[c.Ending] || c.Problem != "" {
					t.Errorf("%v: %d in CLOSE_WAIT, %d descriptors, want %d and %d; %s", c.cell, closeWait,
						last.JavaFDs, tt.closeWait[c.Ending], tt.descriptors[c.Ending], c.Problem)
				}
			}
		})
	}
}

// TestExitsServerLacks leaves out what the server can't do, and says so.
func TestExitsServerLacks(t *testing.T) {
	rigtest.NotQuick(t)
	t.Parallel()
	s := scripted{answers: map[string]string{
		"CAPABILITY": "* CAPABILITY IMAP4rev1\r\nTAG OK done\r\n",
		"SELECT":     "* 0 EXISTS\r\nTAG OK selected\r\n",
		"LOGIN":      "TAG OK as you like\r\n",
	}}
	r := serverExits(t, s.start(t, rigtest.AnyPort), "--peer", proxyDirect, "--after", "1s")
	noMessage := `the mailbox "INBOX" has no message of 1048576 bytes or more`
	want := map[string]string{
		"in-idle": "the server has no IDLE", "login-refused": "the server takes any password",
		"mid-fetch": noMessage, "mid-fetch-small": noMessage,
	}
	for _, c := range r.Proxies[0].Cells {
		if c.Ending != "vanish" && c.NotRun != want[c.Ending] {
			t.Errorf("%v: not run %q, want %q", c.cell, c.NotRun, want[c.Ending])
		}
	}
}

// TestExitsServerInContainer runs a server in a network namespace of its own, whose sockets only its process shows.
func TestExitsServerInContainer(t *testing.T) {
	rigtest.NeedRoot(t)
	rigtest.NeedPrograms(t, "nsenter")
	t.Parallel()
	ns, err := rig.NewNamespace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ns.Remove(); err != nil {
			t.Error(err)
		}
	})
	host, err := ns.NewClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path, err := ns.Path()
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	addr := host.String() + ":1430"
	server := exec.Command("nsenter", "--net="+path, own, "backend", "--ignore-eof", "--listen", addr)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	rigtest.Eventually(t, func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	r := serverExits(t, addr, "--peer", proxyDirect, "--after", "1s", "--server-pid", fmt.Sprint(server.Process.Pid),
		"--endings", "idle,logout")
	got := ""
	for _, p := range r.Proxies {
		for _, c := range p.Cells {
			last := c.Counts[len(c.Counts)-1]
			closeWait := last.Backend[wire.StateCloseWait].Sockets
			got += fmt.Sprintf("%s %s %d %d\n", p.Name, c.Ending, closeWait, last.JavaFDs)
		}
	}
	if want := "direct idle 4 4\ndirect logout 0 0\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestExitsBadServer wants one sentence, exit status 2 and no process left of what can't be tested.
func TestExitsBadServer(t *testing.T) {
	rigtest.NotQuick(t)
	listener, err := net.Listen("tcp", rigtest.AnyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	taken := fmt.Sprint(rigtest.Addr(listener.Addr().String()).Port())
	closed, err := rig.FreeAddr(rigtest.Addr(rigtest.AnyPort).Addr())
	if err != nil {
		t.Fatal(err)
	}
	good := scripted{}.start(t, rigtest.AnyPort)
	answering := func(verb, text string) string {
		return scripted{answers: map[string]string{verb: text}}.start(t, rigtest.AnyPort)
	}
	greeting := func(text string) string { return scripted{greeting: text}.start(t, rigtest.AnyPort) }
	noIdle := answering("CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK\r\n")
	tests := []struct {
		server string
		args   []string
		want   string
	}{
		{greeting("220 mail.example ESMTP\r\n"), nil, `does not speak IMAP: it greets with "220 mail.example ESMTP"`},
		{greeting("* PREAUTH hello\r\n"), nil, "greets with PREAUTH, so no client logs in there"},
		{greeting("* BYE too busy\r\n"), nil, `refuses connections: "* BYE too busy"`},
		{listener.Addr().String(), nil, "says nothing for 200ms: want the greeting of an IMAP server, in clear"},
		{closed.String(), nil, "can't be reached: dial tcp"},
		{"no-such-host.invalid:143", nil, "can't be reached: dial tcp"},
		{answering("LOGIN", "TAG NO [AUTHENTICATIONFAILED] who?\r\n"), nil,
			`refuses the user "u": "NO [AUTHENTICATIONFAILED] who?"`},
		{answering("LOGIN", ""), nil, `does not answer within 2s when it is asked for the user "u"`},
		{answering("CAPABILITY", "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nTAG OK\r\n"), nil,
			"takes no login without TLS (LOGINDISABLED)"},
		{answering("SELECT", "TAG NO no such mailbox\r\n"), []string{"--mailbox", "Big"}, `refuses the mailbox "Big"`},
		{noIdle, []string{"--endings", "idle,in-idle"}, "--endings in-idle: can't be run: the server has no IDLE"},
		{good, []string{"--server-pid", "999999999"}, "--server-pid 999999999: no such process"},
		{"", []string{"--proxy", good, "--backend-port", taken}, "port " + taken + " is in use"},
		{"", []string{"--backend", "davmail", "--proxy", good, "--backend-port", taken},
			"port " + taken + " is in use"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			args := append(tt.args, "--user", "u", "--password", "secret", "--java-backend", rigtest.JavaSource(t))
			if tt.server != "" {
				args = append(tt.args, "--user", "u", "--password", "secret", "--server", tt.server)
			}
			if !slices.Contains(args, "--proxy") {
				args = append(args, "--peer", proxyDirect)
			}
			o, err := parse(args, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case strings.Contains(tt.want, "says nothing for 200ms"):
				o.patience = 200 * time.Millisecond
			case strings.Contains(tt.want, "within 2s"): // what comes before is answered
				o.patience = 2 * time.Second
			}
			var stdout, stderr strings.Builder
			code := o.runAndReport(t.Context(), &stdout, &stderr)
			if code != rig.ExitUsage || !strings.Contains(stderr.String(), tt.want) || stdout.String() != "" ||
				strings.Count(stderr.String(), "\n") != 1 || strings.Contains(stderr.String(), "secret") {
				t.Errorf("code %d, want 2 and %q\n%s%s", code, tt.want, stdout.String(), stderr.String())
			}
			noChildren(t)
		})
	}
}

// noChildren wants no process that this one has started.
func noChildren(t *testing.T) {
	t.Helper()
	all, err := procfs.AllProcs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if stat, err := p.Stat(); err == nil && stat.PPID == os.Getpid() {
			t.Errorf("process %d is left: %s", stat.PID, stat.Comm)
		}
	}
}

package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestBadInput wants one clear sentence and exit code 2 where the cause is what the user gave, and no process left.
func TestBadInput(t *testing.T) {
	taken := listening(t)
	port := taken[strings.LastIndexByte(taken, ':')+1:]
	free, err := rig.FreeAddr(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	java := filepath.Join(rigtest.Root(t), "testdata/javabackend/JavaBackend.java")
	tests := []struct{ args, want string }{
		{"backend --listen " + taken, "imaprig backend: port " + port + " of 127.0.0.1 is in use\n"},
		{"backend --listen 127.0.0.1:0 --tls-listen " + taken,
			"imaprig backend: port " + port + " of 127.0.0.1 is in use\n"},
		{"backend --listen 192.0.2.1:143", "imaprig backend: 192.0.2.1 is no address of this machine\n"},
		{"backend --listen 143", "imaprig backend: listen on 143: address 143: missing port in address\n"},
		{"authserver --listen " + taken, "imaprig authserver: port " + port + " of 127.0.0.1 is in use\n"},
		{"bench --rows nosuch", "imaprig bench: --rows nosuch: no row has such a name; there are idle in IDLE"},
		{"bench --self /no/such/program", "imaprig bench: imapproxy: no program /no/such/program: build it with make"},
		{"closewait --self /no/such/program --peer imapproxy",
			"imaprig closewait: imapproxy: no program /no/such/program: build it with make"},
		{"closewait --peer nosuch", `imaprig closewait: no peer "nosuch"; there are imapproxy, nginx`},
		{"closewait nginx", `imaprig closewait: "nginx": want flags only`},
		{"exhaust nginx", `"nginx": want flags only; the proxy goes after --proxy or --peer; see `},
		{"exhaust --peer imapproxy --java-backend /no/such.java",
			"imaprig exhaust: imapproxy: no Java backend at /no/such.java: give its source with --java-backend FILE\n"},
		{"exhaust --proxy no..such:143", `imaprig exhaust: --proxy: "no..such:143": there is no host no..such`},
		{"exhaust --proxy 127.0.0.1:143 --sessions x", `"x" for flag -sessions: want a number; see `},
		{fmt.Sprintf("exhaust --proxy %s --backend-port %d --java-backend %s", taken, free.Port(), java),
			"a JDK of 17 or later is needed"},
		{"exits --peer direct --json /no/such/file",
			"imaprig exits: the report can't be written: open /no/such/file: "},
		{"load",
			"imaprig load: want one MODE, of login, rtt, fetch, append, idle, mixed, literals, handshakes, scale\n"},
		{"load mixd --proxy " + taken, `; got "mixd"; did you mean mixed?`},
		{"load login idle --proxy " + taken, `; got "login idle"`},
		{"load login --proxy 127.0.0.1:99999", `imaprig load: --proxy "127.0.0.1:99999": want host:port, such as`},
		{"load login --proxy " + taken + " --limit 100ms",
			"does not greet as an IMAP server: it says nothing for 100ms"},
	}
	t.Setenv("PATH", t.TempDir()) // no java
	for _, tt := range tests {
		var stdout, stderr strings.Builder
		code := run(strings.Fields(tt.args), &stdout, &stderr)
		if code != rig.ExitUsage || stdout.String() != "" || !strings.Contains(stderr.String(), tt.want) ||
			strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: code %d, stdout %q, stderr %q; want 2, nothing and one line, %q", tt.args, code,
				stdout.String(), stderr.String(), tt.want)
		}
	}
	if left := children(t); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// listening returns an address that is taken, by a server that says nothing.
func listening(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", rigtest.AnyPort)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

// children returns the processes that we have started and that are there still, a zombie too.
func children(t *testing.T) (found []string) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, fields, _ := strings.Cut(string(text), ") ")
		if words := strings.Fields(fields); len(words) > 1 && words[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, string(text))
		}
	}
	return found
}

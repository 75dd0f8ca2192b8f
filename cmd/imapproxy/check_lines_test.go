package main

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// linesConfig has a file of each kind whose faults come several at a time.
const linesConfig = `hostname = "proxy.example.org"
route = { type = "map", file = "map" }
target = [{ name = "one", addresses = ["127.0.0.1:1"], tls = "off", master_user = "x", master_password_file = "x" }]
[auth]
type = "file"
file = "users"
external = { from = "email", file = "certificates" }
[[listener]]
name = "imap"
address = "127.0.0.1:0"
tls = "off"
`

// fourFaults is a map, a file of users or one of certificates with faults in the lines 2,
// 4, 9 and 10.
const fourFaults = "#\na\n#\nb\n#\n#\n#\n#\nc\nd\n"

// goodLines are files without a fault.
func goodLines(t *testing.T, folder string) {
	t.Helper()
	for name, text := range map[string]string{"x.toml": linesConfig, "x": "secret\n", "map": "* one\n",
		"users": "alice:" + sampleHash + "\n", "certificates": "alice alice@example.org\n"} {
		mustWrite(t, filepath.Join(folder, name), text)
	}
}

// errorsOf says which lines are at fault, in order.
func errorsOf(file string) []string {
	var places []string
	for _, line := range []int{2, 4, 9, 10} {
		places = append(places, fmt.Sprintf(": %s:%d: ", file, line))
	}
	return places
}

// TestFaultsStandOneOnALine: each fault of a file is a line of its own, in the order of
// the file, in what check, serve and other commands print.
func TestFaultsStandOneOnALine(t *testing.T) {
	for file, key := range map[string]string{"map": "route.file", "users": "auth.file",
		"certificates": "auth.external.file"} {
		t.Run(file, func(t *testing.T) {
			folder := t.TempDir()
			goodLines(t, folder)
			mustWrite(t, filepath.Join(folder, file), fourFaults)
			for _, args := range []string{"check", "serve", "route alice"} {
				code, _, stderr := runIn(t, folder, "", append(strings.Fields(args), "--config", "x.toml")...)
				var lines []string
				for line := range strings.Lines(stderr) {
					if strings.Contains(line, ": error: "+key+": ") {
						lines = append(lines, line)
					}
				}
				want := errorsOf(file)
				if code != exitFailed || len(lines) != len(want) || strings.Contains(stderr, `\u000a`) {
					t.Fatalf("%s: code %d, %d lines:\n%s", args, code, len(lines), stderr)
				}
				for i := range want {
					if !strings.Contains(lines[i], want[i]) {
						t.Errorf("%s: line %d lacks %q: %s", args, i+1, want[i], lines[i])
					}
				}
			}
		})
	}
}

// TestListenersFailOneOnALine: serve says of each listener why it can't listen.
func TestListenersFailOneOnALine(t *testing.T) {
	folder := t.TempDir()
	goodLines(t, folder)
	taken := takenListeners(t, 3)
	mustWrite(t, filepath.Join(folder, "x.toml"), linesConfig+taken)
	code, _, stderr := runIn(t, folder, "", "serve", "--config", "x.toml")
	if code != exitFailed || strings.Count(stderr, "imapproxy: listener taken") != 3 ||
		strings.Contains(stderr, `\u000a`) {
		t.Errorf("code %d:\n%s", code, stderr)
	}
}

// takenListeners are sections of listeners whose ports are in use.
func takenListeners(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		try(t, "listen", err)
		t.Cleanup(func() { _ = ln.Close() })
		fmt.Fprintf(&b, "[[listener]]\nname = \"taken%d\"\naddress = %q\ntls = \"off\"\n", i, ln.Addr())
	}
	return b.String()
}

// TestReloadSaysOneOnALine: a reload that fails logs a line for each reason.
func TestReloadSaysOneOnALine(t *testing.T) {
	folder := t.TempDir()
	goodLines(t, folder)
	process, out, wait := startProgram(t, folder, "serve", "--config", "x.toml")
	eventually(t, "start", func() (bool, string) { return strings.Contains(out.String(), `"listening"`), out.String() })
	reload := func(reasons int) []map[string]any {
		t.Helper()
		before := len(out.String())
		try(t, "signal", process.Signal(syscall.SIGHUP))
		var entries []map[string]any
		eventually(t, "reload", func() (bool, string) {
			said := out.String()[before:]
			return strings.Count(said, "not reloaded") == reasons && strings.HasSuffix(said, "\n"), said
		})
		for line := range strings.Lines(out.String()[before:]) {
			entry := map[string]any{}
			try(t, line, json.Unmarshal([]byte(line), &entry))
			entries = append(entries, entry)
		}
		return entries
	}
	mustWrite(t, filepath.Join(folder, "map"), fourFaults)
	findings := 0
	for _, entry := range reload(1) {
		finding, _ := entry["finding"].(string)
		if strings.Contains(finding, "route.file: map:") {
			if want := errorsOf("map")[findings]; strings.Contains(finding, "\n") || !strings.Contains(finding, want) {
				t.Errorf("finding %q, want %q", finding, want)
			}
			findings++
		}
	}
	if findings != 4 {
		t.Errorf("%d findings", findings)
	}
	mustWrite(t, filepath.Join(folder, "map"), "* one\n")
	mustWrite(t, filepath.Join(folder, "x.toml"), linesConfig+takenListeners(t, 3))
	for i, entry := range reload(3) {
		why, _ := entry["error"].(string)
		want := fmt.Sprintf("listener taken%d can't listen on ", i)
		if entry["message"] != "not reloaded: nothing has changed" || !strings.HasPrefix(why, want) ||
			strings.Contains(why, "\n") {
			t.Errorf("line %d: %v", i+1, entry)
		}
	}
	try(t, "signal", process.Signal(syscall.SIGTERM))
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

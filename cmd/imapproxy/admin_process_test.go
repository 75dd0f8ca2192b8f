package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startProgram runs imapproxy as a process of its own, and gives what it
// writes. wait gives its exit code.
func startProgram(t *testing.T, folder string, args ...string) (p *os.Process, out *logBook, wait func() int) {
	t.Helper()
	return startProgramLogging(t, nil, folder, args...)
}

// startProgramLogging is startProgram with a file of its own for standard
// error; nil puts it to the rest.
func startProgramLogging(t *testing.T, log *os.File, folder string, args ...string) (p *os.Process, out *logBook,
	wait func() int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out = &logBook{}
	cmd := exec.Command(self, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, out, out
	if log != nil {
		cmd.Stderr = log
	}
	// The race detector would wait for a second before the exit.
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+folder, "GORACE=atexit_sleep_ms=0")
	if _, err := cmd.StdinPipe(); err != nil { // ends with the test binary, or with Wait
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { defer close(over); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-over
		if t.Failed() {
			t.Logf("it wrote:\n%s", out)
		}
	})
	return cmd.Process, out, func() int {
		t.Helper()
		select {
		case <-over:
			return cmd.ProcessState.ExitCode()
		case <-time.After(patience):
			t.Fatal("the process has not ended")
			return -1
		}
	}
}

// TestServeWithAdmin: `imapproxy serve` answers, drains when it is asked to, and
// leaves no socket behind.
func TestServeWithAdmin(t *testing.T) {
	folder := t.TempDir()
	mustWrite(t, filepath.Join(folder, "x.toml"), `listener = [{ name = "imap", address = "127.0.0.1:0", tls = "off" }]
hostname = "proxy.example.org"
auth = { type = "passthrough" }
route = { type = "fixed", target = "one" }
target = [{ name = "one", addresses = ["127.0.0.1:1"], tls = "off" }]
admin = { address = "unix:admin.sock" }
`)
	_, _, wait := startProgram(t, folder, "serve", "--config", "x.toml")
	socket := filepath.Join(folder, "admin.sock")
	eventually(t, "admin listener", func() (bool, string) {
		code, stdout, stderr := runIn(t, folder, "", "sessions", "--config", "x.toml")
		return code == exitOK && strings.HasSuffix(stdout, "\n0 sessions\n"), stdout + stderr
	})
	if code, stdout, stderr := runIn(t, folder, "", "drain", "--config", "x.toml"); code != exitOK {
		t.Errorf("drain: code %d\n%s%s", code, stdout, stderr)
	}
	if code := wait(); code != exitOK || fileExists(socket) {
		t.Errorf("exit code %d; the socket is there: %v", code, fileExists(socket))
	}
}

// TestDemoWithAdmin wants the demo to have an admin listener, and to say in one piece how it is asked.
func TestDemoWithAdmin(t *testing.T) {
	folder := t.TempDir()
	process, out, wait := startProgram(t, folder, "demo", "--plain", "127.0.0.1:0", "--tls", "127.0.0.1:0")
	told := regexp.MustCompile(`(?m)^  \S+ sessions (--config \S+)$`)
	var args []string
	eventually(t, "demo", func() (bool, string) {
		m := told.FindStringSubmatch(out.String())
		if m == nil {
			return false, out.String()
		}
		args = strings.Fields(m[1])
		return true, ""
	})
	_, welcome, _ := strings.Cut(out.String(), "imapproxy demo: ")
	welcome, _, _ = strings.Cut(welcome, "Ctrl-C ends the demo")
	if strings.Contains(welcome, `"level"`) {
		t.Errorf("the log stands in the middle of what the demo tells:\n%s", welcome)
	}
	if code, stdout, stderr := runIn(t, folder, "", append([]string{"sessions"}, args...)...); code != exitOK ||
		!strings.HasSuffix(stdout, "\n0 sessions\n") {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
	if err := process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

package main

import (
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"imapproxy/cmd/imapproxy/logging"
)

// probedProxy runs a proxy in this process, and writes alice's password to the file "password" in its folder.
func probedProxy(t *testing.T) (folder, file string, d *daemon) {
	t.Helper()
	backends, err := startDemoBackends(demoUsers())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backends.close)
	folder = t.TempDir()
	file, err = writeDemo(folder, demoOptions{"127.0.0.1:0", "127.0.0.1:0"}, backends)
	if err != nil {
		t.Fatal(err)
	}
	g, r := loadGeneration(file)
	if r.Failed() {
		t.Fatal(r.Sorted())
	}
	log, lines := logging.New(g.Config.Log, io.Discard)
	t.Cleanup(func() { _ = lines.Close(logFlushLimit) })
	d = newDaemon(g, nil, log, lines)
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.server.Close(); d.serving.Wait(); d.admin.stop(); g.close() })
	mustWrite(t, filepath.Join(folder, "password"), "wonderland\n")
	return folder, file, d
}

// TestProbeOfTheRealProxy logs in through a running proxy, in each way.
func TestProbeOfTheRealProxy(t *testing.T) {
	folder, file, d := probedProxy(t)
	for _, listener := range []string{"imap", "imaps"} {
		address := d.sockets[listener].Addr().String()
		code, stdout, stderr := runIn(t, folder, "", "probe", "alice", "--config", file, "--listener", listener,
			"--address", address, "--password-file", "password")
		if code != exitOK || !strings.Contains(stdout, "LOGOUT") || !strings.Contains(stdout, "TLS 1.3") {
			t.Errorf("%s: code %d\n%s%s", listener, code, stdout, stderr)
		}
		code, stdout, stderr = runIn(t, folder, "nonsense\n", "probe", "alice", "--config", file,
			"--listener", listener, "--address", address)
		if code != exitFailed || !strings.Contains(stderr, "AUTHENTICATIONFAILED") ||
			strings.Contains(stdout+stderr, "nonsense") {
			t.Errorf("%s: code %d\n%s%s", listener, code, stdout, stderr)
		}
	}
}

// TestProbeStays goes through IDLE to LOGOUT when its time is over, and when it is interrupted, and says what the proxy
// says when it ends the session.
func TestProbeStays(t *testing.T) {
	folder, file, d := probedProxy(t)
	args := []string{"probe", "alice", "--config", file, "--address", d.sockets["imap"].Addr().String(),
		"--password-file", "password", "--stay"}
	code, stdout, stderr := runIn(t, folder, "", append(args, "50ms")...)
	if code != exitOK {
		t.Errorf("code %d, %s", code, stderr)
	}
	_, table, _ := strings.Cut(stdout, "alice is logged in, in IDLE for 50ms; Ctrl-C ends it\n")
	checkPhases(t, table, "connect greeting TLS login NOOP IDLE LOGOUT total")

	process, out, wait := startProgram(t, folder, append(args, "10m")...)
	eventually(t, "IDLE", func() (bool, string) { return strings.Contains(out.String(), "logged in"), out.String() })
	try(t, "signal", process.Signal(syscall.SIGINT))
	if code := wait(); code != exitOK || !strings.Contains(out.String(), "LOGOUT") {
		t.Errorf("interrupted: code %d\n%s", code, out)
	}

	_, out, wait = startProgram(t, folder, append(args, "10m")...)
	eventually(t, "IDLE", func() (bool, string) { return strings.Contains(out.String(), "logged in"), out.String() })
	eventually(t, "the session", func() (bool, string) {
		code, stdout, stderr := runIn(t, folder, "", "kick", "--user", "alice", "--config", file)
		return code == exitOK, stdout + stderr
	})
	if code := wait(); code != exitFailed || !strings.Contains(out.String(), "IDLE failed: * BYE") {
		t.Errorf("kicked: code %d\n%s", code, out)
	}
}

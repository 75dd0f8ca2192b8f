package config

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asNobody says in its environment that a test has been started again as a user without
// privileges.
const asNobody = "IMAPPROXY_TEST_AS_NOBODY"

// TestDenied reads a file as a user who may not: the first thing in the way is named, through
// symbolic links as certbot makes them, and the command removes it.
func TestDenied(t *testing.T) {
	if file := os.Getenv(asNobody); file != "" {
		r := &Report{}
		if _, err := ReadLimited(file, 100); err != nil {
			r.Unreadable(Place{File: "x.toml"}, "key", "name a file", Path(file), err)
		}
		r.Print(os.Stdout)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can become another user; run the tests as root")
	}
	folder, err := os.MkdirTemp("/tmp", "denied")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	in := func(name string) string { return filepath.Join(folder, name) }
	for name, mode := range map[string]fs.FileMode{"": 0o755, "live": 0o700, "archive": 0o700} {
		if err := os.MkdirAll(in(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(in(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, in("archive/key 1.pem"), "secret")
	if err := os.Symlink("../archive/key 1.pem", in("live/key.pem")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ what, path, mode string }{
		{"enter " + in("live"), in("live"), "g+x"},
		{"enter " + in("archive"), in("archive"), "g+x"},
		{"read it", "'" + in("archive/key 1.pem") + "'", "g+r"},
		{},
	} {
		got := readAsNobody(t, in("live/key.pem"))
		if want.what == "" {
			if got != "" {
				t.Errorf("after all commands: %s", got)
			}
			break
		}
		command := "chgrp nogroup " + want.path + " && chmod " + want.mode + " " + want.path
		text := "x.toml:1: error: key: " + in("live/key.pem") + ": permission denied: the user nobody may not " +
			want.what + "; as root: " + command + "\n"
		if got != text {
			t.Errorf("got  %swant %s", got, text)
		}
		if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v, %s", command, err, out)
		}
	}
}

// readAsNobody runs the test again as nobody and returns what is reported.
func readAsNobody(t *testing.T, file string) string {
	t.Helper()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(filepath.Dir(filepath.Dir(file)), "test") // go test's own folder is closed to nobody
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestDenied$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), asNobody+"="+file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, _, _ := strings.Cut(string(out), "PASS")
	return text
}

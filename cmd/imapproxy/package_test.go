package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDebianPackage builds the package, installs it, runs the unit's command as
// its user, logs in, and removes it: nothing is left.
func TestDebianPackage(t *testing.T) {
	notQuick(t)
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: installing a package needs root")
	}
	for _, program := range []string{"dpkg", "man", "systemd-analyze"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is missing", program)
		}
	}
	if exec.Command("dpkg", "-s", "imapproxy").Run() == nil {
		t.Skip("SKIPPED: imapproxy is installed on this machine")
	}
	root, err := filepath.Abs("../..")
	try(t, "folder", err)
	build := exec.Command("scripts/deb", "v1.2.3-test")
	build.Dir = root
	succeeds(t, build)
	packages, err := filepath.Glob(filepath.Join(root, "dist/*.deb"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("packages %v, error %v", packages, err)
	}
	t.Cleanup(func() { _ = exec.Command("dpkg", "--purge", "imapproxy").Run() })
	succeeds(t, exec.Command("dpkg", "--install", packages[0]))

	checkManuals(t, filepath.Join(root, "dist/man"))
	checkExtras(t)
	unit := readUnit(t, "/usr/lib/systemd/system/imapproxy.service")
	succeeds(t, exec.Command("systemd-analyze", "verify", "/usr/lib/systemd/system/imapproxy.service"))
	checked := succeeds(t, asUser(t, unit["User"], unit["ExecStartPre"]))
	if checked != "/etc/imapproxy/imapproxy.toml: ok\n" {
		t.Errorf("check says %q", checked)
	}
	logInToPackage(t, unit)

	succeeds(t, exec.Command("dpkg", "--purge", "imapproxy"))
	for _, path := range []string{"/usr/bin/imapproxy", "/usr/bin/imaprig", "/etc/imapproxy",
		"/usr/lib/systemd/system/imapproxy.service", "/usr/share/doc/imapproxy", "/etc/logrotate.d/imapproxy",
		"/etc/fail2ban/filter.d/imapproxy.conf", "/etc/fail2ban/jail.d/imapproxy.conf"} {
		if fileExists(path) {
			t.Errorf("%s is left", path)
		}
	}
	if _, err := user.Lookup("imapproxy"); err == nil {
		t.Error("the user is left")
	}
}

// succeeds runs a program that must end well and gives what it prints.
func succeeds(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// checkManuals formats each page; man warns of what it does not understand.
func checkManuals(t *testing.T, folder string) {
	t.Helper()
	for page, text := range map[string]string{"imapproxy.8": "serve", "imapproxy.toml.5": "proxy_protocol",
		"imapproxy-users.5": "$argon2id$", "imapproxy-map.5": "/^u([0-9]+)@", "imaprig.1": "exhaust"} {
		packed, err := os.Open(filepath.Join(folder, page+".gz"))
		try(t, "page", err)
		plain, err := gzip.NewReader(packed)
		try(t, "page", err)
		source, err := io.ReadAll(plain)
		try(t, "page", err)
		_ = packed.Close()
		file := filepath.Join(t.TempDir(), page)
		mustWrite(t, file, string(source))
		cmd := exec.Command("man", "--warnings", "-E", "UTF-8", "-l", file)
		cmd.Env = append(os.Environ(), "MANWIDTH=100", "MANROFFSEQ=", "LC_ALL=C.UTF-8")
		var shown, warnings bytes.Buffer
		cmd.Stdout, cmd.Stderr = &shown, &warnings
		try(t, "man", cmd.Run())
		if !strings.Contains(shown.String(), text) || warnings.Len() > 0 {
			t.Errorf("%s: %s\n%s", page, &warnings, &shown)
		}
	}
}

// checkExtras looks at what the package brings for other programs: they take it, and
// it changes nothing by itself.
func checkExtras(t *testing.T) {
	t.Helper()
	if jail := mustRead(t, "/etc/fail2ban/jail.d/imapproxy.conf"); !strings.Contains(jail, "\nenabled = false\n") {
		t.Errorf("the jail is switched on:\n%s", jail)
	}
	for _, file := range []string{"/etc/fail2ban/filter.d/imapproxy.conf",
		"/usr/share/zsh/vendor-completions/_imapproxy",
		"/usr/share/fish/vendor_completions.d/imapproxy.fish", "/usr/share/doc/imapproxy/examples/prometheus.yml"} {
		if mustRead(t, file) == "" {
			t.Errorf("%s is empty", file)
		}
	}
	for _, program := range []string{"imapproxy", "imaprig"} {
		succeeds(t, exec.Command("bash", "-euc", `source "$0"; complete -p "$1"`,
			"/usr/share/bash-completion/completions/"+program, program))
	}
	need(t, "logrotate")
	succeeds(t, exec.Command(programPath("logrotate"), "--debug", "/etc/logrotate.d/imapproxy"))
}

// readUnit gives the last value of each key of a unit.
func readUnit(t *testing.T, file string) map[string]string {
	t.Helper()
	unit := map[string]string{}
	for line := range strings.Lines(mustRead(t, file)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") {
			unit[key] = value
		}
	}
	return unit
}

// asUser is a command line of the unit, run as its user without rights.
func asUser(t *testing.T, name, line string) *exec.Cmd {
	t.Helper()
	u, err := user.Lookup(name)
	try(t, "user", err)
	uid, err := strconv.Atoi(u.Uid)
	try(t, "uid", err)
	gid, err := strconv.Atoi(u.Gid)
	try(t, "gid", err)
	words := strings.Fields(line)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return cmd
}

// logInToPackage runs the unit's command with the configuration of the package,
// but for ports, and logs in.
func logInToPackage(t *testing.T, unit map[string]string) {
	t.Helper()
	backends, err := startDemoBackends([]demoUser{{"alice", canary, "one"}})
	try(t, "backend", err)
	defer backends.close()
	const file = "/etc/imapproxy/imapproxy.toml"
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	text := strings.NewReplacer("127.0.0.1:143", address,
		"127.0.0.1:10143", backends.addresses["one"]).Replace(mustRead(t, file))
	try(t, "configuration", os.WriteFile(file, []byte(text), 0o640)) // of the same owner as before

	cmd := asUser(t, unit["User"], unit["ExecStart"])
	run := filepath.Join("/run", unit["RuntimeDirectory"]) // what systemd makes
	try(t, "runtime folder", os.MkdirAll(run, 0o750))
	defer func() { _ = os.RemoveAll(run) }()
	try(t, "owner", os.Chown(run, int(cmd.SysProcAttr.Credential.Uid), int(cmd.SysProcAttr.Credential.Gid)))
	out := &logBook{}
	cmd.Stdout, cmd.Stderr = out, out
	try(t, "start", cmd.Start())
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	l := &load{t: t, address: address, over: make(chan struct{})}
	eventually(t, "listening",
		func() (bool, string) { return strings.Contains(out.String(), "listening"), out.String() })
	l.visit()
	if _, refused, _, troubles := l.stop(); refused != 0 {
		t.Errorf("%s\n%s", troubles, out)
	}
	if sessions := succeeds(t, exec.Command("/usr/bin/imapproxy", "sessions")); !strings.Contains(sessions,
		"0 sessions") {
		t.Errorf("sessions prints %q", sessions)
	}
	try(t, "signal", cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-over:
		try(t, "exit", err)
	case <-time.After(20 * time.Second):
		t.Fatalf("it has not ended:\n%s", out)
	}
}

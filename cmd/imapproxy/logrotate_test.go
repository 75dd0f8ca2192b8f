package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLogrotate has logrotate rotate the log of a running proxy by the
// package's file: what comes before is in the old file, what comes after in the new one.
func TestLogrotate(t *testing.T) {
	need(t, "logrotate")
	folder, port := t.TempDir(), freePort(t)
	mustWrite(t, filepath.Join(folder, "imapproxy.toml"), fmt.Sprintf(`hostname = "proxy.example.org"
log = { file = "imapproxy.log" }
listener = [{ name = "imap", address = "127.0.0.1:%d", tls = "off" }]
auth = { type = "passthrough" }
route = { type = "fixed", target = "one" }
target = [{ name = "one", addresses = ["127.0.0.1:1"], tls = "off" }]
`, port))
	p, _, wait := startProgramLogging(t, nil, folder, "serve", "--config", "imapproxy.toml")
	log := filepath.Join(folder, "imapproxy.log")
	logs := func(file, what string, times int) {
		t.Helper()
		eventually(t, what, func() (bool, string) {
			if !fileExists(file) {
				return false, "there is no " + file
			}
			text := mustRead(t, file)
			return strings.Count(text, what) == times, text
		})
	}
	logs(log, "listening", 1)
	comeAndGo(t, fmt.Sprintf("127.0.0.1:%d", port))
	logs(log, "session ended", 1)

	// The file names the folder and the user of the package, and systemd.
	rules := mustRead(t, "../../packaging/logrotate.conf")
	for from, to := range map[string]string{"/var/log/imapproxy/": folder + "/", "\tsu imapproxy imapproxy\n": ""} {
		if strings.Count(rules, from) != 1 {
			t.Fatalf("the file does not have %q once", from)
		}
		rules = strings.Replace(rules, from, to, 1)
	}
	tools := t.TempDir()
	try(t, "systemctl", os.WriteFile(filepath.Join(tools, "systemctl"), fmt.Appendf(nil,
		"#!/bin/sh\necho \"$*\" >>%s/asked\nkill -USR1 %d\n", tools, p.Pid), 0o700))
	mustWrite(t, filepath.Join(tools, "conf"), rules)
	cmd := exec.Command(programPath("logrotate"), "--force", "--state", filepath.Join(tools, "state"),
		filepath.Join(tools, "conf"))
	cmd.Env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"))
	if said := succeeds(t, cmd); said != "" {
		t.Errorf("logrotate says %s", said)
	}
	const asked = "kill --kill-whom=main --signal=USR1 imapproxy.service imapproxy@*.service\n"
	if got := mustRead(t, filepath.Join(tools, "asked")); got != asked {
		t.Errorf("systemctl was asked %q, want %q", got, asked)
	}
	eventually(t, "a new file", func() (bool, string) { return fileExists(log), "" })
	comeAndGo(t, fmt.Sprintf("127.0.0.1:%d", port))
	logs(log, "session ended", 1)
	logs(log+".1", "session ended", 1)
	try(t, "signal", p.Signal(syscall.SIGTERM))
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestPrometheusExample has the job that the rules for alerts name, and nothing but
// keys of Prometheus; what its comment says of imapproxy is a good configuration.
func TestPrometheusExample(t *testing.T) {
	known := map[string]bool{"rule_files": true, "scrape_configs": true, "- job_name": true, "scheme": true,
		"metrics_path": true, "authorization": true, "type": true, "credentials_file": true, "static_configs": true,
		"- targets": true}
	values := map[string]string{}
	var admin strings.Builder
	for line := range strings.Lines(mustRead(t, "../../packaging/examples/prometheus.yml")) {
		if text, isComment := strings.CutPrefix(line, "#"); isComment {
			text = strings.TrimSpace(text)
			if strings.HasPrefix(text, "address =") || strings.HasPrefix(text, "token_file =") {
				admin.WriteString(text + "\n")
			}
			continue
		}
		key, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if found && !strings.HasPrefix(key, "- /") && !known[key] {
			t.Errorf("the key %q is unknown", key)
		}
		values[key] = strings.TrimSpace(value)
	}
	if job := values["- job_name"]; !strings.Contains(mustRead(t, "../../docs/alerts.yml"), `up{job="`+job+`"}`) {
		t.Errorf("the rules for alerts do not know the job %q", job)
	}
	address, _, _ := strings.Cut(strings.TrimPrefix(values["- targets"], `["`), `"`)
	if !strings.Contains(admin.String(), `address = "`+address+`"`) || values["metrics_path"] != "/metrics" {
		t.Errorf("the admin listener is not at %s:\n%s", address, &admin)
	}
	folder := t.TempDir()
	mustWrite(t, filepath.Join(folder, "admin.token"), strings.Repeat("x", 32))
	mustWrite(t, filepath.Join(folder, "imapproxy.toml"), mustRead(t, "../../packaging/imapproxy.toml"))
	text, _, _ := strings.Cut(mustRead(t, filepath.Join(folder, "imapproxy.toml")), "[admin]")
	mustWrite(t, filepath.Join(folder, "imapproxy.toml"), text+"[admin]\n"+admin.String())
	if code, _, stderr := runIn(t, folder, "", "check", "--config", "imapproxy.toml"); code != exitOK {
		t.Errorf("check: %s", stderr)
	}
}

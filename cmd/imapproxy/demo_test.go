package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestDemoLines runs the demo as make run does, and pastes each line that it prints into a shell.
func TestDemoLines(t *testing.T) {
	d := startDemo(t)
	folder := regexp.MustCompile(`(?m)^Paste into another terminal, in (.+):$`).FindStringSubmatch(d.welcome)
	if folder == nil || folder[1] != d.folder {
		t.Fatalf("it does not say in which folder, %s:\n%s", d.folder, d.welcome)
	}
	rig := d.paste("bin/imaprig closewait", "imapproxy     20           none,")
	d.paste("curl .*bob", "This mail of bob is on backend two.")()
	d.paste("curl .*alice", "This mail of alice is on backend one.")()
	d.paste("printf", "c OK ")()
	stays := d.paste("echo .* probe", "alice is logged in, in IDLE for 10m0s")
	d.until("bin/imapproxy sessions", "IDLE")
	d.paste("bin/imapproxy sessions", "alice")()
	d.paste("bin/imapproxy sockets", "ESTABLISHED")()
	const idle = `one +0 +0 +2 +0 `
	d.until("bin/imapproxy pool", idle)
	d.paste("bin/imapproxy pool", idle)()
	d.paste("bin/imapproxy kick", "1 session kicked")()
	d.exit = exitFailed
	if out := stays(); !strings.Contains(out, "* BYE") {
		t.Errorf("the client that stays does not say that it was kicked:\n%s", out)
	}
	d.exit = exitOK
	rig()
	if len(d.lines) > 0 {
		t.Errorf("lines that this test does not paste:\n%s", strings.Join(d.lines, "\n"))
	}
}

// demoRun is a demo that runs.
type demoRun struct {
	t       *testing.T
	folder  string // from which it was started
	welcome string
	lines   []string // to paste, and not pasted yet
	exit    int      // that is wanted of what is pasted
}

// startDemo builds both programs and starts the demo as make run does. The folder for temporary files has a name that a
// shell has to have in quotes.
func startDemo(t *testing.T) *demoRun {
	t.Helper()
	need(t, "go", "curl", "openssl", "nginx")
	folder, err := os.MkdirTemp("/tmp", "demo") // short, because a socket's path has at most 108 bytes
	try(t, "folder", err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	temporary := filepath.Join(folder, "it's here")
	try(t, "folder", os.Mkdir(temporary, 0o755))
	output(t, nil, "go", "build", "-buildvcs=false", "-o", filepath.Join(folder, "bin")+"/", ".", "../imaprig")
	out := &logBook{}
	cmd := exec.Command("bin/imapproxy", "demo", "--plain", fmt.Sprintf("127.0.0.1:%d", freePort(t)),
		"--tls", fmt.Sprintf("127.0.0.1:%d", freePort(t)))
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = folder, out, out, append(os.Environ(), "TMPDIR="+temporary)
	endsWithTest(cmd)
	try(t, "demo", cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the demo wrote:\n%s", out)
		}
	})
	eventually(t, "demo", func() (bool, string) {
		return strings.Contains(out.String(), "Ctrl-C ends the demo"), out.String()
	})
	d := &demoRun{t: t, folder: folder, welcome: out.String()}
	for line := range strings.Lines(d.welcome) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "  user ") {
			d.lines = append(d.lines, strings.TrimSpace(line))
		}
	}
	return d
}

// line finds a line that begins like this.
func (d *demoRun) line(begin string) string {
	d.t.Helper()
	for _, line := range d.lines {
		if regexp.MustCompile("^" + begin).MatchString(line) {
			return line
		}
	}
	d.t.Fatalf("no line begins with %s:\n%s", begin, strings.Join(d.lines, "\n"))
	return ""
}

// until runs a line that begins like this until its output matches.
func (d *demoRun) until(begin, want string) {
	d.t.Helper()
	eventually(d.t, begin, func() (bool, string) {
		cmd := exec.Command("sh", "-c", d.line(begin))
		cmd.Dir = d.folder
		out, err := cmd.CombinedOutput()
		return regexp.MustCompile(want).Match(out), fmt.Sprint(string(out), err)
	})
}

// paste runs a line that begins like this, as it is. The result waits for its end, wants its output to match, and
// returns the output.
func (d *demoRun) paste(begin, want string) func() string {
	d.t.Helper()
	line := d.line(begin)
	rest := d.lines[:0:0]
	for _, l := range d.lines {
		if l != line {
			rest = append(rest, l)
		}
	}
	d.lines = rest
	out := &logBook{}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.folder, out, out
	endsWithTest(cmd)
	try(d.t, line, cmd.Start())
	return func() string {
		d.t.Helper()
		_ = cmd.Wait() // its exit code is judged
		if code := cmd.ProcessState.ExitCode(); code != d.exit || !regexp.MustCompile(want).MatchString(out.String()) {
			d.t.Errorf("%s: exit code %d, want %d and %q:\n%s", line, code, d.exit, want, out)
		}
		return out.String()
	}
}

// TestDemoCloseWait has no line where there is no imaprig, and says how to get nginx.
func TestDemoCloseWait(t *testing.T) {
	folder := t.TempDir()
	self := filepath.Join(folder, "imapproxy")
	try(t, "program", os.WriteFile(self, nil, 0o755))
	if got := demoCloseWait(self, true); got != "" {
		t.Errorf("without imaprig: %s", got)
	}
	try(t, "program", os.WriteFile(filepath.Join(folder, "imaprig"), nil, 0o755))
	line := "\n  " + quoteForShell(filepath.Join(folder, "imaprig")) + " closewait\n"
	for _, nginx := range []bool{true, false} {
		got := demoCloseWait(self, nginx)
		if !strings.HasSuffix(got, line) || strings.Contains(got, "apt-get install nginx libnginx-mod-mail") == nginx {
			t.Errorf("nginx is there: %v; %s", nginx, got)
		}
	}
	t.Chdir(folder)
	if got := demoCloseWait("./imapproxy", true); !strings.HasSuffix(got, "\n  ./imaprig closewait\n") {
		t.Errorf("in this folder: %s", got)
	}
	t.Setenv("PATH", folder)
	if got := demoCloseWait("imapproxy", true); !strings.HasSuffix(got, "\n  imaprig closewait\n") {
		t.Errorf("in PATH: %s", got)
	}
}

func TestQuoteForShell(t *testing.T) {
	for _, word := range []string{"bin/imapproxy", "a b", "it's", "", `"$HOME"`, "-x", "é", "~"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quoteForShell(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q comes out as %q, %v", word, out, err)
		}
	}
}

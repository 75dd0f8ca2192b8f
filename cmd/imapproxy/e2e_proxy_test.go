package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

// rig is two Dovecots with the same users, and a configuration that sends ann
// to one by STARTTLS, bob to two by TLS and cat to one without TLS. Whoever is
// sent astray sees another canary.
type rig struct {
	One, Two           *dovecot
	Ann, Bob, Cat      account
	PlainPort, TLSPort int // of the proxy
	CAFile             string
	Config             string // file
}

func newRig(t *testing.T) *rig {
	t.Helper()
	users := map[string]string{"ann": "an apple", "bob": `b"an\ana`, "cat": "cherry"}
	dir := t.TempDir()
	issueCertificate(t, dir)
	r := &rig{
		One: startDovecot(t, "one", users), Two: startDovecot(t, "two", users),
		PlainPort: freePort(t), TLSPort: freePort(t),
		CAFile: filepath.Join(dir, "ca.pem"), Config: filepath.Join(dir, "imapproxy.toml"),
	}
	r.Ann = account{"ann", users["ann"], r.One}
	r.Bob = account{"bob", users["bob"], r.Two}
	r.Cat = account{"cat", users["cat"], r.One}
	write(t, filepath.Join(dir, "map"), 0o600, "ann one\n/^b(.*)$/ two\n* clear\n")
	write(t, r.Config, 0o600, fmt.Sprintf(`hostname = "proxy.example.org"

[log]
format = "json"

[[listener]]
name = "imap"
address = "127.0.0.1:%d"
tls = "starttls"
certificate = "cert.pem"
key = "key.pem"

[[listener]]
name = "imaps"
address = "127.0.0.1:%d"
tls = "implicit"
certificate = "cert.pem"
key = "key.pem"

[auth]
type = "passthrough"

[route]
type = "map"
file = "map"

[[target]]
name = "one"
addresses = ["127.0.0.1:%d"]
tls = "starttls"
ca = %q

[[target]]
name = "two"
addresses = ["127.0.0.1:%d"]
tls = "implicit"
server_name = "localhost"
ca = %q

[[target]]
name = "clear"
addresses = ["127.0.0.1:%d"]
tls = "off"
`, r.PlainPort, r.TLSPort, r.One.PlainPort, r.One.CAFile, r.Two.TLSPort, r.Two.CAFile, r.One.PlainPort))
	return r
}

// endpoint is where clients reach the proxy.
func (r *rig) endpoint(m mode) endpoint {
	if m == tlsFirst {
		return endpoint{r.TLSPort, m, r.CAFile}
	}
	return endpoint{r.PlainPort, m, r.CAFile}
}

func (r *rig) folder() string { return filepath.Dir(r.Config) }

// ask asks the admin listener, and decodes the answer.
func (r *rig) ask(method, path string, q url.Values, answer any) error {
	text, err := adminAt(config.UnixPrefix+filepath.Join(r.folder(), "admin.sock")).ask(method, path, q)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, answer)
}

// asProgram makes the test binary behave as imapproxy itself, so that tests
// run the very program, with the race detector when they have it, as a process
// of its own.
const asProgram = "IMAPPROXY_TEST_AS_PROGRAM"

// actAsProgram is main, but for the end of standard input: the test that holds
// the other end is gone then, and so is the proxy.
func actAsProgram() int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(exitFailed)
	}()
	return run(os.Args[1:], strings.NewReader(""), os.Stdout, os.Stderr)
}

// process is `imapproxy serve` as a process of its own.
type process struct {
	cmd    *exec.Cmd
	log    string // file
	done   chan struct{}
	result error // of Wait; read it once done is closed
}

// serve starts the proxy, waits until it greets, and gives the descriptors
// that it has while no client is there.
func (r *rig) serve(t *testing.T) (*process, []string) {
	t.Helper()
	return r.launch(t, r.program(t), 2)
}

// program is the proxy, not yet started.
func (r *rig) program(t *testing.T) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	try(t, "own program", err)
	cmd := exec.Command(self, "serve", "--config", r.Config)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// launch starts a program that is the proxy, as serve does. It has so many
// sockets that listen.
func (r *rig) launch(t *testing.T, program *exec.Cmd, listening int) (*process, []string) {
	t.Helper()
	p := &process{cmd: program, log: filepath.Join(t.TempDir(), "log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	try(t, "log", err)
	defer func() { _ = log.Close() }()
	// The race detector would wait for a second before the exit.
	p.cmd.Env = append(p.cmd.Environ(), "GORACE=atexit_sleep_ms=0")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	_, err = p.cmd.StdinPipe() // ends with the test binary, or with Wait
	try(t, "stdin", err)
	try(t, "serve", p.cmd.Start())
	go func() { p.result = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("log of the proxy:\n%s", p.text(t))
		}
	})
	eventually(t, "start of the proxy",
		func() (bool, string) { return greets(r.PlainPort), "no greeting:\n" + p.text(t) })
	admin := strings.Count(mustRead(t, r.Config), `"unix:admin.sock"`)
	var before []string // with two descriptors of each listener, for the daemon and the event loops
	eventually(t, "descriptors at the start", func() (bool, string) {
		before = p.descriptors(t)
		return count(before, "socket:") == 2*listening-admin, fmt.Sprintf("%q, want %d sockets that listen", before,
			listening)
	})
	if t.Failed() {
		t.FailNow()
	}
	return p, before
}

func (p *process) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.log)
	try(t, "log", err)
	return string(text)
}

// stop sends a signal and checks that the process ends within the limit with
// exit code 0 and without the race detector's word.
func (p *process) stop(t *testing.T, signal syscall.Signal, limit time.Duration) {
	t.Helper()
	try(t, "signal", p.cmd.Process.Signal(signal))
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Fatalf("the proxy runs still, %v after %v", limit, signal)
	}
	if p.result != nil {
		t.Errorf("the proxy ended with %v, want exit code 0", p.result)
	}
	if text := p.text(t); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
		t.Errorf("the proxy says:\n%s", text)
	}
}

// descriptors lists what the process has open, sockets only by their kind.
func (p *process) descriptors(t *testing.T) []string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	try(t, "descriptors", err)
	var open []string
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // closed in between
		}
		try(t, "descriptors", err)
		kind, _, _ := strings.Cut(target, "[")
		open = append(open, kind)
	}
	slices.Sort(open)
	return open
}

func count(list []string, what string) int {
	n := 0
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

// nothingLeft waits until the proxy has the descriptors it had before and no
// Dovecot has a session.
func (r *rig) nothingLeft(t *testing.T, p *process, before []string) {
	t.Helper()
	noSessions(t, r.One, r.Two)
	p.restored(t, before)
}

// restored waits until the proxy has the descriptors it had before.
func (p *process) restored(t *testing.T, before []string) {
	t.Helper()
	eventually(t, "descriptors of the proxy", func() (bool, string) {
		now := p.descriptors(t)
		others, pipes := apart(now)
		othersBefore, pipesBefore := apart(before)
		return slices.Equal(others, othersBefore) && pipes-pipesBefore <= sparePipes,
			fmt.Sprintf("%q, before they were %q", now, before)
	})
}

// sparePipes is how many ends of pipes the proxy may keep for large literals to
// come: 8 pipes, see imapproxy/loop_splice.go.
const sparePipes = 2 * 8

// apart counts the pipes' ends and gives the other descriptors.
func apart(descriptors []string) (others []string, pipes int) {
	for _, d := range descriptors {
		if strings.HasPrefix(d, "pipe:") {
			pipes++
		} else {
			others = append(others, d)
		}
	}
	return others, pipes
}

// noSecret checks that no password stands in the proxy's log, plain or as it
// is sent.
func (r *rig) noSecret(t *testing.T, p *process) {
	t.Helper()
	text := []byte(p.text(t))
	for _, a := range []account{r.Ann, r.Bob, r.Cat} {
		if bytes.Contains(text, []byte(a.Password)) || bytes.Contains(text, saslPlain(a)) {
			t.Errorf("the log holds the password of %s:\n%s", a.User, text)
		}
	}
}

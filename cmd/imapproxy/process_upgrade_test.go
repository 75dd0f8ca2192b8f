package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

// upgradeRig is a configuration that two proxies can run by.
type upgradeRig struct {
	folder  string
	address string
	handed  *os.File // the listening socket, where systemd would hold it
	program string   // "" for this test's own

	environment []string // more of it
}

func newUpgradeRig(t *testing.T, listener string) *upgradeRig {
	t.Helper()
	backends, err := startDemoBackends([]demoUser{{"alice", canary, "one"}})
	try(t, "backend", err)
	t.Cleanup(backends.close)
	r := &upgradeRig{folder: t.TempDir()}
	r.address = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	mustWrite(t, filepath.Join(r.folder, "x.toml"), fmt.Sprintf(`
[log]
level = "warn"
[[listener]]
name = "imap"
address = "%s"
tls = "off"
%s
[limits]
sessions = 1000
[auth]
type = "passthrough"
[route]
type = "fixed"
target = "one"
[[target]]
name = "one"
addresses = ["%s"]
tls = "off"
`, r.address, listener, backends.addresses["one"]))
	return r
}

// hand makes the socket that the proxies inherit.
func (r *upgradeRig) hand(t *testing.T) {
	t.Helper()
	ln, err := net.Listen("tcp", r.address)
	try(t, "listen", err)
	r.handed, err = ln.(*net.TCPListener).File()
	try(t, "file", err)
	try(t, "close", ln.Close())
	t.Cleanup(func() { _ = r.handed.Close() })
}

// upgraded is a proxy of the rig.
type upgraded struct {
	*os.Process
	over   chan struct{}
	state  *os.ProcessState
	ready  net.PacketConn // where sd_notify goes
	output *logBook
}

// serve starts a proxy and waits until it says that it is ready.
func (r *upgradeRig) serve(t *testing.T, name string) *upgraded {
	t.Helper()
	self, err := os.Executable()
	try(t, "own program", err)
	if r.program != "" {
		self = r.program
	}
	cmd := exec.Command(self, "serve", "--config", "x.toml", "--admin", "unix:"+name+".sock")
	if r.handed != nil {
		script := `LISTEN_PID=$$ exec "$0" "$@"`
		cmd = exec.Command("/bin/sh", append([]string{"-c", script}, cmd.Args...)...)
		cmd.ExtraFiles = []*os.File{r.handed}
	}
	p := &upgraded{over: make(chan struct{}), output: &logBook{}}
	notify := filepath.Join(r.folder, name+".notify")
	p.ready, err = net.ListenPacket("unixgram", notify)
	try(t, "notify socket", err)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.folder, p.output, p.output
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0", "NOTIFY_SOCKET="+notify, "LISTEN_FDS=1",
		"LISTEN_FDNAMES=imap")
	cmd.Env = append(cmd.Env, r.environment...)
	if r.handed == nil {
		cmd.Env = append(cmd.Env, "LISTEN_FDS=")
	}
	_, err = cmd.StdinPipe()
	try(t, "stdin", err)
	try(t, "start", cmd.Start())
	p.Process = cmd.Process
	go func() { defer close(p.over); _ = cmd.Wait(); p.state = cmd.ProcessState }()
	t.Cleanup(func() {
		_ = p.Kill()
		<-p.over
		_ = p.ready.Close()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, p.output)
		}
	})
	p.notified(t, "READY=1")
	return p
}

// notified waits for a word to systemd.
func (p *upgraded) notified(t *testing.T, word string) {
	t.Helper()
	buf := make([]byte, 4096)
	try(t, "deadline", p.ready.SetReadDeadline(time.Now().Add(20*time.Second)))
	for {
		n, _, err := p.ready.ReadFrom(buf)
		if err != nil {
			t.Fatalf("waiting for %s: %v\n%s", word, err, p.output)
		}
		if strings.Contains(string(buf[:n]), word) {
			return
		}
	}
}

// ends waits for the end of the process by itself.
func (p *upgraded) ends(t *testing.T) {
	t.Helper()
	select {
	case <-p.over:
	case <-time.After(30 * time.Second):
		t.Fatal("the process has not ended")
	}
	if code := p.state.ExitCode(); code != exitOK || strings.Contains(p.output.String(), "DATA RACE") {
		t.Errorf("exit code %d\n%s", code, p.output)
	}
}

func (p *upgraded) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	try(t, "signal", p.Signal(s))
}

// TestUpgradeUnderLoad replaces a running proxy by another one under 50 logins
// a second, while 200 sessions go on in the old one: none is refused, none
// is lost, and the old one ends with its last session.
func TestUpgradeUnderLoad(t *testing.T) {
	notQuick(t)
	for name, listener := range map[string]string{"SO_REUSEPORT": "reuseport = true", "sockets from systemd": ""} {
		t.Run(name, func(t *testing.T) {
			r := newUpgradeRig(t, listener)
			if listener == "" {
				r.hand(t)
			}
			old := r.serve(t, "old")
			l := startLoad(t, r.address, steadySessions)
			time.Sleep(time.Second) // of load before
			next := r.serve(t, "next")
			time.Sleep(time.Second) // of load with both
			old.signal(t, syscall.SIGQUIT)
			old.notified(t, "STATUS=retiring")
			time.Sleep(4 * time.Second) // of load that the next one has alone
			if n := sessionsOf(t, r, "old"); n != steadySessions {
				t.Errorf("the old one has %d sessions, want the %d that stay", n, steadySessions)
			}
			logins, refused, lost, troubles := l.stop()
			t.Logf("%d logins, %d refused, %d lost", logins, refused, lost)
			if logins < 5*loginsASecond || refused != 0 || lost != 0 {
				t.Errorf("%d logins, %d refused, %d lost:\n%s", logins, refused, lost, troubles)
			}
			old.ends(t)
			next.signal(t, syscall.SIGTERM)
			next.ends(t)
		})
	}
}

func sessionsOf(t *testing.T, r *upgradeRig, name string) int {
	t.Helper()
	text, err := adminAt(config.UnixPrefix+filepath.Join(r.folder, name+".sock")).ask("GET", "/sessions", nil)
	try(t, "sessions", err)
	return strings.Count(string(text), `"id"`)
}

// TestRestartUnderLoad ends a proxy and starts it again, under 50 logins a
// second, while systemd holds the socket: whoever connects in between waits.
func TestRestartUnderLoad(t *testing.T) {
	notQuick(t)
	r := newUpgradeRig(t, "")
	r.hand(t)
	old := r.serve(t, "old")
	l := startLoad(t, r.address, 0)
	time.Sleep(time.Second)
	old.signal(t, syscall.SIGQUIT)
	old.ends(t)
	time.Sleep(time.Second) // no client is there
	next := r.serve(t, "next")
	time.Sleep(time.Second)
	logins, refused, _, troubles := l.stop()
	if t.Logf("%d logins, %d refused", logins, refused); logins < 2*loginsASecond || refused != 0 {
		t.Errorf("%d logins, %d refused:\n%s", logins, refused, troubles)
	}
	next.signal(t, syscall.SIGTERM)
	next.notified(t, "STOPPING=1")
	next.ends(t)
}

// TestReloadsUnderLoad reloads 100 times under the same load: none is refused
// or lost, and the process has within 5 % the memory that it had.
func TestReloadsUnderLoad(t *testing.T) {
	notQuick(t)
	r := newUpgradeRig(t, "")
	r.environment = []string{"GOGC=100"}             // else memory is what the collector makes of the logins' garbage
	r.program = filepath.Join(r.folder, "imapproxy") // the race detector's own memory grows
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", r.program, ".").CombinedOutput()
	try(t, "build: "+string(out), err)
	p := r.serve(t, "proxy")
	l := startLoad(t, r.address, steadySessions)
	reload := func(times int) {
		for range times {
			p.signal(t, syscall.SIGHUP)
			p.notified(t, "RELOADING=1")
			p.notified(t, "READY=1")
			time.Sleep(20 * time.Millisecond)
		}
	}
	reload(scaled(100)) // until the heap has its size
	before := memoryOf(t, p.Pid)
	reload(scaled(100))
	after := memoryOf(t, p.Pid)
	logins, refused, lost, troubles := l.stop()
	t.Logf("%d logins, %d refused, %d lost; %d KiB before, %d after", logins, refused, lost, before, after)
	if refused != 0 || lost != 0 {
		t.Errorf("%d logins, %d refused, %d lost:\n%s", logins, refused, lost, troubles)
	}
	if after > before+before/20 {
		t.Errorf("%d KiB before, %d KiB after", before, after)
	}
	p.signal(t, syscall.SIGTERM)
	p.ends(t)
}

// memoryOf is the resident memory of a process in KiB: the least of several
// looks, since the collector comes and goes.
func memoryOf(t *testing.T, pid int) int {
	t.Helper()
	least := 0
	for range 20 {
		text := mustRead(t, fmt.Sprintf("/proc/%d/status", pid))
		m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no VmRSS in %q", text)
		}
		kib, err := strconv.Atoi(m[1])
		try(t, "VmRSS", err)
		if least == 0 || kib < least {
			least = kib
		}
		time.Sleep(50 * time.Millisecond)
	}
	return least
}

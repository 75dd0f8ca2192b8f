package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/imapproxy/logging"
)

// canary is the password of every login of the admin tests. It may stand in no
// answer and no log.
const canary = "c4nary-S3cret-Zq9"

// logBook keeps a log.
type logBook struct {
	mu   sync.Mutex // protects text
	text strings.Builder
}

func (b *logBook) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// adminRig is a daemon in this process in front of two backends: alice's is
// one, bob's is two.
type adminRig struct {
	t       *testing.T
	folder  string
	file    string
	rest    string // of the configuration, after [admin]
	daemon  *daemon
	log     *logBook
	signals chan os.Signal
	ended   chan struct{}
	code    int // of the daemon; read it once ended is closed
}

// The sections of the two kinds of listener.
const onSocket = `address = "unix:admin.sock"`

func onPort(port int) string {
	return fmt.Sprintf("address = \"127.0.0.1:%d\"\ntoken_file = \"admin.token\"", port)
}

// newAdminRig starts it, with what [admin] says.
func newAdminRig(t *testing.T, admin string) *adminRig {
	t.Helper()
	backends, err := startDemoBackends([]demoUser{{"alice", canary, "one"}, {"bob", canary, "two"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backends.close)
	r := &adminRig{t: t, folder: t.TempDir(), log: &logBook{}, signals: make(chan os.Signal, 1),
		ended: make(chan struct{})}
	r.file = filepath.Join(r.folder, "x.toml")
	mustWrite(t, filepath.Join(r.folder, "admin.token"), adminToken+"\n")
	mustWrite(t, filepath.Join(r.folder, "map"), "alice one\nbob two\n")
	r.rest = fmt.Sprintf(`
hostname = "proxy.example.org"
listener = [{ name = "imap", address = "127.0.0.1:0", tls = "off" }]
limits = { drain_timeout = "20s" }
auth = { type = "passthrough" }
route = { type = "map", file = "map" }
target = [
  { name = "one", addresses = ["%s"], tls = "off" },
  { name = "two", addresses = ["%s"], tls = "off" },
]
`, backends.addresses["one"], backends.addresses["two"])
	r.configure(admin)
	load := func() (*generation, *config.Report) { return loadGeneration(r.file) }
	g, found := load()
	if found.Failed() {
		t.Fatal(found.Sorted())
	}
	log, lines := logging.New(config.Log{Level: "debug", Format: "json"}, r.log)
	r.daemon = newDaemon(g, load, log, lines)
	if err := r.daemon.start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(r.ended); r.code = r.daemon.run(r.signals) }()
	t.Cleanup(func() { r.finish(lines) })
	return r
}

// configure writes the configuration.
func (r *adminRig) configure(admin string) {
	mustWrite(r.t, r.file, r.rest+"\n[admin]\n"+admin+"\n")
}

func (r *adminRig) finish(lines *logging.Writer) {
	r.signal(syscall.SIGTERM)
	r.waitEnd()
	r.daemon.admin.stop()
	r.daemon.current.close()
	if err := lines.Close(patience); err != nil {
		r.t.Error(err)
	}
	for _, secret := range []string{canary, adminToken} {
		if strings.Contains(r.log.String(), secret) {
			r.t.Errorf("the log holds a secret:\n%s", r.log)
		}
	}
	if r.t.Failed() {
		r.t.Logf("the log:\n%s", r.log)
	}
}

func (r *adminRig) signal(s os.Signal) {
	select {
	case r.signals <- s:
	case <-r.ended:
	}
}

// waitEnd waits for the daemon's end and gives its exit code.
func (r *adminRig) waitEnd() int {
	r.t.Helper()
	select {
	case <-r.ended:
		return r.code
	case <-time.After(patience):
		r.t.Fatal("the daemon has not ended")
		return -1
	}
}

// logged waits for a line of the log.
func (r *adminRig) logged(text string) {
	r.t.Helper()
	eventually(r.t, "log", func() (bool, string) { return strings.Contains(r.log.String(), text), "without " + text })
}

// address is where the admin listener listens, as --admin takes it.
func (r *adminRig) address() string { return config.UnixPrefix + filepath.Join(r.folder, "admin.sock") }

// ask sends a request as curl would, changed by change, and gives the answer.
func (r *adminRig) ask(to adminAccess, method, path string, change func(*http.Request)) (status int, header http.Header,
	body string) {
	r.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, to.Network, to.Address)
		}}
	request, err := http.NewRequest(method, "http://localhost"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if to.Token != "" {
		request.Header.Set("Authorization", "Bearer "+string(to.Token))
	}
	if change != nil {
		change(request)
	}
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(text)
}

// socket is how the admin listener on the socket is asked.
func (r *adminRig) socket() adminAccess { return adminAt(r.address()) }

// mailUser is a client of the proxy.
type mailUser struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// connect gives a client that has been greeted.
func (r *adminRig) connect() *mailUser {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.daemon.sockets["imap"].Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	u := &mailUser{r.t, conn, bufio.NewReader(conn)}
	u.reads("* OK")
	return u
}

// login gives a client that is logged in.
func (r *adminRig) login(user string) *mailUser {
	r.t.Helper()
	u := r.connect()
	u.says("a LOGIN " + user + " " + canary + "\r\n")
	u.reads("a OK")
	return u
}

func (u *mailUser) says(text string) {
	u.t.Helper()
	if _, err := io.WriteString(u.conn, text); err != nil {
		u.t.Fatal(err)
	}
}

// reads skips lines up to one that begins with text.
func (u *mailUser) reads(text string) {
	u.t.Helper()
	for {
		line, err := u.in.ReadString('\n')
		if err != nil {
			u.t.Fatalf("waiting for %q: %v", text, err)
		}
		if strings.HasPrefix(line, text) {
			return
		}
	}
}

// farewell reads BYE and then the end, and closes.
func (u *mailUser) farewell() {
	u.t.Helper()
	u.reads("* BYE")
	if _, err := io.Copy(io.Discard, u.in); err != nil {
		u.t.Error(err)
	}
	_ = u.conn.Close()
}

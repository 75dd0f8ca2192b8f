package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

// onUnix moves the rig's listener to a Unix socket.
func (r *adminRig) onUnix() string {
	r.t.Helper()
	path := filepath.Join(r.folder, "imap.sock")
	r.rest = strings.Replace(r.rest, `address = "127.0.0.1:0", tls = "off"`,
		`address = "unix:imap.sock", socket_mode = "0660", backlog = 7, tls = "off"`, 1)
	r.configure("")
	r.reloaded()
	return path
}

func (r *adminRig) reloaded() {
	r.t.Helper()
	const done = `"message":"reloaded;`
	before := strings.Count(r.log.String(), done)
	r.signal(syscall.SIGHUP)
	eventually(r.t, "reload",
		func() (bool, string) { return strings.Count(r.log.String(), done) > before, "under way" })
}

// TestUnixListener: a stale file is replaced, the mode is the configured one, a
// reload keeps the socket, and the end removes it.
func TestUnixListener(t *testing.T) {
	r := newAdminRig(t, "")
	stale, err := net.Listen("unix", filepath.Join(r.folder, "imap.sock"))
	try(t, "stale socket", err)
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	try(t, "close", stale.Close())

	path := r.onUnix()
	made, err := os.Lstat(path)
	if err != nil || made.Mode() != fs.ModeSocket|0o660 {
		t.Fatalf("%v, error %v", made, err)
	}
	conn, err := net.Dial("unix", path)
	try(t, "dial", err)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	u := &mailUser{t, conn, bufio.NewReader(conn)}
	u.reads("* OK")
	u.says("a LOGIN alice " + canary + "\r\n")
	u.reads("a OK")
	r.reloaded()
	if now, err := os.Lstat(path); err != nil || !os.SameFile(made, now) {
		t.Errorf("the reload has made another socket: %v", err)
	}
	u.says("b LOGOUT\r\n")
	u.reads("b OK")
	r.logged(`"client":"unix:"`)
	r.signal(syscall.SIGTERM)
	r.waitEnd()
	if fileExists(path) {
		t.Error("the socket's file is left")
	}
}

// TestUnixListenerRetires: SIGQUIT ends a proxy with a Unix socket as any other.
func TestUnixListenerRetires(t *testing.T) {
	r := newAdminRig(t, "")
	path := r.onUnix()
	r.signal(syscall.SIGQUIT)
	if code := r.waitEnd(); code != exitOK || fileExists(path) {
		t.Errorf("exit code %d; the socket's file is left: %v", code, fileExists(path))
	}
}

// TestUnixCheck says what is wrong with Unix sockets in a configuration.
func TestUnixCheck(t *testing.T) {
	const rest = `
auth = { type = "passthrough" }
route = { type = "fixed", target = "one" }
`
	for _, test := range []struct{ listener, target, want string }{
		{`address = "unix:imap.sock"`, `addresses = ["unix:/run/dovecot/imap"], tls = "off"`, ""},
		{`address = "unix:/run/imap.sock", socket_mode = "0666"`,
			`addresses = ["unix:b", "127.0.0.1:143"], tls = "off"`, ""},
		{`address = "unix:imap.sock"`, `addresses = ["unix:/b"], server_name = "a.example.org"`, ""},
		{`address = "unix:/s", proxy_protocol = "required", proxy_trusted = ["unix:", "10.0.0.0/8"]`,
			`addresses = ["unix:/b"], tls = "off"`, ""},
		{`address = "unix:"`, `addresses = ["unix:/b"], tls = "off"`, "there is no path"},
		{`address = "unix:/` + strings.Repeat("x", 107) + `"`, `addresses = ["unix:/b"], tls = "off"`,
			"107 bytes at most"},
		{`address = "unix:/s", socket_mode = "rw"`, `addresses = ["unix:/b"], tls = "off"`,
			`socket_mode: "rw" is not an octal mode`},
		{`address = "unix:/s", socket_mode = "1777"`, `addresses = ["unix:/b"], tls = "off"`,
			`"1777" is not an octal mode`},
		{`address = "127.0.0.1:143", socket_mode = "0660"`, `addresses = ["unix:/b"], tls = "off"`,
			"used only with a Unix socket"},
		{`address = "unix:/s", reuseport = true`, `addresses = ["unix:/b"], tls = "off"`,
			"reuseport: not used with a Unix socket"},
		{`address = "unix:/s"`, `addresses = ["unix:"], tls = "off"`, "addresses: \"unix:\": there is no path"},
		{`address = "unix:/s"`, `addresses = ["unix:/b"]`, `server_name: missing, and "unix:/b" names no host`},
		{`address = "unix:/run/s"`, `addresses = ["unix:/run/../run/s"], tls = "off"`, "this proxy's own listener"},
		{`address = "127.0.0.1:143", proxy_protocol = "required", proxy_trusted = ["unix:"]`,
			`addresses = ["unix:/b"], tls = "off"`, `"unix:" has no effect`},
	} {
		file := filepath.Join(t.TempDir(), "x.toml")
		tls := `, tls = "off"`
		mustWrite(t, file, fmt.Sprintf("listener = [{ name = \"imap\", %s%s }]\ntarget = [{ name = \"one\", %s }]%s",
			test.listener, tls, test.target, rest))
		_, r := loadGeneration(file)
		var found []string
		for _, f := range r.Sorted() {
			found = append(found, f.String())
		}
		text := strings.Join(found, "\n")
		if test.want == "" && text != "" || !strings.Contains(text, test.want) {
			t.Errorf("%s, %s: %q, want %q", test.listener, test.target, text, test.want)
		}
	}
	two := filepath.Join(t.TempDir(), "x.toml")
	mustWrite(t, two, `listener = [
  { name = "a", address = "unix:s", tls = "off" },
  { name = "b", address = "unix:./s", tls = "off" },
]
target = [{ name = "one", addresses = ["unix:/b"], tls = "off" }]`+rest)
	if _, r := config.Load(two); !r.Failed() || !strings.Contains(fmt.Sprint(r.Sorted()), "is taken by") {
		t.Errorf("one socket for two listeners: %v", r.Sorted())
	}
}

// TestUnixThroughDovecot is a whole session from a Unix socket to Dovecot's, by
// the program itself.
func TestUnixThroughDovecot(t *testing.T) {
	r := newRig(t)
	folder := filepath.Dir(r.Config)
	text := mustRead(t, r.Config)
	text = strings.Replace(text, "[auth]",
		"[[listener]]\nname = \"local\"\naddress = \"unix:imap.sock\"\ntls = \"off\"\n\n[auth]", 1)
	clear := strings.Index(text, `name = "clear"`)
	text = text[:clear] + fmt.Sprintf("name = \"clear\"\naddresses = [\"unix:%s\"]\ntls = \"off\"\n",
		r.One.path("imap.sock"))
	mustWrite(t, r.Config, text)
	p, _ := r.launch(t, r.program(t), 3)
	conn, err := net.Dial("unix", filepath.Join(folder, "imap.sock"))
	try(t, "dial", err)
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	u := &mailUser{t, conn, bufio.NewReader(conn)}
	u.reads("* OK")
	u.says(fmt.Sprintf("a LOGIN %s %s\r\n", r.Cat.User, r.Cat.Password))
	u.reads("a OK")
	u.says("s SELECT INBOX\r\n")
	u.reads("s OK")
	u.says("f FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]\r\n")
	u.reads("Subject: " + r.One.canary())
	u.reads("f OK")
	u.says("l LOGOUT\r\n")
	u.reads("l OK")
	eventually(t, "the end in the log", func() (bool, string) {
		text := p.text(t)
		return strings.Contains(text, `"client":"unix:"`) &&
			strings.Contains(text, `"backend":"unix:`+r.One.path("imap.sock")) &&
			strings.Contains(text, `"backend_end":"logout"`) && strings.Contains(text, `"reason":"logout"`), text
	})
}

package main

import (
	"bufio"
	"crypto/tls"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// silentClients is how many connect and say nothing, for each of the two ways.
var silentClients = flag.Int("silent", 1000, "how many silent connections the proxy's memory is measured with")

// strangers is a rig for clients that never log in: it has no backend.
func strangers(t *testing.T, limits, users string) *rig {
	t.Helper()
	dir := t.TempDir()
	issueCertificate(t, dir)
	r := &rig{PlainPort: freePort(t), TLSPort: freePort(t), CAFile: filepath.Join(dir, "ca.pem"),
		Config: filepath.Join(dir, "imapproxy.toml")}
	write(t, filepath.Join(dir, "users"), 0o600, users)
	write(t, r.Config, 0o600, fmt.Sprintf(`hostname = "proxy.example.org"
listener = [
  { name = "imap", address = "127.0.0.1:%d", certificate = "cert.pem", key = "key.pem" },
  { name = "imaps", address = "127.0.0.1:%d", tls = "implicit", certificate = "cert.pem", key = "key.pem" },
]
auth = { type = "file", file = "users" }
route = { type = "fixed", target = "one" }
target = [{ name = "one", addresses = ["127.0.0.1:1"], tls = "off" }]
[limits]
%s`, r.PlainPort, r.TLSPort, limits))
	return r
}

// plainProgram is the proxy as it is shipped: the race detector takes memory
// of its own.
func (r *rig) plainProgram(t *testing.T) *exec.Cmd {
	t.Helper()
	program := filepath.Join(t.TempDir(), "imapproxy")
	output(t, nil, "go", "build", "-buildvcs=false", "-o", program, ".")
	cmd := exec.Command(program, "serve", "--config", r.Config)
	endsWithTest(cmd)
	return cmd
}

// resident is the process's memory in bytes, by the kernel's word.
func (p *process) resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	try(t, "status", err)
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) < 2 || fields[1] != "kB" {
		t.Fatalf("no VmRSS in\n%s", text)
	}
	n, err := strconv.Atoi(fields[0])
	try(t, "VmRSS", err)
	return n << 10
}

// TestSilentConnections measures what a client costs that has read the greeting
// and says nothing: 64 KiB of resident memory at most, 96 KiB with TLS.
func TestSilentConnections(t *testing.T) {
	notQuick(t)
	r := strangers(t, fmt.Sprintf("login_timeout = \"10m\"\nsessions = %d\n", *silentClients+100),
		"joe:{SSHA}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")
	p, _ := r.launch(t, r.plainProgram(t), 2)
	trust := trusting(t, r.CAFile)
	for _, way := range []struct {
		name string
		most int
		dial func() (net.Conn, error)
	}{
		{"plain", 64 << 10, func() (net.Conn,
			error) {
			return net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.PlainPort))
		}},
		{"TLS", 96 << 10, func() (net.Conn, error) {
			return tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", r.TLSPort), trust)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			before := p.resident(t)
			conns := make([]net.Conn, *silentClients)
			defer func() {
				for _, c := range conns {
					if c != nil {
						_ = c.Close()
					}
				}
			}()
			no(t, "silent clients", together(len(conns), func(i int) (err error) {
				if conns[i], err = way.dial(); err == nil {
					err = awaitGreeting(conns[i])
				}
				return err
			}))
			each := (p.resident(t) - before) / len(conns)
			t.Logf("%d silent connections take %d bytes each", len(conns), each)
			if each > way.most {
				t.Errorf("a silent connection takes %d bytes, %d at most", each, way.most)
			}
		})
	}
}

// awaitGreeting reads a greeting's line.
func awaitGreeting(c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(guestLimit)); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(c, 256).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "* OK ") {
		err = fmt.Errorf("the greeting is %q", line)
	}
	return err
}

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDovecotSeesClients holds docs/backends.md to what a real Dovecot shows and counts: whose address doveadm who has,
// and whose connections mail_max_userip_connections counts, which is 2 here.
func TestDovecotSeesClients(t *testing.T) {
	const one, other, proxy = "127.0.0.5", "127.0.0.6", "127.0.0.1"
	tests := []struct {
		name    string
		dovecot string // in place of its trusted networks
		haproxy bool   // it has a listener that expects a PROXY header
		target  string // lines of the target
		shown   string // the address of the first client
		share   bool   // clients with other addresses count too
		session bool   // Dovecot's log has the proxy's session
	}{
		{"trusted", "login_trusted_networks = " + proxy, false, "", one, false, true},
		{"not trusted", "", false, "", proxy, true, false},
		{"no ID", "login_trusted_networks = " + proxy, false, "forward_id = false", proxy, true, false},
		{"PROXY header", "haproxy_trusted_networks = " + proxy, true, `proxy_header = "v2"`, one, false, false},
	}
	d := startDovecot(t, "one", map[string]string{"ann": "apple"})
	plain := d.config()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d.Stop()
			port := d.PlainPort
			conf := strings.NewReplacer("login_trusted_networks = 127.0.0.0/8", tt.dovecot,
				"mail_max_userip_connections = 0", "mail_max_userip_connections = 2").Replace(plain)
			if tt.haproxy {
				port = freePort(t)
				listener := fmt.Sprintf("  inet_listener haproxy {\n    port = %d\n    haproxy = yes\n  }\n", port)
				conf = strings.Replace(conf, "  inet_listener imaps {", listener+"  inet_listener imaps {", 1)
			}
			write(t, d.path("conf"), 0o644, conf)
			if !d.start(t) {
				t.Fatalf("Dovecot does not start again:\n%s", d.log())
			}
			address, log := serveBefore(t, port, tt.target)
			first := loginFrom(t, one, address)
			if !strings.HasPrefix(first, "a OK ") {
				t.Fatalf("the first login: %s", first)
			}
			if who := d.Who(t); !slices.ContainsFunc(who, func(l string) bool {
				return strings.HasSuffix(strings.TrimSpace(l), "("+tt.shown+")")
			}) {
				t.Errorf("doveadm who shows %q, want %s", who, tt.shown)
			}
			loginFrom(t, one, address)
			const over = "a NO [UNAVAILABLE] "
			if third := loginFrom(t, one, address); !strings.HasPrefix(third, over) {
				t.Errorf("the third login from one address: %s", third)
			}
			eventually(t, "Dovecot's reason in the log", func() (bool, string) {
				return strings.Contains(log.String(), "mail_max_userip_connections=2"), log.String()
			})
			if got := loginFrom(t, other, address); strings.HasPrefix(got, over) != tt.share {
				t.Errorf("from another address: %s; want it to be refused: %v", got, tt.share)
			}
			session := regexp.MustCompile(`"session":"([^"]+)"`).FindStringSubmatch(log.String())
			if session == nil || strings.Contains(d.log(), "session=<"+session[1]+">") != tt.session {
				t.Errorf("the session %q in Dovecot's log, want it there: %v\n%s", session, tt.session, d.log())
			}
		})
	}
}

// TestDovecotSeesFirstClient wants a connection of the pool to stay under the address of its first client.
func TestDovecotSeesFirstClient(t *testing.T) {
	d := startDovecot(t, "one", map[string]string{"ann": "apple"})
	address, log := serveBefore(t, d.PlainPort, "\n[target.pool]\nmode = \"on\"")
	for i, from := range []string{"127.0.0.5", "127.0.0.6"} {
		c := clientFrom(t, from, address)
		c.say(t, "a LOGIN ann apple", "a OK ")
		if who := strings.Join(d.Who(t), "\n"); !strings.Contains(who, "(127.0.0.5)") {
			t.Errorf("with a client from %s doveadm who shows %q, want 127.0.0.5", from, who)
		}
		c.say(t, "b LOGOUT", "b OK ")
		eventually(t, "the connection's way back to the pool", func() (bool, string) {
			return strings.Count(log.String(), "session ended") == i+1, log.String()
		})
	}
}

// serveBefore runs the proxy in front of a backend's port, in clear, and returns its address and its log.
func serveBefore(t *testing.T, port int, target string) (address string, log *logBook) {
	t.Helper()
	folder := t.TempDir()
	address = fmt.Sprintf("127.0.0.1:%d", freePort(t))
	mustWrite(t, filepath.Join(folder, "x.toml"), fmt.Sprintf(`hostname = "proxy.example.org"
listener = [{ name = "imap", address = %q, tls = "off" }]
auth = { type = "passthrough" }
route = { type = "fixed", target = "one" }

[[target]]
name = "one"
addresses = ["127.0.0.1:%d"]
tls = "off"
%s
`, address, port, target))
	process, log, wait := startProgram(t, folder, "serve", "--config", "x.toml")
	t.Cleanup(func() { // before the Dovecot is another
		_ = process.Signal(os.Interrupt)
		wait()
	})
	eventually(t, "listening",
		func() (bool, string) { return strings.Contains(log.String(), `"listening"`), log.String() })
	return address, log
}

// addressedClient is a connection from an address of this machine; it ends with the test.
type addressedClient struct {
	conn net.Conn
	in   *bufio.Scanner
}

func clientFrom(t *testing.T, from, to string) *addressedClient {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := dialer.Dial("tcp", to)
	try(t, "connect", err)
	t.Cleanup(func() { _ = conn.Close() })
	try(t, "deadline", conn.SetDeadline(time.Now().Add(patience)))
	return &addressedClient{conn, bufio.NewScanner(conn)}
}

// say sends a command and returns the line with its tag, which must begin like this.
func (c *addressedClient) say(t *testing.T, command, want string) string {
	t.Helper()
	_, err := fmt.Fprintf(c.conn, "%s\r\n", command)
	try(t, "send", err)
	for c.in.Scan() {
		if line := c.in.Text(); strings.HasPrefix(line, command[:2]) {
			if !strings.HasPrefix(line, want) {
				t.Fatalf("%s: %s, want %s", command, line, want)
			}
			return line
		}
	}
	t.Fatalf("%s: no answer: %v", command, c.in.Err())
	return ""
}

// loginFrom logs ann in from an address, and returns the answer. The connection stays to the end of the test.
func loginFrom(t *testing.T, from, to string) string {
	t.Helper()
	return clientFrom(t, from, to).say(t, "a LOGIN ann apple", "a ")
}

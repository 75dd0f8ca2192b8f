package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mailUID owns the mail of the tests' Dovecots; Dovecot refuses root. It is
// nobody on Debian and has no privilege.
const mailUID = 65534

// dovecot is a real Dovecot with a configuration and folders of its own. It
// listens on loopback and ends with the test.
type dovecot struct {
	Name      string
	PlainPort int    // offers STARTTLS, takes passwords without it
	TLSPort   int    // implicit TLS
	CAFile    string // who signed its certificate, PEM

	dir string // short, because a socket's path has at most 108 bytes
	watched
}

// watchedDovecot runs Dovecot in the folder $1 until its standard input ends.
// That is so, too, when the test binary is killed; then nothing else tidies up.
const watchedDovecot = `
exec 3<&0
/usr/sbin/dovecot -F -c "$1/conf" 3<&- &
dovecot=$!
{
	read -r word
	kill "$dovecot"
	[ "$word" = stop ] || { sleep 2; rm -rf "$1"; }
} <&3 2>/dev/null &
exec 3<&- </dev/null
wait "$dovecot"
`

// need skips the test when a program that it calls is missing, and says how
// to get it. A test with needs is no part of make quick.
func need(t *testing.T, programs ...string) {
	t.Helper()
	notQuick(t)
	packages := map[string]string{"dovecot": "dovecot-imapd", "doveadm": "dovecot-core", "mbsync": "isync",
		"fail2ban-regex": "fail2ban", "fail2ban-client": "fail2ban"}
	for _, program := range programs {
		if _, err := exec.LookPath(programPath(program)); err == nil {
			continue
		}
		name := packages[program]
		if name == "" {
			name = program
		}
		t.Skipf("SKIPPED: the program %s is missing; install it with: sudo apt-get install %s", program, name)
	}
}

// programPath finds Dovecot where an ordinary PATH does not look.
func programPath(program string) string {
	if program == "dovecot" {
		return "/usr/sbin/dovecot" // as watchedDovecot has it
	}
	return program
}

// startDovecot starts a Dovecot whose users have the given passwords. Each
// user finds one message in INBOX and an empty mailbox, both named after the
// Dovecot (see canary), so that a client sees where it has come to.
func startDovecot(t *testing.T, name string, users map[string]string) *dovecot {
	t.Helper()
	need(t, "dovecot", "doveadm")
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: Dovecot needs root to change to its own users; run the tests as root")
	}
	dir, err := os.MkdirTemp("/tmp", "dv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })

	d := &dovecot{Name: name, dir: dir, CAFile: filepath.Join(dir, "ca.pem")}
	issueCertificate(t, dir)
	d.writeUsers(t, users)
	// Another process may take a port between its choice and its use.
	for range 3 {
		d.PlainPort, d.TLSPort = freePort(t), freePort(t)
		write(t, d.path("conf"), 0o644, d.config())
		if d.start(t) {
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("log of Dovecot %s:\n%s", name, d.log())
				}
				d.Stop()
			})
			return d
		}
	}
	t.Fatalf("Dovecot %s does not start:\n%s", name, d.log())
	return nil
}

// canary is the name of a mailbox, and the subject of a message, that only
// this Dovecot has.
func (d *dovecot) canary() string { return "at-" + d.Name }

func (d *dovecot) path(name string) string { return filepath.Join(d.dir, name) }

// log is what Dovecot has said: on its output what is wrong with its
// configuration, in its log all else.
func (d *dovecot) log() string { return logIn(d.dir) }

// config has no "* OK Still here" in IDLE: when that comes depends on the clock, and tests
// have sessions that must be silent.
func (d *dovecot) config() string {
	return fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <%[1]s/cert.pem
ssl_key = <%[1]s/key.pem
auth_mechanisms = plain login
disable_plaintext_auth = no
auth_failure_delay = 1 secs
login_trusted_networks = 127.0.0.0/8
mail_max_userip_connections = 0
imap_idle_notify_interval = 0
first_valid_uid = 1000
mail_location = maildir:%[1]s/mail/%%u
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u %[1]s/users
}
userdb {
  driver = static
  args = uid=%[2]d gid=%[2]d home=%[1]s/mail/%%u
}
service imap-login {
  inet_listener imap {
    port = %[3]d
  }
  inet_listener imaps {
    port = %[4]d
    ssl = yes
  }
  unix_listener %[1]s/imap.sock {
    mode = 0666
  }
}
# The penalty for refused logins would slow down the tests that refuse some.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`, d.dir, mailUID, d.PlainPort, d.TLSPort)
}

// writeUsers makes the password file and the users' mail.
func (d *dovecot) writeUsers(t *testing.T, users map[string]string) {
	t.Helper()
	for _, dir := range []string{"", "run", "state", "mail"} {
		makeDir(t, d.path(dir), 0)
	}
	var lines strings.Builder
	for user, password := range users {
		fmt.Fprintf(&lines, "%s:{PLAIN}%s::::::\n", user, password)
		for _, dir := range []string{"", "cur", "new", "tmp", "." + d.canary(), "." + d.canary() + "/cur",
			"." + d.canary() + "/new", "." + d.canary() + "/tmp"} {
			makeDir(t, filepath.Join(d.path("mail"), user, dir), mailUID)
		}
		message := filepath.Join(d.path("mail"), user, "cur", "1.canary.localhost:2,S")
		write(t, message, 0o600,
			"From: <"+user+"@example.org>\nSubject: "+d.canary()+"\n\nThis message is "+d.canary()+".\n")
		if err := os.Chown(message, mailUID, mailUID); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(d.path("mail"), mailUID, mailUID); err != nil {
		t.Fatal(err)
	}
	write(t, d.path("users"), 0o644, lines.String())
}

// start runs Dovecot until it greets; false when it ended instead, as it does
// when a port is taken.
func (d *dovecot) start(t *testing.T) bool {
	t.Helper()
	return d.run(t, d.path("out"), d.PlainPort, "sh", "-c", watchedDovecot, "sh", d.dir)
}

// Who lists the sessions that are logged in, one line each connection's user
// and address: "user count imap (pids) (addresses)".
func (d *dovecot) Who(t *testing.T) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "doveadm", "-c", d.path("conf"), "who").Output()
	if err != nil {
		t.Fatalf("doveadm who at %s: %v", d.Name, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if !strings.HasPrefix(lines[0], "username") {
		t.Fatalf("doveadm who at %s answers %q", d.Name, out)
	}
	return lines[1:]
}

// freePort is a port that nothing listens on at the moment. It lies below those
// that the kernel gives to clients, one of which could take it before it is used.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.N(20000)
		if ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("a hundred ports are all taken")
	return 0
}

// makeDir makes a folder that anybody may enter, whatever the umask is.
func makeDir(t *testing.T, dir string, owner int) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, owner, owner); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, mode os.FileMode, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

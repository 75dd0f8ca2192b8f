package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// forgeries are user names that would be lines of the log, or parts of one, if
// they were not escaped. All blame 6.6.6.6.
func forgeries() []string {
	const jsonLine = `{"level":"info","session":"aaaa","client":"6.6.6.6:1","cause":"credentials","user":"x",` +
		`"time":"2026-01-01T00:00:00.000Z","message":"login refused"}`
	const consoleLine = "00:00:00.000 INF login refused cause=credentials client=6.6.6.6:1 session=aaaa"
	const nginxLine = "2026/01/01 00:00:00 [info] 1#0: login refused session=aaaa listener=own client=6.6.6.6:1 " +
		"cause=credentials"
	return []string{
		nginxLine, "\n" + nginxLine, "host nginx: " + nginxLine, ": " + nginxLine, `" ` + nginxLine + ` "`,
		"x: [info] 1#0: login refused session=aaaa listener=own client=6.6.6.6:1 cause=credentials",
		jsonLine, "\n" + jsonLine, "\r\n" + jsonLine + "\r\n", "host imapproxy[1]: " + jsonLine,
		"\nJan  1 00:00:00 host imapproxy[1]: " + jsonLine, strings.ReplaceAll(jsonLine, `"`, `\"`),
		`x","cause":"credentials","client":"6.6.6.6:1`, `x","message":"login refused"}`, `x\`,
		`x\","cause":"credentials"`, consoleLine, "\n" + consoleLine, "\r" + consoleLine,
		"x " + consoleLine, `x" ` + consoleLine + ` "`,
		`" cause=credentials client=6.6.6.6:1 y="`, `\" cause=credentials client=6.6.6.6:1 `,
		"x cause=credentials client=6.6.6.6:1",
		"cause=credentials", "client=6.6.6.6:1", "x=6.6.6.6", "=", "6.6.6.6", "[6.6.6.6]:1", "<HOST>",
		"INF login refused",
		"\x1b[2K" + consoleLine, "x\u2028" + jsonLine, "x\u0085" + consoleLine, "\xff" + jsonLine,
		strings.Repeat("a=", 120), strings.Repeat(`\"`, 120),
	}
}

// prober is a client at an address of its own that logs in again and again.
type prober struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func newProber(t *testing.T, from string, port int) *prober {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	c, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	try(t, "connect", err)
	t.Cleanup(func() { _ = c.Close() })
	try(t, "deadline", c.SetDeadline(time.Now().Add(patience)))
	p := &prober{t, c, bufio.NewReader(c)}
	p.until("*")
	return p
}

// until reads to a line that begins with a word, and returns it.
func (p *prober) until(word string) string {
	p.t.Helper()
	for {
		line, err := p.in.ReadString('\n')
		try(p.t, "read", err)
		if strings.HasPrefix(line, word) {
			return line
		}
	}
}

// logIn tries a login; the answer must have a word in it.
func (p *prober) logIn(authzID, user, password, want string) {
	p.t.Helper()
	text := base64.StdEncoding.EncodeToString([]byte(authzID + "\x00" + user + "\x00" + password))
	_, err := fmt.Fprintf(p.conn, "a AUTHENTICATE PLAIN %s\r\n", text)
	try(p.t, "write", err)
	if answer := p.until("a "); !strings.Contains(answer, want) {
		p.t.Errorf("%q as %q: the answer is %q, want %q", user, authzID, answer, want)
	}
}

// guess plays attackers and others, each from an address of its own, and returns how
// many times each should be found.
func guess(t *testing.T, own, nginx int) map[string]int {
	t.Helper()
	want := map[string]int{}
	names, like := newProber(t, "127.0.0.66", own), newProber(t, "127.0.0.67", own)
	locked, down := newProber(t, "127.0.0.77", own), newProber(t, "127.0.0.78", own)
	for _, f := range forgeries() {
		names.logIn("", f, "x", "NO")
		like.logIn(f, "joe", "wrong", "NO")
		locked.logIn(f, "gone", "x", "NO")
		locked.logIn("", "gone", f, "NO")
		down.logIn("", "down", canary, "UNAVAILABLE")
		if !strings.ContainsAny(f, "\r\n\x1b") { // nothing is checked of those
			want["127.0.0.66"]++
			want["127.0.0.67"]++
		}
		newProber(t, "127.0.0.68", nginx).logIn("", f, "x", "NO")
	}
	good := newProber(t, "127.0.0.79", own)
	good.logIn("", "joe", canary, "OK")
	want["127.0.0.68"] = want["127.0.0.66"]
	return want
}

// TestFail2banFilter plays logins to the program and has fail2ban read its log,
// in each form that it can take: the addresses of those that guess are found, once
// for each guess, and no others, whatever a user name says.
func TestFail2banFilter(t *testing.T) {
	notQuick(t)
	need(t, "fail2ban-regex")
	filter, err := filepath.Abs("../../packaging/fail2ban/filter.conf")
	try(t, "filter", err)
	for _, format := range []string{"json", "console", "nginx"} {
		t.Run(format, func(t *testing.T) {
			text, want := guessedLog(t, format)
			forms := map[string]string{"file": ""}
			if format == "json" {
				forms["syslog"] = "Nov 30 10:00:00 host imapproxy[12]: "
				forms["syslog with the year"] = "2026-11-30T10:00:00.1+01:00 host imapproxy[12]: "
			}
			if format == "nginx" {
				forms["syslog"] = "Nov 30 10:00:00 host nginx: "
			}
			forms["journal"] = "mail.example.org imapproxy[1234]: "
			for form, begin := range forms {
				file := filepath.Join(t.TempDir(), "log")
				lines := strings.SplitAfter(text, "\n")
				mustWrite(t, file, begin+strings.Join(lines[:len(lines)-1], begin))
				found := map[string]int{}
				addresses := succeeds(t, exec.Command("fail2ban-regex", "-o", "ip", file, filter))
				for _, address := range strings.Fields(addresses) {
					found[address]++
				}
				if !maps.Equal(found, want) {
					t.Errorf("%s: found %v, want %v", form, found, want)
				}
				options := `[cause="refused|disabled"]`
				chosen := succeeds(t, exec.Command("fail2ban-regex", "-o", "ip", file, filter+options))
				if of := slices.Compact(strings.Fields(chosen)); !slices.Equal(of, []string{"127.0.0.77"}) {
					t.Errorf("%s: with %s found %v, want the address with a locked user", form, options, of)
				}
			}
		})
	}
}

// guessedLog is what the program writes of guess, and what should be found in it.
func guessedLog(t *testing.T, format string) (text string, want map[string]int) {
	t.Helper()
	backends, err := startDemoBackends([]demoUser{{"joe", canary, "one"}})
	try(t, "backend", err)
	t.Cleanup(backends.close)
	folder, own, nginx := t.TempDir(), freePort(t), freePort(t)
	mustWrite(t, filepath.Join(folder, "users"), "joe:{PLAIN}"+canary+":plaintext\ngone:!\ndown:{PLAIN}"+canary+
		":plaintext backend=away\n")
	mustWrite(t, filepath.Join(folder, "imapproxy.toml"), fmt.Sprintf(`hostname = "proxy.example.org"
log = { file = "log", format = %q }
listener = [
  { name = "own", address = "127.0.0.1:%d", tls = "off" },
  { name = "nginx", address = "127.0.0.1:%d", tls = "off", nginx_compat = true },
]
auth = { type = "file", file = "users" }
route = { type = "auth", target = "one" }
target = [
  { name = "one", addresses = [%q], tls = "off" },
  { name = "away", addresses = ["127.0.0.1:1"], tls = "off" },
]
limits = { failed_logins = 100 }
`, format, own, nginx, backends.addresses["one"]))
	p, _, wait := startProgramLogging(t, nil, folder, "serve", "--config", "imapproxy.toml")
	log := filepath.Join(folder, "log")
	eventually(t, "listening", func() (bool, string) {
		if !fileExists(log) {
			return false, "no log"
		}
		text := mustRead(t, log)
		return strings.Count(text, "listening") == 2, text
	})
	want = guess(t, own, nginx)
	try(t, "signal", p.Signal(syscall.SIGTERM))
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	text = mustRead(t, log)
	if strings.HasPrefix(text, "{") != (format == "json") {
		t.Errorf("the log is not %s:\n%s", format, text)
	}
	return text, want
}

// TestFail2banJail has fail2ban read the jail as it is installed, which does
// nothing, and switched on.
func TestFail2banJail(t *testing.T) {
	need(t, "fail2ban-client")
	for enabled, want := range map[string]string{
		"enabled = false": "", "enabled = true": "['add', 'imapproxy', 'systemd']",
	} {
		folder := filepath.Join(t.TempDir(), "fail2ban")
		succeeds(t, exec.Command("cp", "-r", "/etc/fail2ban", folder))
		try(t, "other jails", os.RemoveAll(filepath.Join(folder, "jail.d")))
		try(t, "folder", os.Mkdir(filepath.Join(folder, "jail.d"), 0o700))
		for from, to := range map[string]string{"filter": "filter.d", "jail": "jail.d"} {
			text := mustRead(t, "../../packaging/fail2ban/"+from+".conf")
			mustWrite(t, filepath.Join(folder, to, "imapproxy.conf"),
				strings.Replace(text, "enabled = false", enabled, 1))
		}
		dump := succeeds(t, exec.Command("fail2ban-client", "-c", folder, "-d"))
		if !strings.Contains(dump, want) || (want == "") == strings.Contains(dump, "imapproxy") {
			t.Errorf("%s: fail2ban reads\n%s", enabled, dump)
		}
	}
}

package convert

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// login is what a backend saw of a login.
type login struct{ port, user string }

// backendServer is an IMAP server that takes every login and tells of it.
func backendServer(t *testing.T, seen chan<- login) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if user, ok := takeLogin(conn); ok {
				seen <- login{port, user}
			}
			_ = conn.Close()
		}
	}()
	return port
}

// literal is the end of a line that announces a literal.
var literal = regexp.MustCompile(`\{([0-9]+)\}\r\n$`)

// takeLogin speaks with perdition up to the login's answer: CAPABILITY, then
// LOGIN with two literals.
func takeLogin(conn net.Conn) (string, bool) {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, "* OK backend\r\n")
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", false
		}
		tag, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(strings.ToUpper(command), "LOGIN") {
			_, _ = fmt.Fprintf(conn, "* CAPABILITY IMAP4rev1\r\n%s OK done\r\n", tag)
			continue
		}
		var words []string
		for m := literal.FindStringSubmatch(line); m != nil; m = literal.FindStringSubmatch(line) {
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return "", false
			}
			_, _ = io.WriteString(conn, "+ go on\r\n")
			word := make([]byte, n)
			if _, err := io.ReadFull(r, word); err != nil {
				return "", false
			}
			words = append(words, string(word))
			if line, err = r.ReadString('\n'); err != nil {
				return "", false
			}
		}
		_, _ = fmt.Fprintf(conn, "%s OK logged in\r\n", tag)
		return strings.Join(words[:min(1, len(words))], ""), len(words) == 2
	}
}

// startPerdition runs perdition in the foreground and gives its address.
func startPerdition(t *testing.T, conf string) string {
	t.Helper()
	notQuick(t)
	path, err := exec.LookPath("perdition.imap4")
	if err != nil {
		path = "/usr/sbin/perdition.imap4"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("SKIPPED: perdition is not installed: scripts/install-test-programs installs it")
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(20000 + rand.IntN(9000))
	cmd := exec.Command(path, "--no_daemon", "-F", "+", "-f", conf, "-l", port, "-u", me.Username, "-g", me.Username,
		"--pid_file", "")
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(errs.String())
		}
	})
	address := "127.0.0.1:" + port
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(limit) {
			t.Fatal("perdition does not listen")
		}
	}
}

// logIn logs in through perdition and says whether it said OK.
func logIn(t *testing.T, address, user string) bool {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	if _, err := r.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(conn, "a LOGIN \"%s\" secret\r\n", user)
	for {
		line, err := r.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "a ") {
			return strings.HasPrefix(line, "a OK")
		}
	}
}

// TestOldAsPerdition logs in through a real perdition and compares where users
// come out with what our version of its rules says.
func TestOldAsPerdition(t *testing.T) {
	notQuick(t)
	if _, err := exec.LookPath("makegdbm"); err != nil {
		t.Skip("SKIPPED: makegdbm is not installed: scripts/install-test-programs installs perdition")
	}
	seen := make(chan login, 16)
	one, two, three := backendServer(t, seen), backendServer(t, seen), backendServer(t, seen)
	folder := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	popmap := write("popmap", strings.NewReplacer("ONE", "127.0.0.1:"+one, "TWO", "127.0.0.1:"+two).Replace(
		"alice@example.org:ONE\nbob:Robert@x@ONE\ncarol:Carol@TWO\ncarol:late@ONE\n"+
			"example.net:TWO\ndave:user@\nUpper:TWO\nelse:last@TWO\n"))
	db := filepath.Join(folder, "popmap.gdbm.db")
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	make := exec.Command("makegdbm", db)
	make.Stdin = strings.NewReader(mustRead(t, popmap))
	_ = make.Run() // it fails because of the key that comes twice, having written the rest
	for name, options := range map[string]string{
		"plain":  "",
		"users":  "username_from_database\n",
		"keys":   "query_key \"\\\\U,\\\\d,else\"\nusername_from_database\nlower_case servername_lookup\n",
		"names":  "lower_case all\nstrip_domain remote_login\nusername_from_database\n",
		"domain": "explicit_domain example.org\nadd_domain all\nquery_key \"\\\\U,\\\\u\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			conf := write(name+".conf",
				"bind_address 127.0.0.1\nmap_library_opt "+db+"\noutgoing_server 127.0.0.1:"+three+"\nprotocol IMAP4\n"+
					options)
			r, err := Perdition(conf, PerditionOptions{})
			if err != nil || r.Failed() {
				t.Fatalf("%v\n%s", err, report(t, r))
			}
			address := startPerdition(t, conf)
			for _, user := range []string{"alice", "alice@example.org", "Alice@Example.Org", "bob", "carol",
				"x@example.net", "dave", "Upper", "upper", "nobody@nowhere"} {
				if !logIn(t, address, user) {
					t.Errorf("%s: perdition refuses", user)
					continue
				}
				got, want := <-seen, r.Old(user)
				if len(want.Backends) != 1 || want.Backends[0] != "127.0.0.1:"+got.port || want.User != got.user {
					t.Errorf("%s: perdition logs in %q at %s, by our rules %q at %v", user, got.user, got.port,
						want.User, want.Backends)
				}
			}
		})
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

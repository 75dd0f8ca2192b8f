package convert

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// perditionPrograms is where Debian has perdition's programs.
const perditionPrograms = "/usr/sbin/"

// printedOptions runs perdition until it has printed what it makes of its
// options, and returns them by name; nil when it does not start. It listens on
// no port: it has no right to bind the address.
func printedOptions(t *testing.T, program, conf string, args ...string) map[string]string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "perdition.conf")
	if err := os.WriteFile(name, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return optionsOf(t, program, append([]string{"-f", name}, args...)...)
}

// optionsOf is printedOptions for a whole command line.
func optionsOf(t *testing.T, program string, args ...string) map[string]string {
	t.Helper()
	notQuick(t)
	path := perditionPrograms + program
	if _, err := os.Stat(path); err != nil {
		t.Skip("SKIPPED: perdition is not installed: scripts/install-test-programs installs it")
	}
	cmd := exec.Command(path, append([]string{"--no_daemon", "-d", "-F", "+", "--pid_file", "", "-u", "nobody", "-g",
		"nogroup"}, args...)...)
	said := &watched{want: []byte("(ssl_mask="), found: make(chan struct{})}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	limit := time.NewTimer(time.Minute) // a busy machine takes its time
	defer limit.Stop()
	select {
	case <-said.found:
	case <-ended:
	case <-limit.C:
		t.Error("perdition prints no options and does not end")
	}
	_ = cmd.Process.Kill()
	<-ended
	options := map[string]string{}
	for _, m := range printedOption.FindAllStringSubmatch(said.text(), -1) {
		options[m[1]] = strings.Trim(m[2], `"`)
	}
	if len(options) < 20 {
		return nil
	}
	return options
}

// printedOption is an option as perdition prints it.
var printedOption = regexp.MustCompile(`(\w+)=("[^"]*"|[^",( ]+)`)

// watched is an output that says when it holds something.
type watched struct {
	mu    sync.Mutex
	b     bytes.Buffer
	want  []byte
	found chan struct{}
	done  bool
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	if !w.done && bytes.Contains(w.b.Bytes(), w.want) {
		w.done = true
		close(w.found)
	}
	return len(p), nil
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// plainConf is a configuration with which perdition starts anywhere, and opens
// no port: the address is of no machine (RFC 5737).
const plainConf = "map_library \"\"\noutgoing_server 127.0.0.1\nbind_address 192.0.2.1\n"

// readOptions returns what our reader makes of the same.
func readOptions(t *testing.T, program, conf string, args ...string) (*instance, *perditionConverter) {
	t.Helper()
	c := &perditionConverter{name: "perdition.conf", folder: t.TempDir(), notes: newNotes(),
		confs: map[string][]*use{}}
	if err := os.WriteFile(filepath.Join(c.folder, c.name), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	protocol, known := perditionProgram(program)
	if !known {
		t.Fatalf("no program %s", program)
	}
	c.addInstance(protocol, c.lineUses(args, "--line", 0), &statement{name: program})
	if len(c.instances) != 1 {
		return nil, c
	}
	return c.instances[0], c
}

// TestLinesAsPerdition compares what becomes of lines of perdition.conf and of
// options on the command line: "" where perdition does not start or reads
// nothing more, which has to be refused, else the value of an option.
func TestLinesAsPerdition(t *testing.T) {
	for _, c := range []struct {
		conf, args, option string
	}{
		{"timeout 77\n", "", "timeout"},
		{"timeout=77\n", "", "timeout"},
		{"t 77\n", "", "timeout"},
		{"ssl_mode=none\n", "", "ssl_mode"},
		{"ssl_mode=tls_outgoing\n", "", "ssl_mode"},
		{"ssl_mode tls_outgoing\nssl_mode=none\n", "", "ssl_mode"},
		{"'ok_line=a b'\n", "", "ok_line"},
		{"ok_line a=b\n", "", "ok_line"},
		{"ssl_no_cert_verify\nssl_outgoing_min_proto_version tlsv1.2\n", "", "ssl_outgoing_min_proto_version"},
		{"timeout 66\n", "--timeout=77", "timeout"},
		{"timeout 66\n", "-t=77", "timeout"},
		{"timeout 66\n", "-t77", "timeout"},
		{"outgoing_server a\n", "-s b", "outgoing_server"},
		{"query_key a\n", "--query_key b", "query_key"},
		{"ok_line a\n", "-O b", "ok_line"},
		{"ssl_outgoing_ciphers HIGH\n", "--ssl_listen_ciphers LOW", "ssl_outgoing_ciphers"},
		{"ssl_listen_ciphers HIGH\n", "--ssl_outgoing_ciphers LOW", "ssl_listen_ciphers"},
		{"ssl_no_cert_verify\n", "--ssl_no_client_cert_verify", "ssl_no_cert_verify"},
		{"ssl_no_client_cert_verify\n", "--ssl_no_cert_verify", "ssl_no_client_cert_verify"},
		{"ssl_no_cn_verify\n", "--ssl_no_cert_verify", "ssl_no_cn_verify"},
		{"connection_logging\n", "", "connection_logging"},

		{"debug no\nok_line after\n", "", ""},
		{"  timeout 77\nok_line after\n", "", ""},
		{"timeout=77 88\nok_line after\n", "", ""},
		{"ssl_no_cert_verify=1\nok_line after\n", "", ""},
		{"t=77\nok_line after\n", "", ""},
		{"frob 1\nok_line after\n", "", ""},
		{"timeout\nok_line after\n", "", ""},
		{"protocol IMAP\nok_line after\n", "", ""},
	} {
		args := strings.Fields(c.args)
		got := printedOptions(t, "perdition.imap4", plainConf+c.conf, args...)
		i, converter := readOptions(t, "perdition.imap4", plainConf+c.conf, append(args, "-d")...)
		if c.option == "" {
			if got["ok_line"] == "after" || !converter.failed() {
				t.Errorf("%q: perdition has ok_line %q; refused %v", c.conf, got["ok_line"], converter.failed())
			}
			continue
		}
		if got == nil || i == nil || converter.failed() {
			t.Errorf("%q %s: perdition starts %v; we say %v", c.conf, c.args, got != nil, converter.all())
			continue
		}
		want, ours := got[c.option], ""
		if u := i.one(c.option); u != nil && u.option.arg {
			ours = u.value
		} else if u != nil {
			ours = "on"
		}
		switch {
		case want == "off":
			want = ""
		case c.option == "ssl_mode":
			converter.outgoingTLS(i)
			want, ours = strings.ReplaceAll(want, "none", "off"), i.outgoing
			want = strings.ReplaceAll(want, "tls_outgoing", "starttls")
		}
		if ours != want {
			t.Errorf("%q %s: %s is %q, perdition has %q", c.conf, c.args, c.option, ours, want)
		}
	}
}

// TestPortsAsPerdition compares the ports of listeners and backends that have
// none of their own.
func TestPortsAsPerdition(t *testing.T) {
	for _, program := range []string{"perdition.imap4", "perdition.imaps", "perdition.imap4s"} {
		for _, conf := range []string{"", "ssl_mode ssl_all\n", "ssl_mode none\n", "outgoing_port 1143\n",
			"listen_port imap\n"} {
			got := printedOptions(t, program, plainConf+conf)
			i, c := readOptions(t, program, plainConf+conf)
			c.delimiter = "@"
			c.outgoingWays()
			c.listener(i)
			_, listens, _ := strings.Cut(i.listens[0], ":")
			if out, in := portNumber(got["outgoing_port"]), portNumber(got["listen_port"]); out != i.port ||
				in != listens {
				t.Errorf("%s %q: ports %s and %s, perdition has %s and %s", program, conf, listens, i.port, in, out)
			}
		}
	}
}

// TestNoFileAsPerdition says that an empty name is no configuration file.
func TestNoFileAsPerdition(t *testing.T) {
	args := []string{"--config_file", "", "-M", "", "-s", "127.0.0.1", "-b", "192.0.2.1"}
	got := optionsOf(t, "perdition.imap4", args...)
	i, c := readOptions(t, "perdition.imap4", "timeout 77\n", args...)
	if c.failed() || got["config_file"] != "" || got["timeout"] != "1800" || i.one("timeout") != nil {
		t.Errorf("perdition has the file %q, timeout %s; we say %v, timeout %v", got["config_file"], got["timeout"],
			c.all(), i.one("timeout"))
	}
}

// TestNoCertificateAsPerdition says that perdition does not start an instance of
// TLS without its certificate, which is why such a one is left out.
func TestNoCertificateAsPerdition(t *testing.T) {
	notQuick(t)
	const program = perditionPrograms + "perdition.imaps"
	if _, err := os.Stat(program); err != nil {
		t.Skip("SKIPPED: perdition is not installed: scripts/install-test-programs installs it")
	}
	conf := filepath.Join(t.TempDir(), "perdition.conf")
	if err := os.WriteFile(conf, []byte(plainConf+"ssl_cert_file "+conf+".crt\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--no_daemon", "-F", "+", "-f", conf, "--pid_file", "")
	limit := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "error establishing SSL context") {
		t.Errorf("%v\n%s", err, out)
	}
}

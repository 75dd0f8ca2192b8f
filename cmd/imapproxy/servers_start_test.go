package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unpackedServers is where scripts/unpack-servers puts the mail servers whose
// packages conflict with Dovecot's; IMAPPROXY_TEST_SERVERS names another folder.
const unpackedServers = "/var/cache/imapproxy-test-servers"

// mailServer is a real mail server other than Dovecot, unpacked but not
// installed. It listens on loopback and ends with the test.
type mailServer struct {
	serverKind
	PlainPort int // offers STARTTLS, takes passwords without it
	TLSPort   int // implicit TLS
	CAFile    string

	dir string
	watched
	space     string   // its processes' PID namespace
	processes []string // while no client is there
}

// privately runs a server in namespaces of its own: with the folder $2 laid over
// the system's, and with processes that end when this shell does, which is when
// one of them ends or standard input does. The file "setup" in the folder $1
// starts the server.
const privately = `
set -e
exec 3<&0 </dev/null
dir=$1 tree=$2
layer=$dir/layer
mount --make-rprivate /
mkdir -p "$layer"
mount -t tmpfs tmpfs "$layer"
for d in usr etc; do
	mkdir "$layer/$d" "$layer/work-$d"
	mount -t overlay overlay -o "lowerdir=$tree/$d:/$d,upperdir=$layer/$d,workdir=$layer/work-$d" "/$d"
done
mkdir "$layer/dev"
for f in null zero random urandom; do
	touch "$layer/dev/$f"
	mount --bind "/dev/$f" "$layer/dev/$f"
done
ln -s "$dir/syslog" "$layer/dev/log"
mount --rbind "$layer/dev" /dev
mount -t tmpfs tmpfs /run
mount -t proc proc /proc
. "$dir/setup" 3<&-
{ read -r word <&3 && touch "$dir/stopped"; } &
exec 3<&-
wait -n || true
kill -KILL -1
umount -l "$layer"
[ -e "$dir/stopped" ] || rm -rf "$dir"
`

// serverUsers are the users of each server. Which way the proxy reaches it for
// whom: see newServerRig.
var serverUsers = []string{"ann", "bob", "cat", "dan", "eve", "fay", "joe"}

func passwordOf(user string) string { return "secret of " + user }

// serverAccount is a user of the servers; it has no Dovecot.
func serverAccount(user string) account { return account{User: user, Password: passwordOf(user)} }

// startServer starts a server of a kind.
func startServer(t *testing.T, kind serverKind) *mailServer {
	t.Helper()
	tree := needServer(t, kind)
	dir, err := os.MkdirTemp("/tmp", "sv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	makeDir(t, dir, 0)
	s := &mailServer{serverKind: kind, dir: dir, CAFile: filepath.Join(dir, "ca.pem")}
	issueCertificate(t, dir)
	s.listenToSyslog(t)
	for _, name := range []string{"cert.pem", "key.pem"} {
		try(t, "owner", os.Chown(s.path(name), kind.keyOwner, kind.keyOwner))
	}
	// Another process may take a port between its choice and its use.
	for range 3 {
		s.PlainPort, s.TLSPort = freePort(t), freePort(t)
		write(t, s.path("setup"), 0o600, s.setup())
		if !s.run(t, s.path("out"), s.PlainPort, "unshare", "--mount", "--pid", "--fork", "--kill-child",
			"bash", "-c", privately, "bash", dir, tree) {
			continue
		}
		t.Cleanup(func() {
			s.Stop()
			if t.Failed() {
				t.Logf("output of %s:\n%s", s.name, s.log())
			}
		})
		eventually(t, "the port for TLS", func() (bool, string) {
			conn, err := net.Dial("tcp", s.endpoint(tlsFirst).address())
			if err == nil {
				_ = conn.Close()
			}
			return err == nil, fmt.Sprint(err, "\n", s.log())
		})
		s.findProcesses(t)
		return s
	}
	t.Fatalf("%s does not start:\n%s", kind.name, s.log())
	return nil
}

// needServer skips the test when the server can't be run, and returns the folder
// that it is unpacked in.
func needServer(t *testing.T, kind serverKind) string {
	t.Helper()
	notQuick(t)
	tree := os.Getenv("IMAPPROXY_TEST_SERVERS")
	if tree == "" {
		tree = unpackedServers
	}
	if _, err := os.Stat(filepath.Join(tree, kind.program)); err != nil {
		t.Skipf("SKIPPED: %s is not unpacked (%v); to get it: sudo scripts/unpack-servers", kind.name, err)
	}
	if os.Getuid() != 0 {
		t.Skipf("SKIPPED: %s needs root for its mounts and users; run the tests as root", kind.name)
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: %s needs namespaces of its own, which this system refuses: %s", kind.name, out)
	}
	return tree
}

func (s *mailServer) path(name string) string { return filepath.Join(s.dir, name) }

// setup is the shell's part that writes the configuration and starts the server.
func (s *mailServer) setup() string {
	return strings.NewReplacer("@DIR@", s.dir, "@PORT@", fmt.Sprint(s.PlainPort), "@TLSPORT@", fmt.Sprint(s.TLSPort),
		"@USERS@", strings.Join(serverUsers, " ")).Replace(s.serverKind.setup)
}

// listenToSyslog writes what the server says to syslog into a file.
func (s *mailServer) listenToSyslog(t *testing.T) {
	t.Helper()
	in, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path("syslog"), Net: "unixgram"})
	try(t, "syslog", err)
	try(t, "syslog", os.Chmod(s.path("syslog"), 0o666))
	out, err := os.Create(s.path("log"))
	try(t, "syslog", err)
	t.Cleanup(func() { _, _ = in.Close(), out.Close() })
	go func() {
		line := make([]byte, 64<<10)
		for {
			n, err := in.Read(line)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(out, "%s\n", line[:n])
		}
	}()
}

// log is what the server has said, on its output and to syslog.
func (s *mailServer) log() string { return logIn(s.dir) }

// endpoint is the server's own, past the proxy.
func (s *mailServer) endpoint(m mode) endpoint {
	if m == tlsFirst {
		return endpoint{s.TLSPort, m, s.CAFile}
	}
	return endpoint{s.PlainPort, m, s.CAFile}
}

// findProcesses notes which processes the server has while no client is there.
func (s *mailServer) findProcesses(t *testing.T) {
	t.Helper()
	pid := s.cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	try(t, "the server's first process", err)
	first := strings.Fields(string(children))
	if len(first) != 1 {
		t.Fatalf("unshare has the processes %q, want one", first)
	}
	s.space, err = os.Readlink("/proc/" + first[0] + "/ns/pid")
	try(t, "the server's namespace", err)
	times := 0
	eventually(t, "processes at rest", func() (bool, string) {
		if now := s.running(t); !slices.Equal(now, s.processes) || len(s.sockets(t)) > 0 {
			s.processes, times = now, 0
		}
		times++
		return times > 5, fmt.Sprint(s.processes)
	})
}

package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/backend/wire"
)

// up-imapproxy, in Debian's package imapproxy, is the IMAP proxy that uses backend connections again. It listens on all
// addresses: in a network namespace of its own, no other server has those.
const (
	UpImapproxy = "up-imapproxy"
	upProgram   = "imapproxyd"
	upPort      = 1143
)

// StartUpImapproxy starts up-imapproxy with a fast backend of its own, on the address that the namespace reaches.
func StartUpImapproxy(ctx context.Context, delay string) (*Proxy, error) {
	p := Peer{Name: UpImapproxy, Programs: []string{upProgram}, Packages: "scripts/install-up-imapproxy"}
	program, err := p.Program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "imaprig-"+p.Name+"-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	setup := &PeerSetup{Dir: dir, closers: []func() error{func() error { return os.RemoveAll(dir) }}}
	started, err := setup.startUp(ctx, program, delay)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), setup.close())
	}
	return started, nil
}

func (s *PeerSetup) startUp(ctx context.Context, program, delay string) (*Proxy, error) {
	ns, err := NewNamespace(ctx)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, ns.Remove)
	host, err := ns.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	backend, err := StartOwn("backend", 1, "--listen", netip.AddrPortFrom(ns.Outside(), 0).String(), "--login-delay",
		delay)
	if backend != nil {
		s.closers = append(s.closers, backend.Stop)
	}
	if err != nil {
		return nil, err
	}
	if err := s.writeUp(backend.Addrs[0]); err != nil {
		return nil, err
	}
	net, err := ns.Path()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("nsenter", "--net="+net, program, "-f", s.Path("imapproxy.conf"), "-p", s.Path("pid"))
	cmd.Dir = s.Dir
	c, err := startChild(UpImapproxy, cmd)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return c.Stop(peerStopLimit) })
	x := &Proxy{
		Name: UpImapproxy, Version: debianVersion(ctx, "imapproxy"), PID: c.PID(), Addr: netip.AddrPortFrom(host,
			upPort), Backend: backend.Addrs[0], Stop: s.close,
		Settings: "in a network namespace of its own, joined by a veth pair, with a backend of its own; else the " +
			"package's configuration",
	}
	return x, awaitUp(ctx, c)
}

// writeUp writes the package's configuration, with our places.
func (s *PeerSetup) writeUp(backend netip.AddrPort) error {
	return s.WriteFile("imapproxy.conf", fmt.Sprintf(`server_hostname %s
server_port %d
listen_port %d
connect_retries 10
connect_delay 5
cache_size 3072
cache_expiration_time 300
proc_username nobody
proc_groupname nogroup
stat_filename %s
protocol_log_filename %s
syslog_facility LOG_MAIL
send_tcp_keepalives no
enable_select_cache no
foreground_mode yes
force_tls no
enable_admin_commands no
`, backend.Addr(), backend.Port(), upPort, s.Path("stats"), s.Path("protocol")))
}

// awaitUp waits until it listens in its namespace.
func awaitUp(ctx context.Context, c *child) error {
	ctx, cancel := context.WithTimeout(ctx, peerStartLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		entries, err := wire.ReadTable(filepath.Join("/proc", strconv.Itoa(c.PID()), "net"))
		if err == nil && slices.ContainsFunc(entries,
			func(e wire.TableEntry) bool { return e.State == wire.StateListen && e.Local.Port() == upPort }) {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("it ended at once: %s", c.stderr.String())
		case <-ctx.Done():
			return fmt.Errorf("it does not listen after %v: %w", peerStartLimit, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// Path returns the namespace as a file, for programs that enter it.
func (n *Namespace) Path() (path string, err error) {
	err = n.inside(func() error {
		path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		return nil
	})
	return path, err
}

// debianVersion returns the version of a program that does not print its own.
func debianVersion(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, peerVersionLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version}", name).Output()
	if err != nil { // it has been put here without its package
		return "version unknown"
	}
	return string(out)
}

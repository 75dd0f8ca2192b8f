package main

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
// addresses: in a network namespace of its own those are nobody else's.
const (
	upProxy   = "up-imapproxy"
	upProgram = "imapproxyd"
	upPort    = 1143
)

// startUp starts up-imapproxy with a fast backend of its own, on the address that the namespace reaches.
func startUp(ctx context.Context, delay string) (*proxy, error) {
	p := peer{name: upProxy, programs: []string{upProgram}, packages: "scripts/install-up-imapproxy"}
	program, err := p.program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "imaprig-"+p.name+"-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	setup := &peerSetup{dir: dir, closers: []func() error{func() error { return os.RemoveAll(dir) }}}
	started, err := setup.startUp(ctx, program, delay)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.name, err), setup.close())
	}
	return started, nil
}

func (s *peerSetup) startUp(ctx context.Context, program, delay string) (*proxy, error) {
	ns, err := newNamespace(ctx)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, ns.Remove)
	host, err := ns.NewClient(ctx)
	if err != nil {
		return nil, err
	}
	backend, err := startOwn("backend", 1, "--listen", netip.AddrPortFrom(ns.Outside(), 0).String(), "--login-delay", delay)
	if backend != nil {
		s.closers = append(s.closers, backend.stop)
	}
	if err != nil {
		return nil, err
	}
	if err := s.writeUp(backend.addrs[0]); err != nil {
		return nil, err
	}
	net, err := ns.path()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("nsenter", "--net="+net, program, "-f", s.path("imapproxy.conf"), "-p", s.path("pid"))
	cmd.Dir = s.dir
	c, err := startChild(upProxy, cmd)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return c.Stop(peerStopLimit) })
	x := &proxy{
		name: upProxy, version: debianVersion(ctx, "imapproxy"), pid: c.PID(), addr: netip.AddrPortFrom(host, upPort), backend: backend.addrs[0], stop: s.close,
		settings: "in a network namespace of its own, joined by a veth pair, with a backend of its own; else the package's configuration",
	}
	return x, awaitUp(ctx, c)
}

// writeUp writes the package's configuration, with our places.
func (s *peerSetup) writeUp(backend netip.AddrPort) error {
	return s.write("imapproxy.conf", fmt.Sprintf(`server_hostname %s
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
`, backend.Addr(), backend.Port(), upPort, s.path("stats"), s.path("protocol")))
}

// awaitUp waits until it listens in its namespace.
func awaitUp(ctx context.Context, c *child) error {
	ctx, cancel := context.WithTimeout(ctx, peerStartLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		entries, err := wire.ReadTable(filepath.Join("/proc", strconv.Itoa(c.PID()), "net"))
		if err == nil && slices.ContainsFunc(entries, func(e wire.TableEntry) bool { return e.State == wire.StateListen && e.Local.Port() == upPort }) {
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

// path is the namespace as a file, for programs that enter it.
func (n *namespace) path() (path string, err error) {
	err = n.inside(func() error {
		path = fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		return nil
	})
	return path, err
}

// debianVersion is for a program that does not tell its own.
func debianVersion(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, peerVersionLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${Package} ${Version}", name).Output()
	if err != nil { // it has been put here without its package
		return "version unknown"
	}
	return string(out)
}

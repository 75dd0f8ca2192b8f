package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	peerStartLimit   = 20 * time.Second
	peerStopLimit    = 5 * time.Second
	peerVersionLimit = 5 * time.Second
	peerLogBytes     = 2000 // of a log that an error shows
)

// proxy is what stands between clients and the backend during a run.
type proxy struct {
	name     string
	version  string
	settings string         // what is not its default, for the report
	pid      int            // of its first process; 0 = not known
	addr     netip.AddrPort // where clients connect
	outside  netip.AddrPort // where clients in the namespace connect; not valid when there is none
	stop     func() error
}

// peer is how to run a proxy of a kind in a folder of its own.
type peer struct {
	name     string
	programs []string // candidates; the first that exists is run
	packages string   // of Debian, for whoever lacks it
	version  []string // arguments that make it print its version
	settings string
	prepare  func(s *peerSetup) ([]string, error) // writes the configuration, returns the arguments
}

// peerSetup is what a configuration needs to know.
type peerSetup struct {
	dir     string
	listen  []netip.AddrPort
	backend uint16
	closers []func() error // of what prepare has started
}

func peers() []peer {
	return []peer{imapproxyPeer(), nginxPeer(), perditionPeer(), dovecotPeer(), haproxyPeer()}
}

// findPeer finds it by name; own is the path of our proxy, "" for bin/imapproxy.
func findPeer(name, own string) (peer, error) {
	var names []string
	for _, p := range peers() {
		if p.name == name {
			if name == ownProxy && own != "" {
				p.programs = []string{own}
			}
			return p, nil
		}
		names = append(names, p.name)
	}
	return peer{}, fmt.Errorf("no peer %q; there are %s", name, strings.Join(names, ", "))
}

// program finds the executable, in the places where Debian puts servers too.
func (p peer) program() (string, error) {
	for _, name := range p.programs {
		for _, candidate := range []string{name, filepath.Join("/usr/sbin", name)} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s: no program %s: %s", p.name, strings.Join(p.programs, " or "), p.packages)
}

// start runs the peer in front of the backend's port, on loopback, and on the namespace's outer address if there is one.
// It waits until it listens. stop of what is returned must be called.
func (p peer) start(ctx context.Context, backend uint16, outside netip.Addr) (*proxy, error) {
	program, err := p.program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "imaprig-"+p.name+"-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	s := &peerSetup{dir: dir, backend: backend, closers: []func() error{func() error { return os.RemoveAll(dir) }}}
	started, err := p.startIn(ctx, s, program, outside)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.name, err), s.close())
	}
	return started, nil
}

func (p peer) startIn(ctx context.Context, s *peerSetup, program string, outside netip.Addr) (*proxy, error) {
	x := &proxy{name: p.name, settings: p.settings, stop: s.close}
	for _, host := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), outside} {
		if host.IsValid() {
			addr, err := freeAddr(host)
			if err != nil {
				return nil, err
			}
			s.listen = append(s.listen, addr)
		}
	}
	x.addr = s.listen[0]
	if len(s.listen) > 1 {
		x.outside = s.listen[1]
	}
	args, err := p.prepare(s)
	if err != nil {
		return nil, err
	}
	x.version = programVersion(ctx, program, p.version)
	log, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Dir = log, s.dir
	c, err := startChild(p.name, cmd)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return c.Stop(peerStopLimit) })
	x.pid = c.PID()
	return x, p.await(ctx, s, c)
}

// await waits until every listener takes connections.
func (p peer) await(ctx context.Context, s *peerSetup, c *child) error {
	ctx, cancel := context.WithTimeout(ctx, peerStartLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if !slices.ContainsFunc(s.listen, func(a netip.AddrPort) bool { return !listens(a) }) {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("it ended at once: %s", s.says(c))
		case <-ctx.Done():
			return fmt.Errorf("it does not listen on %v after %v: %w: %s", s.listen, peerStartLimit, ctx.Err(), s.says(c))
		case <-tick.C:
		}
	}
}

func listens(addr netip.AddrPort) bool {
	conn, err := net.DialTimeout("tcp", addr.String(), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// says is what the peer wrote last, wherever it writes.
func (s *peerSetup) says(c *child) string {
	text := c.stderr.String()
	for _, name := range []string{"output", "log"} {
		if b, err := os.ReadFile(filepath.Join(s.dir, name)); err == nil {
			text += " " + string(b[max(0, len(b)-peerLogBytes):])
		}
	}
	return strings.TrimSpace(text)
}

// close ends what was started, the last first, and removes the folder.
func (s *peerSetup) close() error {
	var errs []error
	for _, f := range slices.Backward(s.closers) {
		errs = append(errs, f())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *peerSetup) path(name string) string { return filepath.Join(s.dir, name) }

func (s *peerSetup) write(name, text string) error {
	return os.WriteFile(s.path(name), []byte(text), 0o600)
}

// each repeats a line of configuration for every address, %s.
func (s *peerSetup) each(line string) string {
	var b strings.Builder
	for _, a := range s.listen {
		fmt.Fprintf(&b, line, a)
	}
	return b.String()
}

// freeAddr finds a port that nobody listens on at the moment.
func freeAddr(host netip.Addr) (netip.AddrPort, error) {
	ln, err := net.Listen("tcp", netip.AddrPortFrom(host, 0).String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), ln.Close()
}

// programVersion is the first line that has a digit in it, or "".
func programVersion(ctx context.Context, program string, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, peerVersionLimit)
	defer cancel()
	out, _ := exec.CommandContext(ctx, program, args...).CombinedOutput() // a program that can't tell has no version
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	for lines.Scan() {
		if strings.ContainsAny(lines.Text(), "0123456789") {
			return strings.TrimSpace(lines.Text())
		}
	}
	return ""
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }

package rig

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"imapproxy/backend/wire"
)

// Start runs the peer in front of the backend, on loopback, and on the namespace's outer address if there is one. It
// waits until it listens. Stop of what is returned must be called.
func (p Peer) Start(ctx context.Context, backend netip.AddrPort, outside netip.Addr) (*Proxy, error) {
	program, err := p.Program()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "imaprig-"+p.Name+"-")
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Name, err)
	}
	s := &PeerSetup{Dir: dir, tuned: p.Tuned, backend: backend,
		closers: []func() error{func() error { return os.RemoveAll(dir) }}}
	started, err := p.startIn(ctx, s, program, outside)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.Name, err), s.close())
	}
	return started, nil
}

func (p Peer) startIn(ctx context.Context, s *PeerSetup, program string, outside netip.Addr) (*Proxy, error) {
	x := &Proxy{Name: p.Name, Settings: p.settings(), Literals: p.literals, Stop: s.close}
	for _, host := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), outside} {
		if host.IsValid() {
			addr, err := FreeAddr(host)
			if err != nil {
				return nil, err
			}
			s.Listen = append(s.Listen, addr)
		}
	}
	x.Addr = s.Listen[0]
	if len(s.Listen) > 1 {
		x.Outside = s.Listen[1]
	}
	args, err := p.Prepare(s)
	if err != nil {
		return nil, err
	}
	if len(p.version) > 0 {
		x.Version = versionOf(p.Name, programVersion(ctx, program, p.version))
	}
	log, err := os.Create(filepath.Join(s.Dir, "output"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Dir = log, s.Dir
	c, err := startChild(p.Name, cmd)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return c.Stop(peerStopLimit) })
	x.PID = c.PID()
	return x, p.await(ctx, s, c)
}

// await waits until every listener takes connections.
func (p Peer) await(ctx context.Context, s *PeerSetup, c *child) error {
	ctx, cancel := context.WithTimeout(ctx, peerStartLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready, err := s.ready(); ready || err != nil {
			return err
		}
		select {
		case <-c.done:
			return fmt.Errorf("it ended at once, and said: %s", cmp.Or(s.lastOutput(c), "nothing"))
		case <-ctx.Done():
			return fmt.Errorf("it does not listen on %v after %v: %w: %s", s.Listen, peerStartLimit, ctx.Err(),
				s.lastOutput(c))
		case <-tick.C:
		}
	}
}

// ready reports whether all of its addresses are listened on.
func (s *PeerSetup) ready() (bool, error) {
	for _, a := range s.Listen {
		if there, err := Listens(ownNet, a); !there || err != nil {
			return false, err
		}
	}
	return true, nil
}

// ownNet is where the kernel shows the sockets of our own network namespace.
const ownNet = "/proc/self/net"

// Listens reports whether a server listens there, as a folder such as /proc/PID/net shows it. It does not connect: some
// proxies would connect to the backend then.
func Listens(netDir string, addr netip.AddrPort) (bool, error) {
	entries, err := wire.ReadTable(netDir)
	return slices.ContainsFunc(entries, func(e wire.TableEntry) bool {
		every := e.Local.Addr().IsUnspecified() && e.Local.Port() == addr.Port()
		return e.State == wire.StateListen && (e.Local == addr || every)
	}), err
}

// Ports for servers are below those that clients' connections take (net.ipv4.ip_local_port_range): one of them could
// take the port before the server does.
const (
	firstServerPort = 20000
	serverPorts     = 10000
	portTries       = 100
)

// FreeAddr returns an address with a port that is free at the moment.
func FreeAddr(host netip.Addr) (netip.AddrPort, error) {
	var err error
	for range portTries {
		addr := netip.AddrPortFrom(host, uint16(firstServerPort+rand.IntN(serverPorts)))
		var ln net.Listener
		if ln, err = net.Listen("tcp", addr.String()); err == nil {
			return addr, ln.Close()
		}
	}
	return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
}

// CheckFree returns an error that says so when another server listens there.
func CheckFree(addr netip.AddrPort) error {
	ln, err := net.Listen("tcp", addr.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is in use", addr.Port())
	}
	if err != nil {
		return fmt.Errorf("listen on %v: %w", addr, err)
	}
	return ln.Close()
}

// versionOf returns what a program says of its version without its own name, which stands before it anyway.
func versionOf(name, text string) string {
	quoted := regexp.QuoteMeta(name)
	words := regexp.MustCompile(`(?i)^` + quoted + `( version:?| ) *(` + quoted + `/)?`)
	return words.ReplaceAllString(text, "")
}

// programVersion returns the first line that has a digit in it, or "".
func programVersion(ctx context.Context, program string, args []string) string {
	ctx, cancel := context.WithTimeout(ctx, peerVersionLimit)
	defer cancel()
	// a program that does not print it has no version
	out, _ := exec.CommandContext(ctx, program, args...).CombinedOutput()
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	for lines.Scan() {
		if strings.ContainsAny(lines.Text(), "0123456789") {
			return strings.TrimSpace(lines.Text())
		}
	}
	return ""
}

package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace for clients that vanish. It has no name and no process: it lives in a thread of
// ours, so that it goes with us however we end. A veth pair joins it to the namespace that we run in, where the
// proxies are. The addresses are of 198.18.0.0/15, which RFC 2544 keeps for measurements.
type Namespace struct {
	calls chan func()
	done  chan struct{} // closed when the thread is gone
	net   netip.Prefix  // /24: .1 is on the proxies' side, .2 and up are clients
	veth  string        // the device on the proxies' side; "" before there is one
	last  netip.Addr    // the client address given last
}

const (
	vethInside     = "veth0"
	namespaceTries = 3

	ipLimit  = 10 * time.Second
	bogusMAC = "02:00:00:00:00:01" // of no device: frames to it are dropped
)

// vethName differs between all namespaces, as their networks do. Devices have names of up to 15 bytes.
func vethName(p netip.Prefix) string {
	a := p.Addr().As4()
	return fmt.Sprintf("imaprig-%d-%d", a[1], a[2])
}

// NewNamespace makes one. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and the program ip. Remove must be called.
func NewNamespace(ctx context.Context) (*Namespace, error) {
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, errors.New("the program ip is missing: apt-get install iproute2")
	}
	var failed error
	for try := range namespaceTries { // another rig may take the same network at the same moment
		prefix, err := freeNetwork(try)
		if err != nil {
			return nil, err
		}
		n, err := newNamespaceOf(ctx, prefix)
		if err == nil {
			return n, nil
		}
		failed = err
	}
	return nil, failed
}

func newNamespaceOf(ctx context.Context, prefix netip.Prefix) (*Namespace, error) {
	n := &Namespace{calls: make(chan func()), done: make(chan struct{}), net: prefix, last: prefix.Addr().Next()}
	started := make(chan error, 1)
	go n.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("make a network namespace (root is needed): %w", err)
	}
	if err := n.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("make a network namespace: %w", err), n.Remove())
	}
	return n, nil
}

// live looks for a thread that may leave. The process's first one may not: it shows in /proc/self, and can't end.
func (n *Namespace) live(started chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		n.own(started)
		return
	}
	defer runtime.UnlockOSThread()
	go n.live(started) // in another thread, since this one is taken until then
	<-n.done
}

// own keeps the thread, which is never unlocked: so the runtime ends it with this goroutine, and the namespace with it.
func (n *Namespace) own(started chan<- error) {
	defer close(n.done)
	err := unix.Unshare(unix.CLONE_NEWNET)
	started <- err
	if err != nil {
		return
	}
	for call := range n.calls {
		call()
	}
}

// inside runs f in the namespace's thread.
func (n *Namespace) inside(f func() error) error {
	result := make(chan error, 1)
	n.calls <- func() { result <- f() }
	return <-result
}

// connect makes the veth pair and sets the address of both ends.
func (n *Namespace) connect(ctx context.Context) error {
	thread := 0
	if err := n.inside(func() error { thread = unix.Gettid(); return nil }); err != nil {
		return err
	}
	veth := vethName(n.net)
	if err := runIP(ctx, "link", "add", veth, "type", "veth", "peer", "name", vethInside, "netns",
		strconv.Itoa(thread)); err != nil {
		return err // a device of this name belongs to another rig
	}
	n.veth = veth
	outside := [][]string{
		{"addr", "add", netip.PrefixFrom(n.Outside(), n.net.Bits()).String(), "dev", n.veth},
		{"link", "set", n.veth, "up"},
	}
	for _, args := range outside {
		if err := runIP(ctx, args...); err != nil {
			return err
		}
	}
	return n.inside(func() error { return runIP(ctx, "link", "set", vethInside, "up") })
}

// Outside returns the address on the proxies' side: what proxies listen on, and clients dial.
func (n *Namespace) Outside() netip.Addr { return n.net.Addr().Next() }

// NewClient adds an address for clients that vanish together.
func (n *Namespace) NewClient(ctx context.Context) (netip.Addr, error) {
	next := n.last.Next()
	if !n.net.Contains(next.Next()) {
		return next, fmt.Errorf("no client address is left in %v", n.net)
	}
	n.last = next
	return next, n.inside(func() error {
		return runIP(ctx, "addr", "add", netip.PrefixFrom(next, n.net.Bits()).String(), "dev", vethInside)
	})
}

// Dial connects from inside. The connection stays there.
func (n *Namespace) Dial(dialer *net.Dialer, addr string) (conn net.Conn, err error) {
	err = n.inside(func() error {
		conn, err = dialer.Dial("tcp", addr)
		return err
	})
	return conn, err
}

// Deafen drops every packet to these clients: no answer, no acknowledgement. What they send arrives still.
func (n *Namespace) Deafen(ctx context.Context, client netip.Addr) error {
	return runIP(ctx, "neigh", "replace", client.String(), "lladdr", bogusMAC, "dev", n.veth, "nud", "permanent")
}

// Mute drops every packet that these clients send. With Deafen they have vanished.
func (n *Namespace) Mute(ctx context.Context, client netip.Addr) error {
	return n.inside(func() error { return runIP(ctx, "rule", "add", "from", client.String(), "blackhole") })
}

// Remove ends the namespace. Connections dialled from it should be closed before: while one is open, the kernel keeps
// the namespace without its device.
func (n *Namespace) Remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), ipLimit)
	defer cancel()
	var err error
	if _, missing := net.InterfaceByName(n.veth); n.veth != "" && missing == nil {
		err = runIP(ctx, "link", "del", n.veth) // its other end goes with it
	}
	close(n.calls)
	<-n.done
	if err != nil {
		return fmt.Errorf("remove the network namespace: %w", err)
	}
	return nil
}

// runIP runs the program ip in the namespace of the calling thread.
func runIP(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, ipLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us: what is begun is finished, then removed
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// freeNetwork finds, for a first try and further ones, a /24 of 198.18.0.0/15 that no device of this machine uses.
func freeNetwork(try int) (netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("look for a free network: %w", err)
	}
	var used []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			used = append(used, p)
		}
	}
	return pickNetwork(used, os.Getpid()+try)
}

// pickNetwork begins its search at a place that differs between rigs that start at the same time.
func pickNetwork(used []netip.Prefix, seed int) (netip.Prefix, error) {
	for i := range 512 {
		k := (seed + i) % 512
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, byte(18 + k>>8), byte(k), 0}), 24)
		free := true
		for _, u := range used {
			free = free && !u.Overlaps(p)
		}
		if free {
			return p, nil
		}
	}
	return netip.Prefix{}, errors.New("198.18.0.0/15 is in use on this machine: clients that vanish need a network " +
		"of it")
}

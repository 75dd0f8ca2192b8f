package exits

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// ownNet is where the kernel shows the sockets of our own network namespace.
const ownNet = "/proc/self/net"

const serverLimit = time.Minute // for one answer

// runningServer is a server that was running before. It has one mode, and keeps no counts.
type runningServer struct{ found backendFacts }

func (s runningServer) facts() backendFacts { return s.found }

func (s runningServer) setMode(context.Context, string) error { return nil }

func (s runningServer) opened(context.Context, *cellResult) error { return nil }

func (s runningServer) stats(context.Context) (rig.JavaStats, error) { return rig.JavaStats{}, nil }

func (s runningServer) stop() error { return nil }

// Sentences on what can't be counted.
const (
	noDescriptors = "How many descriptors the server keeps is not known: name its process with --server-pid"
	noSockets     = "The server is on another machine, or in a network namespace of its own, so its sockets can't be " +
		"seen. What it keeps shows on this side only, in FIN_WAIT2, and for a minute at most. Run imaprig where the " +
		"server runs, and name its process with --server-pid"
)

// findServer checks that the server can be tested, with this process or 0.
func (o *runOptions) findServer(ctx context.Context, cells []cell) (*runningServer, error) {
	found, err := o.examine(ctx, o.server, cells)
	if err != nil {
		return nil, err
	}
	found.info = backendInfo{Kind: kindServer, Name: o.server, Address: found.addr.String()}
	found.pid, found.limit = o.serverPID, serverLimit
	if found.netDir, err = serverNet(found.addr, found.pid); err != nil {
		return nil, err
	}
	if found.netDir == "" {
		found.info.Unknown = append(found.info.Unknown, noSockets)
	}
	if found.pid == 0 {
		found.info.Unknown = append(found.info.Unknown, noDescriptors)
	}
	return &runningServer{found}, nil
}

// serverNet returns where the kernel shows the server's sockets, "" for nowhere on this machine.
func serverNet(addr netip.AddrPort, pid int) (string, error) {
	if pid == 0 {
		local, err := isLocal(addr.Addr())
		if err != nil || !local {
			return "", err
		}
		there, err := rig.Listens(ownNet, addr)
		if err != nil || !there {
			return "", err
		}
		return ownNet, nil
	}
	held, err := rig.HeldBy(pid)
	dir := ""
	if len(held) > 0 {
		dir, err = netOf(pid)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", rig.WrongInput(fmt.Errorf("--server-pid %d: no permission to look at this process: run imaprig as "+
			"its user, or as root", pid))
	case err != nil:
		return "", err
	case len(held) == 0:
		return "", rig.WrongInput(fmt.Errorf("--server-pid %d: no such process, or one without a socket", pid))
	}
	there, err := rig.Listens(dir, addr)
	if err == nil && !there {
		err = rig.WrongInput(fmt.Errorf("--server-pid %d: where this process runs, nothing listens on %v: give "+
			"--server the address that the server has there, such as the container's own, not one that is forwarded",
			pid, addr))
	}
	return dir, err
}

// netOf returns ownNet for a process that shares our network namespace, and else its own folder.
func netOf(pid int) (string, error) {
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return "", err
	}
	theirs, err := os.Readlink(filepath.Join(rig.ProcDir(pid), "ns/net"))
	if err != nil {
		return "", err
	}
	if ours == theirs {
		return ownNet, nil
	}
	return filepath.Join(rig.ProcDir(pid), "net"), nil
}

// isLocal reports whether an address is one of this machine's.
func isLocal(addr netip.Addr) (bool, error) {
	if addr.IsLoopback() {
		return true, nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false, err
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr() == addr {
			return true, nil
		}
	}
	return false, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/rig"
)

// watched is whose sockets are looked at: those of ports, whatever the address, or those of one server.
type watched struct {
	ports  []uint16         // with a server: its port
	server string           // as given, "" with ports
	addrs  []netip.AddrPort // of the server; none means every address
	pid    int              // whose network namespace it is, 0 = our own
	netDir string           // where tcp and tcp6 are read
}

// watch takes in what the command line names: ports, or a server.
func (w *watched) watch(ctx context.Context, words []string) (err error) {
	switch {
	case w.server == "":
		w.ports, err = parsePorts(words)
		return err
	case len(words) > 0:
		return fmt.Errorf("%q: want PORTs or --server HOST:PORT, not both", words[0])
	}
	addrs, err := rig.Resolve(ctx, w.server)
	if err != nil {
		return fmt.Errorf("--server: %w", err)
	}
	w.ports = []uint16{addrs[0].Port()}
	if !addrs[0].Addr().IsUnspecified() {
		w.addrs = addrs
	}
	return nil
}

// read returns the sockets that are looked at.
func (w *watched) read() ([]wire.TableEntry, error) {
	all, err := wire.ReadTable(w.netDir)
	if w.pid != 0 && w.netDir == filepath.Join(rig.ProcDir(w.pid), "net") && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("process %d has ended", w.pid)
	}
	if err != nil || len(w.addrs) == 0 {
		return all, err
	}
	var mine []wire.TableEntry
	for _, s := range all {
		if w.isOurs(s) {
			mine = append(mine, s)
		}
	}
	return mine, nil
}

// isOurs reports whether a socket is of the server, at either end, or listens for it. A listener for every address of
// IPv6 is taken to serve IPv4 too, as the kernel's default is.
func (w *watched) isOurs(s wire.TableEntry) bool {
	for _, a := range w.addrs {
		every := s.State == wire.StateListen && s.Local.Port() == a.Port() && s.Local.Addr().IsUnspecified() &&
			(s.Local.Addr().Is6() || a.Addr().Is4())
		if every || s.Local == a || s.Remote == a {
			return true
		}
	}
	return false
}

// title returns what is looked at, in words.
func (w *watched) title() string {
	text := ""
	for i, port := range w.ports {
		if i > 0 {
			text += ", "
		}
		text += w.name(port)
	}
	if len(w.addrs) > 0 {
		var addrs []string
		for _, a := range w.addrs {
			addrs = append(addrs, a.Addr().String())
		}
		if list := strings.Join(addrs, ", "); !strings.Contains(w.server, list) {
			text += " (" + list + ")"
		}
	}
	if w.pid != 0 {
		text += fmt.Sprintf(" in the network namespace of process %d", w.pid)
	}
	return text
}

// name returns a port as it was given: with its server, if that was named.
func (w *watched) name(port uint16) string {
	if w.server != "" {
		return w.server
	}
	return fmt.Sprintf("port %d", port)
}

// nothingThere returns the reason when a port has no socket.
func (w *watched) nothingThere(port uint16) string {
	text := fmt.Sprintf("no socket on %s, not even a listener", w.name(port))
	if w.pid == 0 && w.netDir == filepath.Join(rig.ProcDir(0), "net") {
		text += "; a server in a container is seen with --pid"
	}
	return text
}

// checkProcess returns an error for a process that is not there, or that we may not look at.
func checkProcess(pid int) error {
	switch {
	case pid < 0:
		return fmt.Errorf("--pid %d: want a process id", pid)
	case pid == 0:
		return nil
	}
	f, err := os.Open(filepath.Join(rig.ProcDir(pid), "net", "tcp"))
	if err != nil {
		return pidError(pid, err)
	}
	return f.Close()
}

func pidError(pid int, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("--pid %d: no permission to look at this process: run imaprig as its user, or as root", pid)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--pid %d: there is no such process", pid)
	}
	return fmt.Errorf("--pid %d: %w", pid, err)
}

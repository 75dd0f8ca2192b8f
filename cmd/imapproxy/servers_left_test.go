package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imapproxy/backend/wire"
)

// running are the names of the server's processes, sorted, without those that
// Gamin starts for each user, which end by themselves after a while.
func (s *mailServer) running(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/ns/pid")
	try(t, "processes", err)
	var names []string
	for _, space := range all {
		if link, err := os.Readlink(space); err != nil || link != s.space {
			continue // ended, or another's
		}
		name, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(space)), "comm"))
		if text := strings.TrimSpace(string(name)); err == nil && text != "gam_server" {
			names = append(names, text)
		}
	}
	slices.Sort(names)
	return names
}

// sockets are the kernel's connections to the server's ports.
func (s *mailServer) sockets(t *testing.T) []wire.TableEntry {
	t.Helper()
	all, err := wire.ReadTable("/proc/self/net")
	try(t, "sockets", err)
	ports := []uint16{uint16(s.PlainPort), uint16(s.TLSPort)}
	return slices.DeleteFunc(all, func(e wire.TableEntry) bool {
		ours := slices.Contains(ports, e.Local.Port()) || slices.Contains(ports, e.Remote.Port())
		return !ours || e.State == wire.StateListen || e.State == wire.StateTimeWait
	})
}

// rests waits until the server has no connection, and no process that it had not
// before its first client: one of its start may have ended since.
func (s *mailServer) rests(t *testing.T) {
	t.Helper()
	eventually(t, "connections to "+s.name, func() (bool, string) {
		left := s.sockets(t)
		return len(left) == 0, fmt.Sprint(left)
	})
	eventually(t, "processes of "+s.name, func() (bool, string) {
		now := s.running(t)
		return len(less(now, s.processes)) == 0, fmt.Sprintf("%q, at first %q", now, s.processes)
	})
}

// less returns what all has more of than some.
func less(all, some []string) []string {
	rest := slices.Clone(all)
	for _, name := range some {
		if i := slices.Index(rest, name); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return rest
}

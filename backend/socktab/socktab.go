// Package socktab reads Linux's table of TCP sockets: /proc/net/tcp and tcp6,
// and which of them a process holds. It knows nothing of IMAP.
package socktab

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Entry is one socket.
type Entry struct {
	Local  netip.AddrPort // IPv4-mapped addresses are given as IPv4
	Remote netip.AddrPort
	State  string // as ss names it, such as ESTABLISHED or CLOSE_WAIT
	SendQ  int    // bytes not yet acknowledged by the peer
	RecvQ  int    // bytes not yet read by the process; in CLOSE_WAIT an unread FIN counts as one
	Inode  uint64 // 0 when no process holds it any more
}

// states are the kernel's numbers (include/net/tcp_states.h).
var states = [...]string{
	1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT",
	7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING", 12: "NEW_SYN_RECV",
}

// Read reads both tables below a folder such as /proc/net or /proc/PID/net,
// which is the view of that process's network namespace.
func Read(dir string) ([]Entry, error) {
	var all []Entry
	for _, name := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) && name == "tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		some, err := Parse(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// Parse reads one table.
func Parse(r io.Reader) ([]Entry, error) {
	lines := bufio.NewScanner(r)
	if !lines.Scan() { // the heading
		return nil, lines.Err()
	}
	var all []Entry
	for lines.Scan() {
		e, err := parseLine(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(all)+2, err)
		}
		all = append(all, e)
	}
	return all, lines.Err()
}

var errFields = errors.New("not a line of the kernel's TCP table")

// parseLine reads "sl local remote st tx:rx tr:when retrnsmt uid timeout inode ...".
func parseLine(line string) (Entry, error) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return Entry{}, errFields
	}
	var e Entry
	local, err1 := address(f[1])
	remote, err2 := address(f[2])
	state, err3 := strconv.ParseUint(f[3], 16, 8)
	send, recv, _ := strings.Cut(f[4], ":")
	tx, err4 := strconv.ParseUint(send, 16, 32)
	rx, err5 := strconv.ParseUint(recv, 16, 32)
	inode, err6 := strconv.ParseUint(f[9], 10, 64)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return e, err
	}
	e = Entry{Local: local, Remote: remote, State: "UNKNOWN", SendQ: int(tx), RecvQ: int(rx), Inode: inode}
	if int(state) < len(states) && states[state] != "" {
		e.State = states[state]
	}
	return e, nil
}

// address reads "0100007F:1F90": words of the host's byte order, here little
// endian, then the port.
func address(s string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if err != nil || (len(b) != 4 && len(b) != 16) {
		return netip.AddrPort{}, errFields
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, errFields
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}

// Held gives the sockets, of any kind, that a process holds: their inodes,
// with one descriptor each. dir is /proc/self/fd or /proc/PID/fd.
func Held(dir string) (map[uint64]int, error) {
	names, err := readNames(dir)
	if err != nil {
		return nil, err
	}
	held := map[uint64]int{}
	for _, name := range names {
		target, err := os.Readlink(filepath.Join(dir, name))
		if err != nil {
			continue // closed meanwhile
		}
		text, ok := strings.CutPrefix(target, "socket:[")
		if !ok {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
		fd, err2 := strconv.Atoi(name)
		if err == nil && err2 == nil {
			held[inode] = fd
		}
	}
	return held, nil
}

func readNames(dir string) (names []string, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Readdirnames(-1)
}

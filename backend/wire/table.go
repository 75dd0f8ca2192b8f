package wire

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// State is a TCP state by the name that netstat prints, or "state N" for a
// number that has none. A Unix socket's is that of a TCP socket in the same
// position.
type State string

// The states of RFC 9293 and the kernel's own.
const (
	StateEstablished State = "ESTABLISHED"
	StateSynSent     State = "SYN_SENT"
	StateSynRecv     State = "SYN_RECV"
	StateFinWait1    State = "FIN_WAIT1"
	StateFinWait2    State = "FIN_WAIT2"
	StateTimeWait    State = "TIME_WAIT"
	StateClosed      State = "CLOSE"
	StateCloseWait   State = "CLOSE_WAIT"
	StateLastAck     State = "LAST_ACK"
	StateListen      State = "LISTEN"
	StateClosing     State = "CLOSING"
	StateNewSynRecv  State = "NEW_SYN_RECV"
)

// StateUnknown is that of a socket that could not be asked.
const StateUnknown State = "UNKNOWN"

// states are the kernel's numbers (include/net/tcp_states.h).
var states = [...]State{
	1: StateEstablished, 2: StateSynSent, 3: StateSynRecv, 4: StateFinWait1, 5: StateFinWait2, 6: StateTimeWait,
	7: StateClosed, 8: StateCloseWait, 9: StateLastAck, 10: StateListen, 11: StateClosing, 12: StateNewSynRecv,
}

// stateOfNumber names the kernel's number.
func stateOfNumber(number uint8) State {
	if number == 0 || int(number) >= len(states) {
		return State(fmt.Sprintf("state %d", number))
	}
	return states[number]
}

// Number is the kernel's number, for sorting; 0 for a state without a name.
func (s State) Number() int {
	return max(0, slices.Index(states[:], s))
}

// TableEntry is one socket.
type TableEntry struct {
	Local  netip.AddrPort // IPv4-mapped addresses, as the JVM uses them, are given as IPv4
	Remote netip.AddrPort
	State  State
	RecvQ  uint64 // bytes not read by the process, an unread FIN counting as one; of a listener: its accept queue
	SendQ  uint64 // bytes not acknowledged by the peer
	Inode  uint64 // 0 = no descriptor: still in an accept queue, or closed by its process
}

// ReadTable reads both tables below a folder such as /proc/net or /proc/PID/net,
// which is the view of that process's network namespace. An error names the
// file. A kernel without IPv6 has no tcp6 there. A socket is in it once.
func ReadTable(dir string) ([]TableEntry, error) {
	all, err := readFile(filepath.Join(dir, "tcp"))
	if err != nil {
		return nil, err
	}
	six, err := readFile(filepath.Join(dir, "tcp6"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return withoutRepeats(append(all, six...)), nil
}

// withoutRepeats keeps what was read last of a socket that was read twice: the kernel's
// table changes while it is read, which on a busy machine is not rare.
func withoutRepeats(entries []TableEntry) []TableEntry {
	type socket struct {
		local, remote netip.AddrPort
		inode         uint64
	}
	places := map[socket]int{}
	kept := entries[:0]
	for _, e := range entries {
		s := socket{e.Local, e.Remote, e.Inode}
		if at, repeated := places[s]; repeated {
			kept[at] = e
			continue
		}
		places[s] = len(kept)
		kept = append(kept, e)
	}
	return kept
}

func readFile(path string) (_ []TableEntry, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the socket table: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	all, err := ParseTable(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// ParseTable reads one table as the kernel prints it
// (Documentation/networking/proc_net_tcp.rst). The first line is the heading.
// An error names the line.
func ParseTable(r io.Reader) ([]TableEntry, error) {
	var all []TableEntry
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			continue
		}
		e, err := parseLine(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, e)
	}
	return all, lines.Err()
}

// parseLine reads "sl local remote st tx:rx tr:when retrnsmt uid timeout inode ...".
func parseLine(line string) (e TableEntry, err error) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return e, fmt.Errorf("%d fields, want at least 10: %q", len(f), line)
	}
	var errs [6]error
	e.Local, errs[0] = parseAddrPort(f[1])
	e.Remote, errs[1] = parseAddrPort(f[2])
	number, err := strconv.ParseUint(f[3], 16, 8)
	e.State, errs[2] = stateOfNumber(uint8(number)), err
	tx, rx, _ := strings.Cut(f[4], ":")
	e.SendQ, errs[3] = strconv.ParseUint(tx, 16, 64)
	e.RecvQ, errs[4] = strconv.ParseUint(rx, 16, 64)
	e.Inode, errs[5] = strconv.ParseUint(f[9], 10, 64)
	return e, cmp.Or(errs[:]...)
}

// parseAddrPort reads an address printed as 32-bit words in the machine's byte
// order, and a port: "0100007F:1F90".
func parseAddrPort(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	if len(host) != 8 && len(host) != 32 {
		return netip.AddrPort{}, fmt.Errorf("address %q: want 8 or 32 hex digits, a colon and a port", text)
	}
	raw := make([]byte, 0, 16)
	for ; host != ""; host = host[8:] {
		word, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("address %q: %w", text, err)
		}
		raw = binary.NativeEndian.AppendUint32(raw, uint32(word))
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port in %q: %w", text, err)
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), nil
}

// HeldInodes returns the sockets, of any kind, that a process holds: their inodes,
// with one descriptor each. dir is /proc/self/fd or /proc/PID/fd.
func HeldInodes(dir string) (map[uint64]int, error) {
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

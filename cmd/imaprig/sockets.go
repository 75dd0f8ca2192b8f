package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tcpState is a state as the kernel numbers it in /proc/net/tcp (include/net/tcp_states.h).
type tcpState uint8

const (
	stateEstablished tcpState = iota + 1
	stateSynSent
	stateSynRecv
	stateFinWait1
	stateFinWait2
	stateTimeWait
	stateClose
	stateCloseWait
	stateLastAck
	stateListen
	stateClosing
	stateNewSynRecv
)

var stateNames = [...]string{"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
	"CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV"}

// String gives the name that netstat prints, or "state N" for a number that is none.
func (s tcpState) String() string {
	if s == 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return stateNames[s]
}

// socket is one row of /proc/net/tcp or tcp6. IPv4-mapped addresses, as the JVM uses them, are unmapped.
type socket struct {
	Local, Remote netip.AddrPort
	State         tcpState
	RecvQ         uint64 // bytes not read by the program, an unread FIN counting as one; of a listener: the accept queue
	SendQ         uint64 // bytes not acknowledged by the peer
	Inode         uint64 // 0 = no descriptor: still in the accept queue, or closed by its program
}

// readSockets reads the TCP sockets of a network namespace from a directory such as /proc/net or /proc/PID/net.
// A kernel without IPv6 has no tcp6 there.
func readSockets(dir string) ([]socket, error) {
	all, err := readSocketFile(filepath.Join(dir, "tcp"))
	if err != nil {
		return nil, err
	}
	six, err := readSocketFile(filepath.Join(dir, "tcp6"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return append(all, six...), nil
}

// readSocketFile reads one such file, for example /proc/PID/net/tcp.
func readSocketFile(path string) (_ []socket, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the socket table: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	socks, err := parseSockets(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return socks, nil
}

// parseSockets reads rows as the kernel prints them (Documentation/networking/proc_net_tcp.rst). The first line is the
// head. An error names the line.
func parseSockets(r io.Reader) ([]socket, error) {
	var socks []socket
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			continue
		}
		s, err := parseSocket(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		socks = append(socks, s)
	}
	return socks, lines.Err()
}

func parseSocket(line string) (s socket, err error) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return s, fmt.Errorf("%d fields, want at least 10: %q", len(f), line)
	}
	var errs [6]error
	s.Local, errs[0] = parseAddrPort(f[1])
	s.Remote, errs[1] = parseAddrPort(f[2])
	state, err := strconv.ParseUint(f[3], 16, 8)
	s.State, errs[2] = tcpState(state), err
	tx, rx, _ := strings.Cut(f[4], ":")
	s.SendQ, errs[3] = strconv.ParseUint(tx, 16, 64)
	s.RecvQ, errs[4] = strconv.ParseUint(rx, 16, 64)
	s.Inode, errs[5] = strconv.ParseUint(f[9], 10, 64)
	return s, errors.Join(errs[:]...)
}

// parseAddrPort reads an address printed as 32-bit words in the machine's byte order, and a port.
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

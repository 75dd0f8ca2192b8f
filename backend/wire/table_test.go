package wire

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const socketHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestParse(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("SKIPPED: these rows come from a little-endian machine, and this is none")
	}
	tests := []struct {
		name, row string
		want      TableEntry
	}{
		{"listener", "   0: 0100007F:0477 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 " +
			"7001 1 0000000000000000 100 0 0 10 0",
			TableEntry{addr("127.0.0.1:1143"), addr("0.0.0.0:0"), StateListen, 3, 0, 7001}},
		{"unread FIN", "   1: 0100007F:0477 0200007F:D431 08 00000000:00000001 00:00000000 00000000     0        0 " +
			"7002 1 0000000000000000 20 4 30 10 -1",
			TableEntry{addr("127.0.0.1:1143"), addr("127.0.0.2:54321"), StateCloseWait, 1, 0, 7002}},
		{"queues", "10000: 0100007F:0477 0200007F:D431 01 000000FF:00000100 01:00000000 00000000     0        0 7003 " +
			"1 0000000000000000 20 4 30 10 -1",
			TableEntry{addr("127.0.0.1:1143"), addr("127.0.0.2:54321"), StateEstablished, 256, 255, 7003}},
		{"IPv4 as the JVM has it", "   2: 0000000000000000FFFF00000100007F:0477 " +
			"0000000000000000FFFF00000100007F:D431 06 00000000:00000000 03:00000F00 00000000     0        0 0 3 " +
			"0000000000000000",
			TableEntry{addr("127.0.0.1:1143"), addr("127.0.0.1:54321"), StateTimeWait, 0, 0, 0}},
		{"IPv6", "   3: B80D01200000000000000000010000FF:03E1 00000000000000000000000001000000:D431 05 " +
			"00000000:00000000 00:00000000 00000000     0        0 7004 1 0000000000000000",
			TableEntry{addr("[2001:db8::ff00:1]:993"), addr("[::1]:54321"), StateFinWait2, 0, 0, 7004}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseTable(strings.NewReader(socketHead + tt.row + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const row = "   0: 0100007F:0477 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 7001 1"
	tests := []struct{ name, old, new, want string }{
		{"short", "00:00000000 00000000     0        0 7001 1", "", "line 2: 5 fields"},
		{"address length", "0100007F:", "7F:", "line 2: address"},
		{"address digits", "0100007F:", "0100007G:", "line 2: address"},
		{"no port", "0100007F:0477", "0100007F", "line 2: port"},
		{"state", " 0A ", " ZZ ", "line 2: "},
		{"queue", "00000000:00000000 00:", "00000000 00:", "line 2: "},
		{"inode", " 7001 ", " -1 ", "line 2: "},
		{"two of them", "0100007F:0477 00000000:0000", "x y", "line 2: address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bad := strings.Replace(row, tt.old, tt.new, 1)
			_, err := ParseTable(strings.NewReader(socketHead + bad + "\n"))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q in one line", err, tt.want)
			}
		})
	}
}

func TestStates(t *testing.T) {
	for number, want := range map[uint8]State{0: "state 0", 1: "ESTABLISHED", 5: "FIN_WAIT2", 6: "TIME_WAIT",
		8: "CLOSE_WAIT", 10: "LISTEN", 12: "NEW_SYN_RECV", 13: "state 13"} {
		got := stateOfNumber(number)
		if got != want {
			t.Errorf("%d: %q, want %q", number, got, want)
		}
		if back := got.Number(); back != int(number)%13 {
			t.Errorf("%q has the number %d, want %d", got, back, int(number)%13)
		}
	}
}

// TestRead finds the two ends of a connection of its own.
func TestRead(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all, err := ReadTable("/proc/self/net")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).AddrPort().Port()
	local, remote := map[State]int{}, map[State]int{}
	held, err := HeldInodes("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.State == "TIME_WAIT" {
			continue // of another program that had the port before
		}
		if e.Local.Port() == port {
			local[e.State]++
		}
		if e.Remote.Port() == port {
			remote[e.State]++
			if _, ok := held[e.Inode]; !ok {
				t.Errorf("nobody holds the inode of %+v; this process does", e)
			}
		}
	}
	if local[StateListen] != 1 || local[StateEstablished] != 1 || remote[StateEstablished] != 1 {
		t.Errorf("states %v and %v, want a listener and both ends established", local, remote)
	}
}

// TestReadRepeats wants the last word of a socket that moved within the table while it was read.
func TestReadRepeats(t *testing.T) {
	here, there := netip.MustParseAddrPort("127.0.0.1:143"), netip.MustParseAddrPort("127.0.0.1:50000")
	socket := TableEntry{Local: here, Remote: there, State: StateEstablished, Inode: 5}
	moved, other := socket, socket
	moved.State, other.Inode = StateCloseWait, 6
	got := withoutRepeats([]TableEntry{socket, other, moved})
	if want := []TableEntry{moved, other}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadTable(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("no file: error %v, want one that names it", err)
	}
	writeFile(t, filepath.Join(dir, "tcp"), socketHead)
	if socks, err := ReadTable(dir); err != nil || len(socks) != 0 {
		t.Errorf("no tcp6: %v, %v, want none and no error", socks, err)
	}
	writeFile(t, filepath.Join(dir, "tcp6"), socketHead+"junk\n")
	if _, err := ReadTable(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "tcp6")+": line 2") {
		t.Errorf("bad tcp6: error %v, want its name and line", err)
	}
}

func addr(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

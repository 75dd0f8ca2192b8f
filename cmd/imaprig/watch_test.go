package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// netDir writes a socket table and returns its directory.
func netDir(t *testing.T, socks ...wire.TableEntry) string {
	t.Helper()
	dir := t.TempDir()
	writeTable(t, dir, socks...)
	return dir
}

func writeTable(t *testing.T, dir string, socks ...wire.TableEntry) {
	t.Helper()
	text := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for i, s := range socks {
		text += fmt.Sprintf("%4d: %s %s %02X %08X:%08X 00:00000000 00000000     0        0 %d 1\n",
			i, tableAddr(s.Local), tableAddr(s.Remote), s.State.Number(), s.SendQ, s.RecvQ, s.Inode)
	}
	rigtest.WriteFile(t, filepath.Join(dir, "tcp"), text)
}

func tableAddr(ap netip.AddrPort) string {
	ip := ap.Addr().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), ap.Port())
}

// leaked returns n sockets of port 143 in CLOSE_WAIT, from clients with ports from 50000 on.
func leaked(n int, recvQ uint64) []wire.TableEntry {
	var socks []wire.TableEntry
	for i := range n {
		s := rigtest.CloseWait(recvQ, 0, uint64(100+i))
		s.Remote = netip.AddrPortFrom(s.Remote.Addr(), uint16(50000+i))
		socks = append(socks, s)
	}
	return socks
}

func swapped(socks []wire.TableEntry) []wire.TableEntry {
	for i := range socks {
		socks[i].Local, socks[i].Remote = socks[i].Remote, socks[i].Local
	}
	return socks
}

func TestWatchOnce(t *testing.T) {
	listener := wire.TableEntry{Local: rigtest.Addr("0.0.0.0:143"), Remote: rigtest.Addr("0.0.0.0:0"),
		State: wire.StateListen, Inode: 1}
	tests := []struct {
		name  string
		socks []wire.TableEntry
		args  []string
		code  level
		want  string
	}{
		{"quiet", []wire.TableEntry{listener}, nil, levelOK,
			"CLOSE_WAIT OK - 0 sockets on the server's side, 0 on the client's; " +
				"ages unknown without --state FILE | server=0;100;512;0 client=0;100;512;0\n"},
		{"at the threshold", leaked(100, 1), nil, levelOK, "CLOSE_WAIT OK - 100 sockets"},
		{"above it", leaked(101, 1), nil, levelWarning, "CLOSE_WAIT WARNING - 101 sockets on the server's side, " +
			"above 100;"},
		{"diagnosis", leaked(101, 11), nil, levelWarning,
			"\nport 143, server's side: 101 with Recv-Q 11: " +
				"10 bytes in front of the FIN have not been read, as long as a LOGOUT: the worker is stuck\n"},
		{"at half the limit", leaked(200, 0), []string{"--fd-limit", "400"}, levelWarning,
			"WARNING - 200 sockets on the server's side, above 100;"},
		{"above half the limit", leaked(201, 0), []string{"--fd-limit", "400"}, levelCritical,
			"CRITICAL - 201 sockets on the server's side, above 200;"},
		{"counts given", leaked(4, 0), []string{"--warn-count", "1", "--crit-count", "3"}, levelCritical,
			"server=4;1;3;0"},
		{"client's side", swapped(leaked(101, 0)), nil, levelWarning, "WARNING - 101 sockets on the client's side"},
		{"each side by itself", append(leaked(60, 0), swapped(leaked(60, 0))...), nil, levelOK,
			"60 sockets on the server's side, 60 on the client's"},
		{"the worse side counts", append(leaked(201, 0), swapped(leaked(150, 0))...), []string{"--fd-limit", "400"},
			levelCritical,
			"CRITICAL - 201 sockets on the server's side, above 200; 150 sockets on the client's side, above 100;"},
		{"nobody there", nil, nil, levelUnknown, "UNKNOWN - no socket on port 143, not even a listener;"},
		{"other port", []wire.TableEntry{listener}, []string{"993"}, levelUnknown, "no socket on port 993"},
		{"critical beats unknown", leaked(2, 0), []string{"993", "--crit-count", "1"}, levelCritical,
			"CRITICAL - 2 sockets"},
		{"no table", nil, []string{"--net", "/no/such/dir"}, levelUnknown, "CLOSE_WAIT UNKNOWN - read the socket " +
			"table: open /no/such/dir/tcp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append([]string{"watch", "--once", "--net", netDir(t, tt.socks...), "143"}, tt.args...)
			if code := run(args, &stdout, &stderr); code != int(tt.code) {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			checkOutput(t, "stdout", stdout.String(), tt.want)
			checkOutput(t, "stderr", stderr.String(), "")
		})
	}
}

func TestWatchUsage(t *testing.T) {
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"0"}, rig.ExitUsage, `port "0"`},
		{[]string{"65536"}, rig.ExitUsage, `port "65536"`},
		{[]string{"imap"}, rig.ExitUsage, `port "imap"`},
		{[]string{"--no-such", "143"}, rig.ExitUsage, "no-such"},
		{[]string{"--interval", "1ms", "143"}, rig.ExitUsage, "--interval 1ms"},
		{[]string{"--warn-count", "-1", "143"}, rig.ExitUsage, "--warn-count -1"},
		{[]string{"--crit-count", "-1", "143"}, rig.ExitUsage, "--crit-count -1"},
		{[]string{"--warn-age", "0", "143"}, rig.ExitUsage, "--warn-age 0s"},
		{[]string{"--warn-age", "1h", "143"}, rig.ExitUsage, "--crit-age 30m0s"},
		{[]string{"--state", "x", "143"}, rig.ExitUsage, "--state goes with --once"},
		{[]string{"--pid", "2147483647", "143"}, rig.ExitUsage, "--pid 2147483647: there is no such process"},
		{[]string{"--once"}, int(levelUnknown), "no port given"},
		{[]string{"143", "-once", "--no-such"}, int(levelUnknown), "no-such"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(append([]string{"watch"}, tt.args...), &stdout, &stderr); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			checkOutput(t, "stdout", stdout.String(), "")
			checkOutput(t, "stderr", stderr.String(), tt.want)
		})
	}
}

// TestWatchOnceAges looks again and again with one state file.
func TestWatchOnceAges(t *testing.T) {
	dir := netDir(t, leaked(2, 1)...)
	o := watchOptions{watched: watched{ports: []uint16{143}, netDir: dir}, once: true,
		state: filepath.Join(t.TempDir(), "state"), thresholds: thresholds{100, 512, 5 * time.Minute, 30 * time.Minute}}
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	steps := []struct {
		after time.Duration
		code  level
		want  string
	}{
		{0, levelOK, "server_oldest=0s;300;1800;0"},
		{5 * time.Minute, levelOK, "server_oldest=300s"},
		{5*time.Minute + time.Second, levelWarning, "one on the server's side for 5m1s, over 5m0s"},
		{31 * time.Minute, levelCritical, "one on the server's side for 31m0s, over 30m0s"},
	}
	for _, step := range steps {
		var stdout bytes.Buffer
		if code := watchOnce(o, begun.Add(step.after), &stdout); code != int(step.code) {
			t.Errorf("after %v: code %d, want %d", step.after, code, step.code)
		}
		checkOutput(t, "stdout", stdout.String(), step.want)
	}
	writeTable(t, dir, wire.TableEntry{Local: rigtest.Addr("0.0.0.0:143"), Remote: rigtest.Addr("0.0.0.0:0"),
		State: wire.StateListen, Inode: 1})
	var stdout bytes.Buffer
	if code := watchOnce(o, begun.Add(time.Hour), &stdout); code != int(levelOK) {
		t.Errorf("sockets gone: code %d, want 0: %s", code, stdout.String())
	}
	rigtest.WriteFile(t, o.state, "{")
	stdout.Reset()
	if code := watchOnce(o, begun.Add(time.Hour), &stdout); code != int(levelUnknown) {
		t.Errorf("bad state: code %d, want 3", code)
	}
	checkOutput(t, "stdout", stdout.String(), "remove it to begin anew")
	o.state = filepath.Join(t.TempDir(), "no", "dir")
	if code := watchOnce(o, begun, &stdout); code != int(levelUnknown) {
		t.Errorf("state that can't be written: code %d, want 3", code)
	}
}

// TestWatchLive runs the live view for three seconds of fake time.
func TestWatchLive(t *testing.T) {
	dir := netDir(t, leaked(3, 1)...)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var stdout, stderr bytes.Buffer
		code := make(chan int)
		go func() { code <- runWatch(ctx, []string{"--net", dir, "--warn-age", "1s", "143"}, &stdout, &stderr) }()
		time.Sleep(2500 * time.Millisecond)
		cancel()
		if got := <-code; got != rig.ExitOK {
			t.Errorf("code %d, want 0: %s", got, stderr.String())
		}
		tables := strings.Split(strings.TrimSpace(stdout.String()), "\n\n")
		if len(tables) != 6 { // three looks, each a head and a table
			t.Fatalf("%d parts, want 6:\n%s", len(tables), stdout.String())
		}
		for i, want := range []string{"0s ", "1s ", "2s "} {
			row := tables[2*i+1]
			if !strings.Contains(row, "143   server  CLOSE_WAIT  3        1       0       "+want) ||
				!strings.Contains(row, "the FIN has not been read") {
				t.Errorf("look %d: %q, want 3 sockets, %s old", i, row, want)
			}
		}
		checkOutput(t, "first head", tables[0], "  OK  ")
		checkOutput(t, "last head", tables[4], "WARNING  one on the server's side for 2s, over 1s")
	})
}

func TestWatchLiveFails(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := runWatch(t.Context(), []string{"--net", "/no/such/dir", "143"}, &stdout,
		&stderr); code != rig.ExitFailed {
		t.Errorf("code %d, want 1", code)
	}
	checkOutput(t, "stderr", stderr.String(), "/no/such/dir/tcp")
}

func TestCritCount(t *testing.T) {
	own, err := rig.DescriptorLimit(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ given, fdLimit, pid, want int }{
		{7, 400, os.Getpid(), 7}, {0, 400, os.Getpid(), 200}, {0, 0, os.Getpid(), own / 2}, {0, 0, 0, 512},
	} {
		if got, err := critCount(tt.given, tt.fdLimit, tt.pid); err != nil || got != tt.want {
			t.Errorf("%+v: %d, %v", tt, got, err)
		}
	}
}

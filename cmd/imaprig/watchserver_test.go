package main

import (
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// sixTable is a tcp6 of [::1]:143: a socket in CLOSE_WAIT, and that of a client on this machine.
const sixTable = `  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000001000000:008F 00000000000000000000000001000000:C350 08 00000000:00000000 0 0 0 0 7 1
   1: 00000000000000000000000001000000:C350 00000000000000000000000001000000:008F 05 00000000:00000000 0 0 0 0 8 1
`

// TestWatchServer has only the sockets of that address and port.
func TestWatchServer(t *testing.T) {
	listener := func(addr string) wire.TableEntry {
		return wire.TableEntry{Local: rigtest.Addr(addr), Remote: rigtest.Addr("0.0.0.0:0"), State: wire.StateListen,
			Inode: 1}
	}
	dir := netDir(t, append(leaked(3, 0), listener("0.0.0.0:143"), listener("127.0.0.3:143"),
		listener("127.0.0.2:993"))...)
	rigtest.WriteFile(t, filepath.Join(dir, "tcp6"), sixTable)
	tests := []struct {
		server string
		code   level
		want   string
	}{
		{"127.0.0.1:143", levelWarning, "CLOSE_WAIT WARNING - 3 sockets on the server's side, above 0; ages unknown"},
		{"127.0.0.1:143", levelWarning, "\n127.0.0.1:143, server's side: 3 with Recv-Q 0: EOF has been read"},
		{"127.0.0.2:143", levelOK, "CLOSE_WAIT OK - 0 sockets on the server's side, 0 on the client's; ages unknown"},
		{"127.0.0.1:993", levelUnknown, "UNKNOWN - no socket on 127.0.0.1:993, not even a listener; ages unknown"},
		{"127.0.0.2:993", levelOK, "OK - 0 sockets"},
		{"[::1]:143", levelWarning, "WARNING - 1 socket on the server's side, above 0; nothing listens on [::1]:143;"},
		{"localhost:143", levelWarning, " sockets on the server's side, above 0; ages unknown"},
		{":143", levelWarning, "WARNING - 4 sockets on the server's side, above 0; ages unknown"},
	}
	for _, tt := range tests {
		var stdout, stderr strings.Builder
		args := []string{"watch", "--once", "--warn-count", "0", "--net", dir, "--server", tt.server}
		if code := run(args, &stdout, &stderr); code != int(tt.code) {
			t.Errorf("%s: code %d, want %d", tt.server, code, tt.code)
		}
		checkOutput(t, tt.server, stdout.String(), tt.want)
		checkOutput(t, tt.server, stderr.String(), "")
	}
}

func TestWatchServerUsage(t *testing.T) {
	for args, want := range map[string]string{
		"--server 143":                    `--server: "143": want HOST:PORT`,
		"--server ::1:143":                `--server: "::1:143": want HOST:PORT`,
		"--server 127.0.0.1:0":            "want a port from 1 to 65535",
		"--server 127.0.0.1:65536":        "want a port from 1 to 65535",
		"--server 127.0.0.1:imap":         "want a port from 1 to 65535",
		"--server 127.0.0.1:143 993":      `"993": want PORTs or --server HOST:PORT, not both`,
		"--server no..such:143":           `--server: "no..such:143": there is no host no..such`,
		"143 --pid x":                     `"x" for flag -pid: want a number; see `,
		"143 --pid -1":                    "--pid -1: want a process id",
		"143 --interval 5":                `"5" for flag -interval: want a time such as 30s or 5m; see `,
		"143 --pid 99999999999999999999":  "value out of range",
		"143 --server 127.0.0.1:143":      "not both",
		"143 --pid 2147483647 --interval": "flag needs an argument: -interval; see `imaprig watch --help`",
	} {
		var stdout, stderr strings.Builder
		if code := run(append([]string{"watch"}, strings.Fields(args)...), &stdout, &stderr); code != rig.ExitUsage {
			t.Errorf("%s: code %d, want 2", args, code)
		}
		checkOutput(t, args, stdout.String(), "")
		checkOutput(t, args, stderr.String(), want)
		if strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: %q, want one line", args, stderr.String())
		}
	}
}

func TestPIDError(t *testing.T) {
	for err, want := range map[error]string{
		fs.ErrPermission: "--pid 7: no permission to look at this process: run imaprig as its user, or as root",
		fs.ErrNotExist:   "--pid 7: there is no such process",
		unix.EIO:         "--pid 7: " + unix.EIO.Error(),
	} {
		if got := pidError(7, err).Error(); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

func TestWatchTitle(t *testing.T) {
	for want, w := range map[string]watched{
		"port 143, port 993": {ports: []uint16{143, 993}},
		"[::1]:143": {ports: []uint16{143}, server: "[::1]:143",
			addrs: []netip.AddrPort{rigtest.Addr("[::1]:143")}},
		"mail.test:143 (192.0.2.1, 2001:db8::1) in the network namespace of process 7": {ports: []uint16{143}, pid: 7,
			server: "mail.test:143", addrs: []netip.AddrPort{rigtest.Addr("192.0.2.1:143"),
				rigtest.Addr("[2001:db8::1]:143")}},
	} {
		if got := w.title(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

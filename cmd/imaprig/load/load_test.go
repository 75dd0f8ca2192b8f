package load

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"

	"golang.org/x/sys/unix"
)

// childBackend runs the fast backend as a process of its own, with so many descriptors.
func childBackend(t *testing.T, descriptors uint64) (addr string, pid int) {
	t.Helper()
	own, err := rig.StartOwn("backend", 1, "--listen", rigtest.AnyPort)
	if own != nil {
		t.Cleanup(func() {
			if err := own.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: descriptors, Max: descriptors}
	if err := unix.Prlimit(own.Child.PID(), unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	return own.Addrs[0].String(), own.Child.PID()
}

// loadOf runs a load of the mode.
func loadOf(t *testing.T, args ...string) (*Result, error) {
	t.Helper()
	o, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o.Run(t.Context(), io.Discard, "test")
}

// dialogue is a server that says its lines, one after each line that it reads, and then does what end says.
func dialogue(t *testing.T, end string, lines ...string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rig.FastServer{Serve: func(conn *net.TCPConn) {
		in := bufio.NewReader(conn)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		for i, line := range lines {
			if i > 0 {
				text, err := in.ReadString('\n')
				if err != nil {
					return
				}
				tag, _, _ := strings.Cut(text, " ")
				line = strings.ReplaceAll(line, "TAG", tag)
			}
			if _, err := io.WriteString(conn, line); err != nil {
				return
			}
		}
		switch end {
		case "silent":
			_, _ = io.Copy(io.Discard, in)
		case "reset":
			_, _ = in.ReadString('\n')
			_ = conn.SetLinger(0)
		case "close":
			_, _ = in.ReadString('\n')
		}
	}}
	rigtest.Serve(t, func(ctx context.Context) error { return s.Accept(ctx, ln) })
	return ln.Addr().String()
}

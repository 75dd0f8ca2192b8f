package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// TestWatchJava holds imaprig watch against a real leak.
func TestWatchJava(t *testing.T) {
	java, err := rig.StartJava(t.Context(), rig.JavaOptions{Source: rigtest.JavaSource(t), Mode: "no-close-on-eof"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := java.Stop(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	leave(t, java.Addr())
	args := []string{"watch", "--once", "--warn-count", "0", "--fd-limit", "100", "--pid", strconv.Itoa(java.PID()),
		strconv.Itoa(int(java.Port))}
	want := fmt.Sprintf("port %d, server's side: 1 with Recv-Q 0: EOF has been read, and close() forgotten\n",
		java.Port)
	rigtest.EventuallyStays(t, func() error {
		var stdout, stderr strings.Builder
		if code := run(args, &stdout, &stderr); code != int(levelWarning) || stderr.String() != "" {
			return fmt.Errorf("code %d, stderr %q; want 1 and nothing", code, stderr.String())
		}
		if got := stdout.String(); !strings.HasPrefix(got, "CLOSE_WAIT WARNING - 1 socket on the server's side, "+
			"above 0;") || !strings.HasSuffix(got, want) {
			return fmt.Errorf("output %q, want a warning and %q", got, want)
		}
		return nil
	})
}

// leave logs in, and closes.
func leave(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(rigtest.PollLimit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "a LOGIN user pass\r\n"); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(conn); ; {
		if !lines.Scan() {
			t.Fatalf("no answer to LOGIN: %v", lines.Err())
		}
		if strings.HasPrefix(lines.Text(), "a OK") {
			return
		}
	}
}

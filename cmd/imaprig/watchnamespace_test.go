package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// leakPort is where runLeak listens, in a network namespace of its own.
const leakPort = 143

// runLeak is a server that forgets to close: it holds one connection of a client that has closed.
func runLeak(_ context.Context, _ []string, stdout, stderr io.Writer) int {
	if err := leakOne(stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return rig.ExitFailed
	}
	return rig.ExitOK
}

func leakOne(stdout io.Writer) error {
	if err := loopbackUp(); err != nil {
		return err
	}
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		addr := net.JoinHostPort(host, strconv.Itoa(leakPort))
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		defer ln.Close()
		if host != "127.0.0.1" {
			continue
		}
		client, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		conn, err := ln.Accept()
		if err := errors.Join(err, client.Close()); err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			return fmt.Errorf("read: %w", err)
		}
	}
	if _, err := fmt.Fprintln(stdout, "ready"); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin) // until the test closes it, or ends
	return err
}

// loopbackUp is what ip link set lo up does: a new network namespace has none.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// startLeak starts runLeak in a network namespace of its own, and returns its process id and what ends it.
func startLeak(t *testing.T) (pid int, stop func()) {
	t.Helper()
	rigtest.NeedRoot(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "leak")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // nothing is sent: it ends when this is closed
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(stop)
	line := bufio.NewScanner(out)
	if patience := time.AfterFunc(time.Minute, stop); !line.Scan() || !patience.Stop() {
		t.Fatal("the server in a namespace is not ready")
	}
	return cmd.Process.Pid, stop
}

// TestWatchNamespace looks into the network namespace of another process, as one does with a server in a container.
func TestWatchNamespace(t *testing.T) {
	pid, stop := startLeak(t)
	watchOf := func(server string) (int, string) {
		var stdout, stderr strings.Builder
		code := run([]string{"watch", "--once", "--warn-count", "0", "--fd-limit", "100", "--pid", strconv.Itoa(pid),
			"--server", server}, &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	for server, want := range map[string]struct {
		code level
		text string
	}{
		"127.0.0.1:143": {levelWarning, "CLOSE_WAIT WARNING - 1 socket on the server's side, above 0; ages"},
		"127.0.0.2:143": {levelOK, "CLOSE_WAIT OK - 0 sockets on the server's side, 0 on the client's; ages"},
		"127.0.0.1:144": {levelUnknown, "UNKNOWN - no socket on 127.0.0.1:144, not even a listener; ages"},
	} {
		if code, text := watchOf(server); code != int(want.code) || !strings.Contains(text, want.text) {
			t.Errorf("%s: code %d, %q; want %d, %q", server, code, text, want.code, want.text)
		}
	}
	stop()
	if code, text := watchOf("127.0.0.1:143"); code != int(levelUnknown) ||
		!strings.Contains(text, fmt.Sprintf("--pid %d: there is no such process", pid)) {
		t.Errorf("ended: code %d, %q", code, text)
	}
	ended := watched{ports: []uint16{143}, pid: pid, netDir: filepath.Join(rig.ProcDir(pid), "net")}
	_, err := ended.read()
	rigtest.CheckError(t, err, fmt.Sprintf("process %d has ended", pid))
}

package main

import (
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demoWithPipe runs the demo with a pipe for its log, and gives the pipe's
// reading end and the address for STARTTLS.
func demoWithPipe(t *testing.T) (p *os.Process, log *os.File, address string, wait func() int) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	p, out, wait := startProgramLogging(t, write, t.TempDir(), "demo", "--plain", "127.0.0.1:0", "--tls", "127.0.0.1:0")
	_ = write.Close()
	listening := regexp.MustCompile(`STARTTLS on ([0-9.:]+),`)
	eventually(t, "demo", func() (bool, string) {
		if m := listening.FindStringSubmatch(out.String()); m != nil {
			address = m[1]
		}
		return address != "", out.String()
	})
	return p, read, address, wait
}

// comeAndGo is one session, which leaves one line in the log.
func comeAndGo(t *testing.T, address string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = c.Write([]byte("a NOOP\r\nb LOGOUT\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	var answer strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		answer.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if !strings.Contains(answer.String(), "\r\nb OK ") {
		t.Fatalf("the session: %q", answer.String())
	}
}

// TestLogReaderEnds keeps the mail going when whoever reads the log is gone.
func TestLogReaderEnds(t *testing.T) {
	p, log, address, wait := demoWithPipe(t)
	comeAndGo(t, address)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		comeAndGo(t, address)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestLogReaderStuck ends in time though the log is not read, and what is
// written to it fills the pipe.
func TestLogReaderStuck(t *testing.T) {
	notQuick(t)
	p, log, address, wait := demoWithPipe(t)
	shrinkPipe(t, log)
	for range 40 {
		comeAndGo(t, address)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := wait(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// shrinkPipe leaves a pipe one page, which some lines fill.
func shrinkPipe(t *testing.T, f *os.File) {
	t.Helper()
	const setPipeSize = 1031 // F_SETPIPE_SZ (fcntl(2)); rounded up to a page
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), setPipeSize, 4096); errno != 0 {
		t.Fatal(errno)
	}
}

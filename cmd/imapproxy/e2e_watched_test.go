package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// watched is a mail server that ends with the test: its program is a script that
// ends it when "stop" is read, and when the standard input ends, as it does when
// the test binary is killed.
type watched struct {
	cmd   *exec.Cmd
	alive io.WriteCloser
	done  chan struct{} // closed when the process is gone
}

// run starts the program until it greets at the port; false when it ended
// instead. Its output goes to the file out.
func (w *watched) run(t *testing.T, out string, port int, program ...string) bool {
	t.Helper()
	output, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = output.Close() }()
	w.cmd = exec.Command(program[0], program[1:]...)
	w.cmd.Stdout, w.cmd.Stderr = output, output
	w.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	w.alive, err = w.cmd.StdinPipe()
	try(t, "stdin", err)
	try(t, program[0], w.cmd.Start())
	w.done = make(chan struct{})
	go func() { _ = w.cmd.Wait(); close(w.done) }()

	limit := time.Now().Add(patience)
	for time.Now().Before(limit) {
		if greets(port) {
			return true
		}
		select {
		case <-w.done:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	w.Stop()
	return false
}

// Stop ends the server, by force after 5 seconds. It may be called again.
func (w *watched) Stop() {
	_, _ = io.WriteString(w.alive, "stop\n") // an error when it is gone already
	_ = w.alive.Close()
	select {
	case <-w.done:
	case <-time.After(5 * time.Second):
		_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
		<-w.done
	}
}

// greets reports whether an IMAP server answers at the port.
func greets(port int) bool {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "* OK")
}

// logIn returns what a server has written to the files "out" and "log" of its folder.
func logIn(folder string) string {
	var all strings.Builder
	for _, name := range []string{"out", "log"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			fmt.Fprintln(&all, err)
		}
		all.Write(text)
	}
	return all.String()
}

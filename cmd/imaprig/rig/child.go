package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const childStderrBytes = 4096

// child is a process that imaprig started, in a process group of its own. It ends with ours, however we end.
type child struct {
	name    string
	process *os.Process
	stderr  tailBuffer
	done    chan struct{} // closed when the process is gone
}

// startChild starts cmd, whose standard error is kept for error messages. name is what messages call it.
func startChild(name string, cmd *exec.Cmd) (*child, error) {
	c := &child{name: name, done: make(chan struct{}), stderr: tailBuffer{limit: childStderrBytes}}
	cmd.Stderr, cmd.WaitDelay = &c.stderr, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go c.supervise(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// supervise starts the process and waits for its end. Pdeathsig means the thread that started it, so that thread is
// kept.
func (c *child) supervise(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	c.process = cmd.Process
	started <- nil
	_ = cmd.Wait() // how it ended is of no interest: Stop ends it with a signal
}

// PID returns its process id, for /proc/PID/net and /proc/PID/fd.
func (c *child) PID() int { return c.process.Pid }

// Stop ends the process with SIGTERM, and with SIGKILL and an error when that took longer than limit. What it started
// itself and left running is killed. It may be called again.
func (c *child) Stop(limit time.Duration) error {
	defer func() { _ = syscall.Kill(-c.process.Pid, syscall.SIGKILL) }() // the rest of its group, mostly empty
	if err := c.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	patience := time.NewTimer(limit)
	defer patience.Stop()
	select {
	case <-c.done:
		return nil
	case <-patience.C:
	}
	_ = c.process.Kill()
	<-c.done
	return fmt.Errorf("%s, pid %d, did not end within %v of SIGTERM and was killed", c.name, c.process.Pid, limit)
}

// tailBuffer keeps the last limit bytes written to it.
type tailBuffer struct {
	limit int
	mu    sync.Mutex // protects kept
	kept  []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = append(b.kept, p[max(0, len(p)-b.limit):]...)
	b.kept = b.kept[max(0, len(b.kept)-b.limit):]
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(bytes.TrimSpace(b.kept))
}

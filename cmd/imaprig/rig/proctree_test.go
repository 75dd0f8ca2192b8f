package rig

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

func TestParentsOf(t *testing.T) {
	dir := t.TempDir()
	for pid, stat := range map[string]string{"7": "7 (a) S 1 7 7", "8": "8 (b) 3 (c) R 7 8", "self": "", "9": "9 (d) R"} {
		if err := os.MkdirAll(filepath.Join(dir, pid), 0o700); err != nil {
			t.Fatal(err)
		}
		rigtest.WriteFile(t, filepath.Join(dir, pid, "stat"), stat)
	}
	parents, err := parentsOf(dir)
	if err != nil || len(parents) != 2 || parents[7] != 1 || parents[8] != 7 {
		t.Errorf("parents %v, %v; want 7 of 1, and 8 of 7", parents, err)
	}
	rigtest.WriteFile(t, filepath.Join(dir, "7", "stat"), "7 (a) S x")
	_, err = parentsOf(dir)
	rigtest.CheckError(t, err, "parent of process 7")
}

// TestHeldBy finds a socket that a grandchild holds, and none once the tree has been stopped.
func TestHeldBy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "sleep 100 & echo; wait")
	cmd.ExtraFiles = []*os.File{file}
	ready, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	cmd.Stdout = stdout
	c, err := startChild("sh", cmd)
	_, _ = stdout.Close(), file.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Stop(time.Second) }()
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	entries, err := wire.ReadTable("/proc/self/net")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e wire.TableEntry) bool { return e.Local.String() == ln.Addr().String() })
	if i < 0 {
		t.Fatal("the listener is not in the socket table")
	}
	held, err := HeldBy(c.PID())
	if err != nil || held[entries[i].Inode] != 2 {
		t.Errorf("held %v, %v; want the listener's inode %d twice", held, err, entries[i].Inode)
	}
	tree, err := processTree(c.PID())
	if err != nil || len(tree) != 2 {
		t.Errorf("tree %v, %v; want two processes", tree, err)
	}
	if err := c.Stop(5 * time.Second); err != nil {
		t.Error(err)
	}
	for _, pid := range tree {
		rigtest.Eventually(t, func() error {
			if stat, err := os.ReadFile(filepath.Join(ProcDir(pid), "stat")); err == nil && !strings.Contains(string(stat), ") Z ") {
				return syscall.EBUSY
			}
			return nil
		})
	}
	if held, err := HeldBy(c.PID()); err != nil || len(held) != 0 {
		t.Errorf("held by what is gone: %v, %v; want nothing", held, err)
	}
}

func TestChildTellsWhyNot(t *testing.T) {
	_, err := startChild("it", exec.Command("/no/such/program"))
	rigtest.CheckError(t, err, "start it: ")
	c, err := startChild("it", exec.Command("sh", "-c", `trap "" TERM; echo ready >&2; sleep 100 & wait; wait`))
	if err != nil {
		t.Fatal(err)
	}
	rigtest.Eventually(t, func() error {
		if c.stderr.String() != "ready" {
			return syscall.EAGAIN
		}
		return nil
	})
	rigtest.CheckError(t, c.Stop(50*time.Millisecond), "did not end within 50ms of SIGTERM and was killed")
}

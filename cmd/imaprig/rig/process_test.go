package rig

import (
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

// TestCPUOf wants our own time to be counted, and that of a child that has ended.
func TestCPUOf(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := CPUOf(self)
	if err != nil {
		t.Fatal(err)
	}
	const loops = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
	cmd := exec.Command("sh", "-c", loops)
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	child := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	after, err := CPUOf(self)
	if err != nil || child < 5*clockTick || after-before < child-4*clockTick {
		t.Errorf("%v: %v more for us and a child that took %v", err, after-before, child)
	}
}

// TestUsageOf has some work done first: when it is the first of all tests, and
// the machine is quick, we have not used up one tick yet.
func TestUsageOf(t *testing.T) {
	for deadline := time.Now().Add(time.Minute); ; {
		used, err := CPUOf([]int{os.Getpid()})
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%v used, %v", used, err)
		}
		if used > 0 {
			break
		}
	}
	u, err := UsageOf([]int{os.Getpid()})
	if err != nil || u.PSS < 1<<20 || u.PSS > 10<<30 || u.Descriptors < 3 || u.CPU <= 0 {
		t.Errorf("%+v, %v", u, err)
	}
	if u, err := UsageOf(nil); err != nil || u != (TreeUsage{}) {
		t.Errorf("of no process: %+v, %v", u, err)
	}
	_, err = UsageOf([]int{99999999})
	rigtest.CheckError(t, err, "there is no process 99999999")
}

// TestUsageOfChildren wants a descendant's descriptors to count.
func TestUsageOfChildren(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	alone, err := UsageOf([]int{cmd.Process.Pid})
	if err != nil {
		t.Fatal(err)
	}
	together, err := UsageOf([]int{os.Getpid()})
	if err != nil || together.Descriptors < alone.Descriptors+3 || together.PSS <= alone.PSS {
		t.Errorf("%v: with the child %+v, the child %+v", err, together, alone)
	}
}

// limitsFile returns a /proc/PID/limits with this line for open files.
func limitsFile(line string) string {
	return "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max processes             5                    6                    processes \n" + line
}

func TestDescriptorLimit(t *testing.T) {
	tests := []struct {
		text string
		want int
		err  string
	}{
		{limitsFile("Max open files            392                  524288               files     \n"), 392, ""},
		{limitsFile("Max open files            unlimited            unlimited            files     \n"), math.MaxInt,
			""},
		{limitsFile("Max open files            many                 many                 files     \n"), 0,
			"give --fd-limit"},
		{limitsFile(""), 0, "give --fd-limit"},
	}
	for _, tt := range tests {
		got, err := descriptorLimit(processFiles(t, "limits", map[int]string{7: tt.text}), 7)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %d, %v; want %d, %q", tt.text, got, err, tt.want, tt.err)
		}
	}
}

// processFiles returns a proc(5) that has this file for these processes, by process id.
func processFiles(t *testing.T, name string, texts map[int]string) procfs.FS {
	t.Helper()
	dir := t.TempDir()
	for pid, text := range texts {
		if err := os.MkdirAll(filepath.Join(dir, strconv.Itoa(pid)), 0o700); err != nil {
			t.Fatal(err)
		}
		rigtest.WriteFile(t, filepath.Join(dir, strconv.Itoa(pid), name), text)
	}
	proc, err := procfs.NewFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	return proc
}

func TestProcessTree(t *testing.T) {
	rest := strings.Repeat(" 0", 45)
	stats := map[int]string{7: "7 (a) S 1" + rest, 8: "8 (b) 3 (c) R 7" + rest, 9: "9 (d) S 8" + rest,
		10: "10 (e) S 1" + rest}
	tree, err := processTree(processFiles(t, "stat", stats), 7)
	pids := []int{}
	for _, p := range tree {
		pids = append(pids, p.PID)
	}
	if err != nil || !slices.Equal(pids, []int{7, 8, 9}) {
		t.Errorf("tree %v, %v; want 7, its child 8 and its grandchild 9", pids, err)
	}
	if tree, err := processTree(processFiles(t, "stat", stats), 11); err != nil || len(tree) != 0 {
		t.Errorf("tree %v, %v of no process", tree, err)
	}
	stats[7] = "7 (a) S x"
	_, err = processTree(processFiles(t, "stat", stats), 7)
	rigtest.CheckError(t, err, "stat of process 7")
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
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := processTree(proc, c.PID())
	if err != nil || len(tree) != 2 {
		t.Errorf("tree %v, %v; want two processes", tree, err)
	}
	if err := c.Stop(5 * time.Second); err != nil {
		t.Error(err)
	}
	for _, p := range tree {
		rigtest.Eventually(t, func() error {
			if stat, err := os.ReadFile(filepath.Join(ProcDir(p.PID), "stat")); err == nil &&
				!strings.Contains(string(stat), ") Z ") {
				return syscall.EBUSY
			}
			return nil
		})
	}
	if held, err := HeldBy(c.PID()); err != nil || len(held) != 0 {
		t.Errorf("held by what is gone: %v, %v; want nothing", held, err)
	}
}

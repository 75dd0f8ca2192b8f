package rig

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestDescriptorLimit(t *testing.T) {
	tests := []struct {
		text string
		want int
		err  string
	}{
		{"Limit Soft Hard Units\nMax processes  5  6 processes\nMax open files            392                  524288               files\n", 392, ""},
		{"Max open files            unlimited            unlimited            files\n", math.MaxInt, ""},
		{"Max open files            many                 many                 files\n", 0, "give --fd-limit"},
		{"Max processes  5  6 processes\n", 0, "give --fd-limit"},
	}
	for _, tt := range tests {
		path := filepath.Join(t.TempDir(), "limits")
		rigtest.WriteFile(t, path, tt.text)
		got, err := DescriptorLimit(path)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %d, %v; want %d, %q", tt.text, got, err, tt.want, tt.err)
		}
	}
}

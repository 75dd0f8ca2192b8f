package rig

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/procfs"

	"imapproxy/backend/wire"
)

// clockTick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// TreeUsage is what processes and all that descend from them use.
type TreeUsage struct {
	CPU         time.Duration
	PSS         int64 // bytes, proportional set size: pages that others use too count by their share
	Descriptors int
}

// processTree returns a process and all that descend from it, itself first. A process that has ended has none.
func processTree(proc procfs.FS, root int) (procfs.Procs, error) {
	all, err := proc.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	var tree procfs.Procs
	children := map[int]procfs.Procs{}
	for _, p := range all {
		stat, err := p.Stat()
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("stat of process %d: %w", p.PID, err)
		}
		children[stat.PPID] = append(children[stat.PPID], p)
		if p.PID == root {
			tree = append(tree, p)
		}
	}
	for i := 0; i < len(tree) && i < len(all); i++ {
		tree = append(tree, children[tree[i].PID]...)
	}
	return tree, nil
}

// eachProcess calls f for the process trees of roots; a process that ends meanwhile is skipped.
func eachProcess(roots []int, f func(p procfs.Proc) error) error {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return err
	}
	for _, root := range roots {
		tree, err := processTree(proc, root)
		if err != nil {
			return err
		}
		if len(tree) == 0 {
			return fmt.Errorf("there is no process %d", root)
		}
		for _, p := range tree {
			if err := f(p); err != nil && !isGone(err) {
				return fmt.Errorf("process %d: %w", p.PID, err)
			}
		}
	}
	return nil
}

// CPUOf returns the CPU time of the process trees, that of children who have ended included.
func CPUOf(roots []int) (total time.Duration, err error) {
	err = eachProcess(roots, func(p procfs.Proc) error {
		s, err := p.Stat()
		total += time.Duration(int(s.UTime)+int(s.STime)+s.CUTime+s.CSTime) * clockTick
		return err
	})
	return total, err
}

// UsageOf returns what the process trees use.
func UsageOf(roots []int) (u TreeUsage, err error) {
	if u.CPU, err = CPUOf(roots); err != nil {
		return u, err
	}
	err = eachProcess(roots, func(p procfs.Proc) error {
		memory, err := p.ProcSMapsRollup()
		if err != nil {
			return err
		}
		descriptors, err := p.FileDescriptorsLen()
		u.PSS += int64(memory.Pss)
		u.Descriptors += descriptors
		return err
	})
	return u, err
}

// HeldBy counts the processes that hold a descriptor of each socket, by inode: of a process and all that descend from
// it.
func HeldBy(root int) (map[uint64]int, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return nil, err
	}
	tree, err := processTree(proc, root)
	if err != nil {
		return nil, err
	}
	total := map[uint64]int{}
	for _, p := range tree {
		held, err := wire.HeldInodes(filepath.Join(ProcDir(p.PID), "fd"))
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("descriptors of process %d: %w", p.PID, err)
		}
		for inode := range held {
			total[inode]++
		}
	}
	return total, nil
}

// isGone reports whether the process has ended since it was listed.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// ProcDir returns /proc/PID, or /proc/self for 0.
func ProcDir(pid int) string {
	if pid == 0 {
		return "/proc/self"
	}
	return filepath.Join("/proc", strconv.Itoa(pid))
}

// DescriptorLimit returns the soft limit of open files of a process.
func DescriptorLimit(pid int) (int, error) {
	proc, err := procfs.NewDefaultFS()
	if err != nil {
		return 0, err
	}
	return descriptorLimit(proc, pid)
}

func descriptorLimit(proc procfs.FS, pid int) (int, error) {
	p, err := proc.Proc(pid)
	if err != nil {
		return 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	limits, err := p.Limits()
	if err == nil && limits.OpenFiles == 0 {
		err = errors.New("no limit of open files")
	}
	if err != nil {
		return 0, fmt.Errorf("read the descriptor limit of process %d: %w: give --fd-limit", pid, err)
	}
	return int(min(limits.OpenFiles, math.MaxInt)), nil
}

// OpenFileLimit returns the descriptor limit of this process, and of those that it starts.
func OpenFileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<20))
}

// RaiseOpenFileLimit raises the descriptor limit as far as is allowed, for our children too.
func RaiseOpenFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	return nil
}

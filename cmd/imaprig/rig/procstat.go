package rig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// Fields of /proc/PID/stat (proc(5)) behind the process's name.
const (
	statParent = 1
	statUser   = 11 // CPU time, with the system's, and that of children who ended and were waited for behind it
	statTimes  = 4
)

// procStat reads DIR/PID/stat from behind the name, which is in parentheses and may hold anything.
func procStat(dir string, pid int) ([]string, error) {
	stat, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(pid), "stat"))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])), nil
}

// TreeUsage is what processes and all that descend from them use.
type TreeUsage struct {
	CPU         time.Duration
	PSS         int64 // bytes, proportional set size
	Descriptors int
}

// eachProcess calls f for the process trees of roots; one that has gone meanwhile is skipped.
func eachProcess(roots []int, f func(pid int) error) error {
	for _, root := range roots {
		tree, err := processTree(root)
		if err != nil {
			return err
		}
		if len(tree) == 0 {
			return fmt.Errorf("there is no process %d", root)
		}
		for _, pid := range tree {
			if err := f(pid); err != nil && !isGone(err) {
				return fmt.Errorf("process %d: %w", pid, err)
			}
		}
	}
	return nil
}

// CPUOf is the CPU time of the process trees, of children who have ended too.
func CPUOf(roots []int) (total time.Duration, err error) {
	err = eachProcess(roots, func(pid int) error {
		fields, err := procStat("/proc", pid)
		if err != nil {
			return err
		}
		if len(fields) < statUser+statTimes {
			return fmt.Errorf("stat has %d fields", len(fields))
		}
		for _, f := range fields[statUser : statUser+statTimes] {
			ticks, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return err
			}
			total += time.Duration(ticks) * clockTick
		}
		return nil
	})
	return total, err
}

// UsageOf looks at CPU time, memory and descriptors.
func UsageOf(roots []int) (u TreeUsage, err error) {
	if u.CPU, err = CPUOf(roots); err != nil {
		return u, err
	}
	err = eachProcess(roots, func(pid int) error {
		pss, err := pssOf(pid)
		if err != nil {
			return err
		}
		u.PSS += pss
		fds, err := os.ReadDir(filepath.Join(ProcDir(pid), "fd"))
		u.Descriptors += len(fds)
		return err
	})
	return u, err
}

// pssOf is the proportional set size of a process, in bytes: pages that others use too count by their share.
func pssOf(pid int) (int64, error) {
	text, err := os.ReadFile(filepath.Join(ProcDir(pid), "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no Pss in smaps_rollup")
}

// ProcDir returns /proc/PID, or /proc/self for 0.
func ProcDir(pid int) string {
	if pid == 0 {
		return "/proc/self"
	}
	return filepath.Join("/proc", strconv.Itoa(pid))
}

// DescriptorLimit reads the soft limit of open files from a /proc/PID/limits.
func DescriptorLimit(path string) (limit int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	const name = "Max open files"
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, found := strings.CutPrefix(lines.Text(), name)
		if !found {
			continue
		}
		soft, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if soft == "unlimited" {
			return math.MaxInt, nil
		}
		n, err := strconv.Atoi(soft)
		if err != nil || n <= 0 {
			return 0, fmt.Errorf("%s: %s is %q: give --fd-limit", path, name, soft)
		}
		return n, nil
	}
	return 0, fmt.Errorf("%s: no line %q: give --fd-limit", path, name)
}

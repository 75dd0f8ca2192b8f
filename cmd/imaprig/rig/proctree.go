package rig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"imapproxy/backend/wire"
)

// processTree returns a process and all that descend from it, in no order. A process that is gone has none.
func processTree(root int) ([]int, error) {
	parents, err := parentsOf("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for pid, parent := range parents {
		children[parent] = append(children[parent], pid)
	}
	var tree []int
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		if _, alive := parents[todo[0]]; alive {
			tree = append(tree, todo[0])
		}
		todo = append(todo, children[todo[0]]...)
	}
	return tree, nil
}

// parentsOf reads the parent of every process from DIR/PID/stat (proc(5)).
func parentsOf(dir string) (map[int]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	parents := map[int]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		fields, err := procStat(dir, pid)
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the processes: %w", err)
		}
		if len(fields) <= statParent {
			continue
		}
		if parents[pid], err = strconv.Atoi(fields[statParent]); err != nil {
			return nil, fmt.Errorf("parent of process %d: %w", pid, err)
		}
	}
	return parents, nil
}

// HeldBy counts the descriptors of each socket, by inode, in a process and all that descend from it.
func HeldBy(root int) (map[uint64]int, error) {
	tree, err := processTree(root)
	if err != nil {
		return nil, err
	}
	total := map[uint64]int{}
	for _, pid := range tree {
		held, err := wire.HeldInodes(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
		if isGone(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("descriptors of process %d: %w", pid, err)
		}
		for inode := range held {
			total[inode]++
		}
	}
	return total, nil
}

// isGone tells that a process has ended since it was listed.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

// OpenFileLimit is the descriptor limit of this process, and of those that it starts.
func OpenFileLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<20))
}

// RaiseOpenFileLimit raises it as far as is allowed, for our children too.
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

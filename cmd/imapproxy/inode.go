package main

import (
	"os"
	"syscall"
)

// inode tells a file from another one that has taken its name.
func inode(info os.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

package config

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unreadable adds an error about a file that can't be read. Where a permission is missing, it
// names the user who lacks it, and what root has to type.
func (r *Report) Unreadable(at Place, key, remedy string, file Path, err error) {
	if errors.Is(err, fs.ErrPermission) {
		what, command := denied(string(file))
		r.Errorf(at, key, "as root: "+command, "%s: permission denied: %s", file, what)
		return
	}
	r.Errorf(at, key, remedy, "%s: %v", file, PlainPathError(err))
}

// ProcessUser returns the name of the user that the process acts as, or the user's number.
func ProcessUser() string {
	id := strconv.Itoa(os.Geteuid())
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// maxLinks bounds the symbolic links that are followed.
const maxLinks = 16

// denied returns what keeps the process from reading a file, the file itself or the first
// folder that it may not enter, and a command that would permit it.
func denied(file string) (what, command string) {
	if absolute, err := filepath.Abs(file); err == nil {
		file = absolute
	}
	for range maxLinks {
		at, rest := firstClosed(file)
		target, err := os.Readlink(at)
		if err != nil && rest == "" {
			return "the user " + ProcessUser() + " may not read it", permit(at, 'r')
		}
		if err != nil {
			return "the user " + ProcessUser() + " may not enter " + at, permit(at, 'x')
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(at), target)
		}
		file = filepath.Join(target, rest)
	}
	return "the user " + ProcessUser() + " may not read it", permit(file, 'r')
}

// firstClosed returns the first folder of a path that the process may not enter, and the
// rest of the path; the whole path and "" where all can be entered.
func firstClosed(file string) (at, rest string) {
	for i := 1; i < len(file); i++ {
		if file[i] == '/' && unix.Faccessat(unix.AT_FDCWD, file[:i], unix.X_OK, unix.AT_EACCESS) != nil {
			return file[:i], file[i+1:]
		}
	}
	return file, ""
}

// permit returns the command that permits the process's user to read a file, or to enter a
// folder: it joins the group that may already, or the group is made the user's.
func permit(path string, bit byte) string {
	mask := fs.FileMode(0o010)
	if bit == 'r' {
		mask = 0o040
	}
	info, err := os.Stat(path)
	if err != nil {
		info, err = os.Lstat(path)
	}
	if err == nil && info.Mode()&mask != 0 {
		if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Gid != 0 {
			if g, err := user.LookupGroupId(strconv.Itoa(int(s.Gid))); err == nil {
				return "usermod -aG " + g.Name + " " + ProcessUser() + ", and start the proxy again"
			}
		}
	}
	group := strconv.Itoa(os.Getegid())
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return "chgrp " + group + " " + shellWord(path) + " && chmod g+" + string(bit) + " " + shellWord(path)
}

// shellWord quotes a path where a shell would not take it as it is.
func shellWord(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

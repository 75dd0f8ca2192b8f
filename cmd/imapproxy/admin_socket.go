package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/cmd/imapproxy/config"
)

// listenAdmin opens the admin listener's socket.
func listenAdmin(to adminAccess) (net.Listener, error) {
	if to.Network == "unix" {
		file, err := listenUnix(to.Address, socketMode)
		if err != nil {
			return nil, err
		}
		return file, nil
	}
	ln, err := net.Listen("tcp", to.Address)
	if err != nil {
		return nil, err
	}
	if at := ln.Addr().String(); !config.IsLoopback(at) { // a name may mean anything
		_ = ln.Close()
		return nil, fmt.Errorf("it means %s, which other machines can reach", at)
	}
	return ln, nil
}

// socketFile is a listener on a Unix socket that removes its file.
type socketFile struct {
	*net.UnixListener
	path string
	made fs.FileInfo
	once sync.Once // once it is closed, another file may get its inode
}

// Close removes the file, unless another has taken its place: while
// the listener is open, no other file can have its inode.
func (s *socketFile) Close() error {
	s.once.Do(func() {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(s.made, now) {
			_ = os.Remove(s.path)
		}
	})
	return s.UnixListener.Close()
}

// socketMode of the admin listener lets the socket's owner use it, and root.
const socketMode = 0o600

// listenUnix listens on a socket that has its mode from the first moment: the
// file takes that of the descriptor it is bound to.
func listenUnix(path string, mode fs.FileMode) (*socketFile, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	early := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), uint32(mode)) })
	}}
	bound, err := early.Listen(context.Background(), "unix", path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no folder %s: make it, for the proxy's user only", filepath.Dir(path))
	}
	if err != nil {
		return nil, err
	}
	ln := bound.(*net.UnixListener)
	ln.SetUnlinkOnClose(false) // it does not look whose file it is
	if err := os.Chmod(path, mode); err != nil {
		_ = ln.Close()
		return nil, err
	}
	made, err := os.Lstat(path)
	if err != nil {
		_ = ln.Close()
		return nil, err
	}
	return &socketFile{UnixListener: ln, path: path, made: made}, nil
}

// staleLimit bounds the question whether a process listens on a socket.
const staleLimit = time.Second

// removeStale removes a socket's file that no process listens on: a crash leaves
// one. Any other file is kept, and is an error.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSocket == 0:
		return errors.New("there is a file that is no socket: remove it, or choose another path")
	}
	conn, err := net.DialTimeout("unix", path, staleLimit)
	switch {
	case err == nil:
		_ = conn.Close()
		return errors.New("another process listens on it: end that, or choose another path")
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("there is a socket, and whether a process listens on it is not known: %w", err)
	}
	return os.Remove(path)
}

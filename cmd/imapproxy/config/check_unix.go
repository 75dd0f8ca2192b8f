package config

import (
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// UnixPrefix begins the address of a Unix socket.
const UnixPrefix = "unix:"

// MaxSocketPath is the longest path that fits into a socket's address on Linux
// (unix(7): sun_path has 108 bytes with the closing one).
const MaxSocketPath = 107

// absoluteSocket makes a relative path of a socket one from the folder of the
// configuration file; any other address stays as it is.
func absoluteSocket(address string, at Place) string {
	path, isSocket := strings.CutPrefix(address, UnixPrefix)
	if !isSocket || path == "" {
		return address
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(at.File), path)
	}
	return UnixPrefix + filepath.Clean(path)
}

// unixProblem returns what is wrong with the address of a Unix socket and what to
// do, "" for nothing.
func unixProblem(address string) (problem, remedy string) {
	switch path := strings.TrimPrefix(address, UnixPrefix); {
	case path == "":
		return "there is no path", "write, for example, unix:/run/imapproxy/imap.sock"
	case len(path) > MaxSocketPath:
		return "a socket's path has 107 bytes at most", "choose a shorter one"
	case strings.ContainsRune(path, 0):
		return "the path holds a NUL", "remove it"
	}
	return "", ""
}

func checkSocketMode(l *Listener, r *Report) {
	mode, err := l.Mode()
	switch {
	case !strings.HasPrefix(l.Address, UnixPrefix):
		if l.SocketMode != "0600" { // the default says nothing
			r.Errorf(l.Place, "socket_mode", "remove it", "used only with a Unix socket")
		}
	case err != nil || mode > 0o777:
		r.Errorf(l.Place, "socket_mode", `write, for example, socket_mode = "0660"`,
			"%q is not an octal mode", l.SocketMode)
	}
}

// Mode is socket_mode as a number.
func (l *Listener) Mode() (fs.FileMode, error) { return parseMode(l.SocketMode) }

// parseMode reads the mode of a file.
func parseMode(text string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 32)
	return fs.FileMode(n), err
}

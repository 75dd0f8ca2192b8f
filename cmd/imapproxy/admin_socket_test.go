package main

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"imapproxy/cmd/imapproxy/logging"
)

// TestAdminSocketMode: the socket is only its owner's, whatever the umask is.
func TestAdminSocketMode(t *testing.T) {
	for _, mask := range []int{0, 0o077, 0o777} {
		path := filepath.Join(t.TempDir(), "s")
		before := syscall.Umask(mask)
		ln, err := listenUnix(path, socketMode)
		syscall.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("umask %o: %v, error %v", mask, info.Mode(), err)
		}
		_ = ln.Close()
		if fileExists(path) {
			t.Errorf("umask %o: the socket is left", mask)
		}
	}
}

// TestAdminSocketFile: what is there already decides.
func TestAdminSocketFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "s")
	listen := func() *socketFile {
		t.Helper()
		ln, err := listenUnix(path, socketMode)
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	refused := func(want string) {
		t.Helper()
		if ln, err := listenUnix(path, socketMode); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
			if ln != nil {
				_ = ln.Close()
			}
		}
	}
	crashed := listen()
	refused("another process listens on it")
	_ = crashed.UnixListener.Close() // as a crash does: the file stays
	if !fileExists(path) {
		t.Fatal("the file has gone")
	}
	robbed := listen()
	if err := os.Remove(path); err != nil { // by hand
		t.Fatal(err)
	}
	second := listen()
	_ = robbed.Close()
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the first has removed the second's: %v", err)
	} else {
		_ = conn.Close()
	}
	_ = second.Close()

	mustWrite(t, path, "precious")
	refused("a file that is no socket")
	if mustRead(t, path) != "precious" {
		t.Error("the file has changed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(folder, "elsewhere"), path); err != nil {
		t.Fatal(err)
	}
	refused("a file that is no socket")
	path = filepath.Join(folder, "nowhere", "s")
	refused("there is no folder " + filepath.Join(folder, "nowhere"))
}

// TestAdminPortOfThisMachine: a name that means another address is refused once
// it is known.
func TestAdminPortOfThisMachine(t *testing.T) {
	for address, good := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, ":0": false,
		"0.0.0.0:0": false} {
		ln, err := listenAdmin(adminAccess{Network: "tcp", Address: address})
		if (err == nil) != good {
			t.Errorf("%s: error %v", address, err)
		}
		if err == nil {
			_ = ln.Close()
		}
	}
}

// TestAdminPlaceTaken: the daemon does not start without its admin listener,
// and leaves nothing open.
func TestAdminPlaceTaken(t *testing.T) {
	r := newAdminRig(t, onSocket)
	g, found := loadGeneration(r.file)
	if found.Failed() {
		t.Fatal(found.Sorted())
	}
	_, lines := logging.New(g.Config.Log, r.log)
	defer func() { _ = lines.Close(patience) }()
	d := newDaemon(g, nil, r.daemon.log, lines)
	if err := d.start(); err == nil || !strings.Contains(err.Error(), "the admin listener can't listen on unix:") ||
		len(d.sockets) != 0 {
		t.Errorf("error %v, %d listeners", err, len(d.sockets))
	}
	if status, _, _ := r.ask(r.socket(), "GET", "/healthz", nil); status != 200 {
		t.Errorf("the one that runs: %d", status)
	}
}

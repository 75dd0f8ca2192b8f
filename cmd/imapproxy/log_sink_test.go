package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/imapproxy/logging"
)

// TestLogFileReopened: after SIGUSR1 lines go to a new file of the old name,
// and none is lost on the way.
func TestLogFileReopened(t *testing.T) {
	r := newUpgradeRig(t, "")
	file := filepath.Join(r.folder, "x.toml")
	mustWrite(t, file, strings.Replace(mustRead(t, file), `level = "warn"`,
		"level = \"info\"\nfile = \"proxy.log\"", 1))
	p := r.serve(t, "proxy")
	name := filepath.Join(r.folder, "proxy.log")
	visit := func() {
		l := &load{t: t, address: r.address, over: make(chan struct{})}
		l.visit()
		if _, refused, _, troubles := l.stop(); refused != 0 {
			t.Fatal(troubles)
		}
	}
	ends := func(file string, want int) {
		t.Helper()
		eventually(t, "lines in "+file, func() (bool, string) {
			text := mustRead(t, file)
			return strings.Count(text, "session ended") == want, text
		})
	}
	visit()
	ends(name, 1)
	try(t, "rename", os.Rename(name, name+".1"))
	visit()
	ends(name+".1", 2)
	p.signal(t, syscall.SIGUSR1)
	eventually(t, "new file", func() (bool, string) { return fileExists(name), "missing" })
	visit()
	ends(name, 1)
	ends(name+".1", 2)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v, %v: others can read the log", info.Mode(), err)
	}
	try(t, "rename", os.Rename(name, name+".2"))
	try(t, "a folder in its place", os.Mkdir(name, 0o700))
	p.signal(t, syscall.SIGUSR1)
	eventually(t, "trouble in the old file", func() (bool, string) {
		text := mustRead(t, name+".2")
		return strings.Contains(text, "can't be opened again"), text
	})
	p.signal(t, syscall.SIGTERM)
	p.ends(t)
	if text := p.output.String(); strings.Contains(text, "session ended") {
		t.Errorf("lines on standard error too:\n%s", text)
	}
}

// TestSyslog sends lines of each level to a syslog server and looks at
// facility, severity and tag (RFC 3164).
func TestSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	server, err := net.ListenPacket("unixgram", path)
	try(t, "syslog server", err)
	defer func() { _ = server.Close() }()
	c := config.Log{Level: "debug", Format: "json",
		Syslog: "server=unix:" + path + ",facility=local3,tag=mail-in,severity=info"}
	sink, err := logging.Open(c, os.Stderr)
	try(t, "sink", err)
	log, w := logging.NewTo(c, sink)
	for _, level := range []zerolog.Level{zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel,
		zerolog.ErrorLevel} {
		log.WithLevel(level).Msg("of level " + level.String())
	}
	try(t, "close", w.Close(10*time.Second))
	sink.Close()
	buf := make([]byte, 4096)
	for _, want := range []struct{ priority, text string }{{"<158>", "of level info"}, {"<156>", "of level warn"},
		{"<155>", "of level error"}} {
		try(t, "deadline", server.SetReadDeadline(time.Now().Add(10*time.Second)))
		n, _, err := server.ReadFrom(buf)
		try(t, "datagram", err)
		line := string(buf[:n])
		if !strings.HasPrefix(line, want.priority) || !strings.Contains(line, want.text) ||
			!strings.Contains(line, "mail-in[") {
			t.Errorf("%q, want %s and %s", line, want.priority, want.text)
		}
	}
}

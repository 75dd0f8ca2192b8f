package logging

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/cmd/imapproxy/config"
)

// writeLog opens the places of a configuration, and writes one line of each level for
// the program and for two listeners.
func writeLog(t *testing.T, c config.Log, stderr io.Writer) {
	t.Helper()
	sink, err := Open(c, stderr)
	try(t, "sink", err)
	log, w := NewTo(c, sink)
	for _, level := range []zerolog.Level{zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel} {
		log.WithLevel(level).Msg("program " + level.String())
		for _, listener := range []string{"imap", "webmail"} {
			log.WithLevel(level).Str("user", `x,"listener":"webmail"`).Str("listener", listener).
				Msg(listener + " " + level.String())
		}
	}
	try(t, "close", w.Close(patience))
	sink.Close()
}

// linesOf returns the messages in a log.
func linesOf(text string) string {
	return strings.Join(regexp.MustCompile(`\w+ (debug|info|warn)\b`).FindAllString(text, -1), ", ")
}

// TestLogOutputs: each place has its level, and the lines of a listener that an
// output names go only to the outputs that name it.
func TestLogOutputs(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) config.Path { return config.Path(filepath.Join(folder, name)) }
	var stderr bytes.Buffer
	writeLog(t, config.Log{Level: "warn", Format: "json", File: at("base"), Outputs: []config.LogOutput{
		{File: at("debug"), Level: "debug", Format: "json"},
		{Stderr: true, Level: "info", Format: "json"},
		{File: at("webmail"), Level: "info", Format: "json", Listeners: []string{"webmail"}},
		{File: at("both"), Level: "warn", Format: "json", Listeners: []string{"webmail", "none"}},
	}}, &stderr)
	for name, want := range map[string]string{
		"base": "program warn, imap warn", "webmail": "webmail info, webmail warn", "both": "webmail warn",
		"debug": "program debug, imap debug, program info, imap info, program warn, imap warn",
	} {
		if got := linesOf(mustRead(t, string(at(name)))); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	if got := linesOf(stderr.String()); got != "program info, imap info, program warn, imap warn" {
		t.Errorf("standard error has %q", got)
	}
}

// TestLogLevelReloaded: a reload sets the level of [log] and leaves the outputs' alone.
func TestLogLevelReloaded(t *testing.T) {
	folder := t.TempDir()
	c := config.Log{Level: "warn", Format: "json", File: config.Path(filepath.Join(folder, "base")),
		Outputs: []config.LogOutput{
			{File: config.Path(filepath.Join(folder, "output")), Level: "error", Format: "json"},
		}}
	sink, err := Open(c, io.Discard)
	try(t, "sink", err)
	log, w := NewTo(c, sink)
	for _, level := range []string{"warn", "info", "error"} {
		w.SetLevel(level)
		log.Info().Msg(level + " info")
		log.Error().Msg(level + " warn")  // as linesOf reads it
		limit := time.Now().Add(patience) // the writer's goroutine asks for the level at each line
		for !strings.Contains(mustRead(t, filepath.Join(folder, "output")), level+" warn") {
			if time.Now().After(limit) {
				t.Fatalf("the line at level %s does not come", level)
			}
			time.Sleep(time.Millisecond)
		}
	}
	try(t, "close", w.Close(patience))
	sink.Close()
	for name, want := range map[string]string{"base": "warn warn, info info, info warn, error warn",
		"output": "warn warn, info warn, error warn"} {
		if got := linesOf(mustRead(t, filepath.Join(folder, name))); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
}

// TestNginxText: lines in the format of nginx's error_log.
func TestNginxText(t *testing.T) {
	const stamp = `^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d `
	for line, want := range map[string]string{
		`{"level":"info","session":"ab","listener":"imap","time":"2026-01-02T15:04:05.000Z",` +
			`"message":"*7 client 192.0.2.1:1 connected to 192.0.2.2:143"}`: stamp +
			`\[info\] \d+#0: \*7 client 192\.0\.2\.1:1 connected to 192\.0\.2\.2:143$`,
		`{"level":"warn","user":"joe","n":7,"text":"a \"b\"\nc","message":"session ended"}`: stamp +
			`\[warn\] \d+#0: session ended user=joe n=7 text="a \\"b\\"\\nc"$`,
		`{"level":"error","message":"two\nlines"}`:             stamp + `\[error\] \d+#0: two\?lines$`,
		`{"level":"fatal","message":"over"}`:                   stamp + `\[emerg\] \d+#0: over$`,
		`{"level":"trace","user":"","by":"a=b","message":"x"}`: stamp + `\[debug\] \d+#0: x user="" by="a=b"$`,
		`panic: no JSON`: `^panic: no JSON$`,
	} {
		if got := string(nginxText([]byte(line + "\n"))); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%s\n got %q\nwant %s", line, got, want)
		}
	}
}

// TestNginxSyslog: a syslog server gets what nginx would send it, also after it was
// started anew.
func TestNginxSyslog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	server, err := net.ListenPacket("unixgram", path)
	try(t, "syslog server", err)
	defer func() { _ = server.Close() }()
	w, err := dialSyslog("server=unix:"+path+",facility=local7,tag=nginx,severity=info", "nginx")
	try(t, "dial", err)
	defer func() { _ = w.Close() }()
	send := func(level zerolog.Level, text string) {
		_, err := w.WriteLevel(level, []byte(`{"level":"`+level.String()+`","message":"`+text+`"}`))
		try(t, "send", err)
	}
	receive := func(want string) {
		t.Helper()
		try(t, "deadline", server.SetReadDeadline(time.Now().Add(patience)))
		buf := make([]byte, 4096)
		n, _, err := server.ReadFrom(buf)
		try(t, "datagram", err)
		if !regexp.MustCompile(want).Match(buf[:n]) {
			t.Errorf("got %q, want %s", buf[:n], want)
		}
	}
	send(zerolog.DebugLevel, "left out")
	send(zerolog.InfoLevel, "*1 one")
	receive(`^<190>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [^ A-Z]+ nginx: \d{4}/\d\d/\d\d \S+ \[info\] \d+#0: \*1 one$`)
	_ = server.Close()
	server, err = net.ListenPacket("unixgram", path+"2")
	try(t, "another syslog server", err)
	w.(*nginxSyslog).to.Address = path + "2"
	send(zerolog.ErrorLevel, "two")
	receive(`^<187>.* nginx: .* \[error\] \d+#0: two$`)
}

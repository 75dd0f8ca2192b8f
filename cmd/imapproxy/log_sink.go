package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/syslog"
	"os"
	"strings"
	"sync"
)

// logSink is where the log's lines go: a file, syslog, both, or what the
// program was given, which is standard error.
type logSink struct {
	file   *logFile // nil when there is none
	places []io.Writer
	closer func()
}

// openSink opens what the configuration names.
func openSink(c logConfig, stderr io.Writer) (*logSink, error) {
	s := &logSink{closer: func() {}}
	if c.Syslog != "" {
		to, err := parseSyslog(c.Syslog)
		if err != nil {
			return nil, fmt.Errorf("log.syslog: %w", err)
		}
		w, err := to.dial()
		if err != nil {
			return nil, fmt.Errorf("log.syslog: %w; is the syslog server running?", err)
		}
		s.places = append(s.places, &syslogLines{w, to.least})
		s.closer = func() { _ = w.Close() }
	}
	if c.File != "" {
		s.file = &logFile{name: string(c.File)}
		if err := s.file.reopen(); err != nil {
			s.closer()
			return nil, fmt.Errorf("log.file: %w", err)
		}
		s.places = append(s.places, logFormat(c.Format, s.file))
	}
	if len(s.places) == 0 {
		s.places = append(s.places, logFormat(c.Format, stderr))
	}
	return s, nil
}

// Write takes one line. It tries every place; the error joins those that failed.
func (s *logSink) Write(line []byte) (int, error) {
	var failed error
	for _, w := range s.places {
		_, err := w.Write(line)
		failed = errors.Join(failed, err)
	}
	return len(line), failed
}

// reopen opens the file by its name again, for programs that rename it
// (logrotate).
func (s *logSink) reopen() error {
	if s.file == nil {
		return nil
	}
	return s.file.reopen()
}

func (s *logSink) close() {
	s.closer()
	if s.file != nil {
		s.file.close()
	}
}

// logFile is a file that can be opened again while lines are written.
type logFile struct {
	name string
	mu   sync.Mutex // protects file; a write under it may wait for the disk, never a session
	file *os.File
}

// reopen leaves the old file in place when it fails.
func (l *logFile) reopen() error {
	f, err := os.OpenFile(l.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		_ = l.file.Close() // every line was written when Write returned
	}
	l.file = f
	return nil
}

// Write implements io.Writer.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return 0, os.ErrClosed
	}
	return l.file.Write(line)
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.file.Close()
	l.file = nil
}

// syslogLines sends lines with their level as severity.
type syslogLines struct {
	to    *syslog.Writer
	least syslog.Priority // severities above it are less important, and left out
}

// Write takes one line of JSON, which begins with its level.
func (s *syslogLines) Write(line []byte) (int, error) {
	send, severity := s.to.Info, syslog.LOG_INFO
	for prefix, level := range map[string]struct {
		send     func(string) error
		severity syslog.Priority
	}{
		"debug": {s.to.Debug, syslog.LOG_DEBUG}, "warn": {s.to.Warning, syslog.LOG_WARNING},
		"error": {s.to.Err, syslog.LOG_ERR}, "fatal": {s.to.Crit, syslog.LOG_CRIT}, "panic": {s.to.Crit, syslog.LOG_CRIT},
	} {
		if bytes.HasPrefix(line, []byte(`{"level":"`+prefix)) {
			send, severity = level.send, level.severity
		}
	}
	if severity > s.least {
		return len(line), nil
	}
	return len(line), send(string(bytes.TrimSuffix(line, []byte("\n"))))
}

// syslogTarget is a parsed log.syslog.
type syslogTarget struct {
	network, address string
	facility, least  syslog.Priority
	tag              string
}

func (s syslogTarget) dial() (*syslog.Writer, error) {
	if s.address == localSyslog {
		return syslog.New(s.facility|syslog.LOG_INFO, s.tag)
	}
	return syslog.Dial(s.network, s.address, s.facility|syslog.LOG_INFO, s.tag)
}

// parseSyslog reads nginx's way of naming a syslog server:
// server=unix:/dev/log,facility=mail,tag=imapproxy,severity=info.
func parseSyslog(text string) (syslogTarget, error) {
	s := syslogTarget{facility: syslog.LOG_MAIL, least: syslog.LOG_DEBUG, tag: "imapproxy"}
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		known := true
		switch key {
		case "server":
			s.network, s.address = syslogServer(value)
		case "facility":
			s.facility, known = facilities[value]
		case "severity":
			s.least, known = severities[value]
		case "tag":
			s.tag = value
		case "nohostname": // the socket of this machine takes none in any case
		default:
			return s, fmt.Errorf("%q is not known; write server=, facility=, severity= and tag=", part)
		}
		if !known {
			return s, fmt.Errorf("%q is not a %s of syslog", value, key)
		}
	}
	if s.address == "" {
		return s, errors.New("names no server; write, for example, server=unix:/dev/log")
	}
	return s, nil
}

const localSyslog = "/dev/log"

// syslogServer is a socket of this machine, or UDP.
func syslogServer(value string) (network, address string) {
	if path, isUnix := strings.CutPrefix(value, "unix:"); isUnix {
		return "unixgram", path
	}
	if value != "" && checkHostPort(value, false) != "" {
		return "udp", value + ":514"
	}
	return "udp", value
}

var facilities = map[string]syslog.Priority{
	"kern": syslog.LOG_KERN, "user": syslog.LOG_USER, "mail": syslog.LOG_MAIL, "daemon": syslog.LOG_DAEMON,
	"auth": syslog.LOG_AUTH, "syslog": syslog.LOG_SYSLOG, "lpr": syslog.LOG_LPR, "news": syslog.LOG_NEWS,
	"uucp": syslog.LOG_UUCP, "cron": syslog.LOG_CRON, "authpriv": syslog.LOG_AUTHPRIV, "ftp": syslog.LOG_FTP,
	"local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1, "local2": syslog.LOG_LOCAL2, "local3": syslog.LOG_LOCAL3,
	"local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5, "local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7,
}

var severities = map[string]syslog.Priority{
	"debug": syslog.LOG_DEBUG, "info": syslog.LOG_INFO, "notice": syslog.LOG_NOTICE, "warn": syslog.LOG_WARNING,
	"error": syslog.LOG_ERR, "crit": syslog.LOG_CRIT, "alert": syslog.LOG_ALERT, "emerg": syslog.LOG_EMERG,
}

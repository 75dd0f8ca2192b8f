package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/syslog"
	"os"
	"sync"

	"github.com/rs/zerolog"

	"imapproxy/cmd/imapproxy/config"
)

// logSink is where the log's lines go: a file, syslog, both, or what the
// program was given, which is standard error.
type logSink struct {
	file   *logFile // nil when there is none
	places []zerolog.LevelWriter
	closer func()
}

// openSink opens what the configuration names.
func openSink(c config.Log, stderr io.Writer) (*logSink, error) {
	s := &logSink{closer: func() {}}
	if c.Syslog != "" {
		to, err := config.ParseSyslog(c.Syslog)
		if err != nil {
			return nil, fmt.Errorf("log.syslog: %w", err)
		}
		w, err := to.Dial()
		if err != nil {
			return nil, fmt.Errorf("log.syslog: %w; is the syslog server running?", err)
		}
		s.places = append(s.places, &syslogLines{w, to.Least})
		s.closer = func() { _ = w.Close() }
	}
	if c.File != "" {
		s.file = &logFile{name: string(c.File)}
		if err := s.file.reopen(); err != nil {
			s.closer()
			if errors.Is(err, fs.ErrPermission) {
				err = fmt.Errorf("%w: let the user %s write into its folder", err, config.ProcessUser())
			}
			return nil, fmt.Errorf("log.file: %w", err)
		}
		s.places = append(s.places, levelWriter(logFormat(c.Format, s.file)))
	}
	if len(s.places) == 0 {
		s.places = append(s.places, levelWriter(logFormat(c.Format, stderr)))
	}
	return s, nil
}

// Write takes a line without a level.
func (s *logSink) Write(line []byte) (int, error) { return s.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter. It tries every place; the error
// joins those that failed.
func (s *logSink) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	var failed error
	for _, w := range s.places {
		_, err := w.WriteLevel(level, line)
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

// Write takes a line without a level, as information.
func (s *syslogLines) Write(line []byte) (int, error) { return s.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter.
func (s *syslogLines) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	send, severity := s.to.Info, syslog.LOG_INFO
	switch level {
	case zerolog.DebugLevel:
		send, severity = s.to.Debug, syslog.LOG_DEBUG
	case zerolog.WarnLevel:
		send, severity = s.to.Warning, syslog.LOG_WARNING
	case zerolog.ErrorLevel:
		send, severity = s.to.Err, syslog.LOG_ERR
	case zerolog.FatalLevel, zerolog.PanicLevel:
		send, severity = s.to.Crit, syslog.LOG_CRIT
	}
	if severity > s.least {
		return len(line), nil
	}
	return len(line), send(string(bytes.TrimSuffix(line, []byte("\n"))))
}

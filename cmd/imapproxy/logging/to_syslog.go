package logging

import (
	"bytes"
	"fmt"
	"io"
	"log/syslog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"imapproxy/cmd/imapproxy/config"
)

// syslogWriter is a connection to a syslog server.
type syslogWriter interface {
	zerolog.LevelWriter
	io.Closer
}

// dialSyslog connects to a syslog server as the configuration names it.
func dialSyslog(text, format string) (syslogWriter, error) {
	to, err := config.ParseSyslog(text)
	if err != nil {
		return nil, err
	}
	if format == "nginx" {
		w := &nginxSyslog{to: to}
		if err := w.dial(); err != nil {
			return nil, fmt.Errorf("%w; is the syslog server running?", err)
		}
		return w, nil
	}
	w, err := to.Dial()
	if err != nil {
		return nil, fmt.Errorf("%w; is the syslog server running?", err)
	}
	return &syslogLines{w, to.Least}, nil
}

// severityOf returns the severity of a level; lines without one are information.
func severityOf(level zerolog.Level) syslog.Priority {
	switch level {
	case zerolog.DebugLevel, zerolog.TraceLevel:
		return syslog.LOG_DEBUG
	case zerolog.WarnLevel:
		return syslog.LOG_WARNING
	case zerolog.ErrorLevel:
		return syslog.LOG_ERR
	case zerolog.FatalLevel, zerolog.PanicLevel:
		return syslog.LOG_CRIT
	}
	return syslog.LOG_INFO
}

// syslogLines sends lines of JSON with their level as severity.
type syslogLines struct {
	to    *syslog.Writer
	least syslog.Priority // severities above it are less important, and left out
}

// Close closes the connection.
func (s *syslogLines) Close() error { return s.to.Close() }

// Write takes a line without a level, as information.
func (s *syslogLines) Write(line []byte) (int, error) { return s.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter.
func (s *syslogLines) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	severity := severityOf(level)
	if severity > s.least {
		return len(line), nil
	}
	send := map[syslog.Priority]func(string) error{syslog.LOG_DEBUG: s.to.Debug, syslog.LOG_WARNING: s.to.Warning,
		syslog.LOG_ERR: s.to.Err, syslog.LOG_CRIT: s.to.Crit, syslog.LOG_INFO: s.to.Info}[severity]
	return len(line), send(string(bytes.TrimSuffix(line, []byte("\n"))))
}

// nginxSyslog sends lines as nginx does: RFC 3164, with the whole line of the
// error_log as the message.
type nginxSyslog struct {
	to   config.Syslog
	conn net.Conn
}

// nginxSyslogLimit is how long a syslog server of this machine may take for a line;
// those reached by UDP take none.
const nginxSyslogLimit = time.Second

func (s *nginxSyslog) dial() error {
	conn, err := net.DialTimeout(s.to.Network, s.to.Address, nginxSyslogLimit)
	if err != nil {
		return err
	}
	_ = s.Close()
	s.conn = conn
	return nil
}

// Close closes the connection.
func (s *nginxSyslog) Close() error {
	if s.conn == nil {
		return nil
	}
	return s.conn.Close()
}

// Write takes a line without a level, as information.
func (s *nginxSyslog) Write(line []byte) (int, error) { return s.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter. A server that was started anew is
// connected to again.
func (s *nginxSyslog) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	severity := severityOf(level)
	if severity > s.to.Least {
		return len(line), nil
	}
	host := ""
	if name, err := os.Hostname(); err == nil && !s.to.NoHostname {
		host = strings.ToLower(name) + " "
	}
	text := fmt.Appendf(nil, "<%d>%s %s%s: %s", s.to.Facility|severity, time.Now().Format(time.Stamp), host, s.to.Tag,
		nginxText(line))
	err := s.send(text)
	if err != nil {
		if err = s.dial(); err == nil {
			err = s.send(text)
		}
	}
	return len(line), err
}

func (s *nginxSyslog) send(text []byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(nginxSyslogLimit)); err != nil {
		return err
	}
	_, err := s.conn.Write(text)
	return err
}

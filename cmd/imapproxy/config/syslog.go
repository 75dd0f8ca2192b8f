package config

import (
	"errors"
	"fmt"
	"log/syslog"
	"strings"
)

// Syslog is a parsed log.syslog.
type Syslog struct {
	Network, Address string // "unixgram" and a path, or "udp" and host:port
	Facility, Least  syslog.Priority
	Tag              string
	NoHostname       bool // lines of nginx's format have none; others have one where the server is not this machine's
}

// Dial connects to the server. The caller closes the result.
func (s Syslog) Dial() (*syslog.Writer, error) {
	if s.Address == localSyslog {
		return syslog.New(s.Facility|syslog.LOG_INFO, s.Tag)
	}
	return syslog.Dial(s.Network, s.Address, s.Facility|syslog.LOG_INFO, s.Tag)
}

// ParseSyslog reads nginx's way of naming a syslog server:
// server=unix:/dev/log,facility=mail,tag=imapproxy,severity=info.
func ParseSyslog(text string) (Syslog, error) {
	s := Syslog{Facility: syslog.LOG_MAIL, Least: syslog.LOG_DEBUG, Tag: "imapproxy"}
	for _, part := range strings.Split(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		known := true
		switch key {
		case "server":
			s.Network, s.Address = syslogServer(value)
		case "facility":
			s.Facility, known = facilities[value]
		case "severity":
			s.Least, known = severities[value]
		case "tag":
			s.Tag = value
		case "nohostname":
			s.NoHostname = true
		default:
			return s, fmt.Errorf("%q is not known; write server=, facility=, severity= and tag=", part)
		}
		if !known {
			return s, fmt.Errorf("%q is not a %s of syslog", value, key)
		}
	}
	if s.Address == "" {
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

package convert

import (
	"path/filepath"
	"slices"
	"strings"

	"imapproxy/cmd/imapproxy/config"
)

// nginxLevels maps the levels of error_log to those of imapproxy's log: what
// is logged at most.
var nginxLevels = map[string]string{
	"debug": "debug", "info": "info", "notice": "warn", "warn": "warn", "error": "error", "crit": "error",
	"alert": "error", "emerg": "error",
}

// errorLog converts the error_log that holds for the server: its own, mail{}'s
// or main's.
func (c *nginxConverter) errorLog(s *draft) {
	s.logFrom = s.of("error_log")
	if len(s.logFrom) == 0 {
		for _, from := range c.top {
			if from.name == "error_log" {
				s.logFrom = append(s.logFrom, from)
			}
		}
	}
	if len(c.servers) > 0 && slices.Equal(s.logFrom, c.servers[0].logFrom) {
		return // they are converted
	}
	for _, from := range s.logFrom {
		if place, good := c.logTarget(from); good {
			s.log = append(s.log, place)
		}
	}
}

// logPlace is where one error_log writes.
type logPlace struct {
	key, value string // file or syslog; both "" for standard error
	level      string
	from       *statement
}

// logTarget converts one error_log.
func (c *nginxConverter) logTarget(from *statement) (logPlace, bool) {
	target, word := from.args[0], "error"
	if len(from.args) > 1 {
		word = from.args[1]
	}
	level, known := nginxLevels[word]
	if !known {
		c.refuse(from, "invalid log level %q", word)
		return logPlace{}, false
	}
	key, value := "", ""
	switch {
	case target == "stderr":
		c.note(from, Converted, "standard error, where imapproxy logs anyway")
	case strings.HasPrefix(target, "memory:"):
		c.note(from, NotNeeded, "a log in memory is for debugging nginx itself")
		return logPlace{}, false
	case strings.HasPrefix(target, "syslog:"):
		key, value = "syslog", strings.TrimPrefix(target, "syslog:")
		if why := badSyslog(value); why != "" {
			c.refuse(from, "%s", why)
			return logPlace{}, false
		}
	case target == "" || strings.HasPrefix(target, "/dev/std"):
		c.note(from, Differs, "standard error, where imapproxy logs anyway; log.file is for real files")
	case nginxsOwnLog(target):
		c.note(from, Differs, "standard error, which goes to the journal: imapproxy's user can't write there; "+
			`for a file, write log.file = "/var/log/imapproxy/imapproxy.log"`)
	default:
		key, value = "file", within(c.folder, target)
	}
	if key != "" {
		c.note(from, Converted, "log.%s", key)
		if key == "file" {
			c.note(from, Converted, "imapproxy's unit lets it write only below /var/log/imapproxy")
			c.file(from, filepath.Dir(value))
		}
	}
	if level != word && !(word == "crit" || word == "alert" || word == "emerg") {
		c.note(from, Differs, "level %q is imapproxy's %q", word, level)
	}
	if level == "warn" || level == "error" {
		c.note(from, Converted, "level %s; the line that each session leaves is at info", level)
	}
	return logPlace{key, value, level, from}, true
}

// nginxsOwnLog reports whether a file is in a log folder of nginx, or below its
// prefix, where relative names are meant from.
func nginxsOwnLog(target string) bool {
	own := []string{"/dev/fd/", "/proc/self/fd/", "/var/log/nginx/", "/usr/local/nginx/logs/", "/opt/zimbra/log/"}
	return !filepath.IsAbs(target) ||
		slices.ContainsFunc(own, func(p string) bool { return strings.HasPrefix(filepath.Clean(target), p) })
}

// badSyslog checks the parameters of syslog:...; "" when they are good.
func badSyslog(parameters string) string {
	server := false
	for parameter := range strings.SplitSeq(parameters, ",") {
		name, value, _ := strings.Cut(parameter, "=")
		switch {
		case name == "server" && value != "":
			server = true
		case parameter == "nohostname":
		case (name == "facility" || name == "tag" || name == "severity") && value != "":
		default:
			return "unknown syslog parameter " + text(parameter)
		}
	}
	if !server {
		return "no syslog server specified"
	}
	if _, err := config.ParseSyslog(parameters); err != nil {
		return err.Error()
	}
	return ""
}

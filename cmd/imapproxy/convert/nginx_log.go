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

// logLevels orders imapproxy's levels, the most talkative first.
var logLevels = []string{"debug", "info", "warn", "error"}

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
	if len(c.servers) > 0 {
		c.oneLog(s)
		return
	}
	level := "error"
	var place *statement
	for _, from := range s.logFrom {
		got, good := c.logTarget(s, from)
		if good && (place == nil || slices.Index(logLevels, got) < slices.Index(logLevels, level)) {
			level, place = got, from
		}
	}
	if place != nil {
		s.log = append([]setting{{"level", text(level), place.from()}}, s.log...)
	}
}

// oneLog refuses nothing: there is one log, and each line names its listener.
func (c *nginxConverter) oneLog(s *draft) {
	for _, from := range s.logFrom {
		if !slices.Contains(c.servers[0].logFrom, from) {
			c.note(from, Differs,
				"left out: there is one log for all listeners, the one of the first IMAP server; each line names "+
					"its listener")
		}
	}
}

// logTarget converts one error_log and gives its level.
func (c *nginxConverter) logTarget(s *draft, from *statement) (string, bool) {
	target, word := from.args[0], "error"
	if len(from.args) > 1 {
		word = from.args[1]
	}
	level, known := nginxLevels[word]
	if !known {
		c.refuse(from, "invalid log level %q", word)
		return "", false
	}
	key, value := "", ""
	switch {
	case target == "stderr":
		c.note(from, Converted, "standard error, where imapproxy logs anyway")
	case strings.HasPrefix(target, "memory:"):
		c.note(from, NotNeeded, "a log in memory is for debugging nginx itself")
		return "", false
	case strings.HasPrefix(target, "syslog:"):
		key, value = "syslog", strings.TrimPrefix(target, "syslog:")
		if why := badSyslog(value); why != "" {
			c.refuse(from, "%s", why)
			return "", false
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
		if slices.ContainsFunc(s.log, func(t setting) bool { return t.key == key }) {
			c.note(from, Differs, "left out: the log goes to one %s",
				map[string]string{"file": "file", "syslog": "syslog server"}[key])
			return "", false
		}
		s.log = append(s.log, setting{key, text(value), from.from()})
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
	return level, true
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

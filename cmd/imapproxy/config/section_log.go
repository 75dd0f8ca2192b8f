package config

import (
	"os"
	"path/filepath"
	"slices"
)

// LogOutput is a section [[log.output]].
type LogOutput struct {
	Place     Place
	File      Path     `key:"file" example:"/var/log/imapproxy/webmail.log" print:"no"`
	Syslog    string   `key:"syslog" example:"server=unix:/dev/log" print:"no"`
	Stderr    bool     `key:"stderr" default:"false"`
	Level     string   `key:"level" default:"info" enum:"debug|info|warn|error"`
	Format    string   `key:"format" default:"auto" enum:"auto|json|console|nginx"`
	Listeners []string `key:"listeners" example:"webmail" print:"no"`
}

func checkLog(c *File, r *Report) {
	l := &c.Log
	checkLogPlace(l.Place, l.File, l.Syslog, r)
	for i := range l.Outputs {
		o := &l.Outputs[i]
		places := 0
		for _, used := range []bool{o.File != "", o.Place.Has("syslog"), o.Stderr} {
			if used {
				places++
			}
		}
		if places != 1 {
			r.Errorf(o.Place, "file", "write one of file, syslog and stderr = true",
				"an output goes to one place, and this one to %d", places)
		}
		checkLogPlace(o.Place, o.File, o.Syslog, r)
		for _, name := range o.Listeners {
			if !slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.Name == name }) {
				r.Errorf(o.Place, "listeners", "name a [[listener]]", "there is no listener %q", name)
			}
		}
	}
}

// checkLogPlace checks where lines go.
func checkLogPlace(at Place, file Path, server string, r *Report) {
	if at.Has("syslog") {
		if _, err := ParseSyslog(server); err != nil {
			r.Errorf(at, "syslog", `write, for example, syslog = "server=unix:/dev/log,facility=mail"`, "%v", err)
		}
	}
	if file == "" {
		return
	}
	if info, err := os.Stat(filepath.Dir(string(file))); err != nil || !info.IsDir() {
		r.Errorf(at, "file", "make the folder, or name another file", "the folder of %s is missing", file)
	} else if info, err := os.Stat(string(file)); err == nil && info.IsDir() {
		r.Errorf(at, "file", "name a file", "%s is a folder", file)
	}
}

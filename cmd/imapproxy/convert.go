package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"

	"imapproxy/backend/printable"
	"imapproxy/backend/route"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/imapproxy/convert"
)

// convertOptions are the flags of convert.
type convertOptions struct {
	out      string
	check    bool
	force    bool
	backends words
	ignore   words
	defaults string
	lines    words
	mapText  string
	users    string
}

// words is a flag that may be given several times.
type words []string

func (w *words) String() string { return "" }

func (w *words) Set(s string) error {
	*w = append(*w, s)
	return nil
}

func convertCommand() command {
	return command{
		name:    "convert",
		args:    "FROM CONF",
		words:   []string{"nginx", "perdition"},
		summary: "converts a configuration of nginx's mail proxy or of perdition",
		details: `
FROM is nginx or perdition, CONF its nginx.conf or perdition.conf. Each
directive is reported, one a line, as FILE:LINE: STATUS: DIRECTIVE: what became
of it. STATUS is "converted", "differs" (converted, with a difference that is
named), "not needed" (with the reason), "stays" (POP3, SMTP, http{}: with the
old program) or "refused". The exit code is 1 when anything is refused, and then
nothing is written: remove those lines from a copy of CONF. For nginx, --ignore
leaves a directive out wherever it stands, and the report names each ("ignored").

The result goes to the file of -o, or to standard output, and the report to
standard error. Relative names are meant from CONF's folder.

nginx goes to every address that its auth service names, imapproxy to those in
route.allow: give them with --backend. Without it the result allows nearly every
address, and the report says which line to narrow.

For perdition, /etc/default/perdition says which instances run with which
flags: name it with --defaults, or give the command lines with --line. A map of
gdbm, bdb or cdb is read from the text it was made of, or from a dump of it
(makegdbm -u, makebdb -u, cdb -d): name that with --map when it does not lie
next to the database. --users compares, for each user of a list, where perdition
sends the user by its rules and where imapproxy will by the result; without -o
that is all it prints.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			o := &convertOptions{}
			fs.StringVar(&o.out, "o", "", "write the result into this `FILE`, and its maps next to it")
			fs.BoolVar(&o.check, "check", false, "only report; write nothing")
			fs.BoolVar(&o.force, "force", false, "overwrite files that are there already")
			fs.Var(&o.backends, "backend",
				"an `ADDRESS` that the auth service, or a regular expression of perdition's map, may name, as "+
					"host:port or CIDR:port; may be given again")
			fs.Var(&o.ignore, "ignore",
				"nginx: leave this `DIRECTIVE` out, as if it were not there; may be given again")
			fs.StringVar(&o.defaults, "defaults", "", "perdition: the `FILE` /etc/default/perdition")
			fs.Var(&o.lines, "line",
				"perdition: a command `LINE`, such as \"perdition.imap4 -l 143\"; may be given again")
			fs.StringVar(&o.mapText, "map", "", "perdition: the text or dump `FILE` of the map")
			fs.StringVar(&o.users, "users", "",
				"perdition: compare the answers for each user name in this `FILE`, one a line")
			return func(p *program, args []string) int { return p.convert(args[0], args[1], o) }
		},
	}
}

func (p *program) convert(from, conf string, o *convertOptions) int {
	result, err := convertFrom(from, conf, o)
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return p.wrongUsage(string(usage))
	case err != nil:
		return p.failure("%s can't be read: %v", conf, config.PlainPathError(err))
	}
	if !result.Failed() {
		refuseUnusable(conf, result)
	}
	report := p.stderr
	if o.check {
		report = p.stdout
	}
	if err := result.Print(report, printable.Escape); err != nil {
		return exitFailed
	}
	if result.Failed() {
		return p.failure("%s: %d directive(s) refused; nothing is written", conf, max(result.Count(convert.Refused), 1))
	}
	if code := p.writeConverted(result, o); code != exitOK {
		return code
	}
	if o.users != "" {
		return p.compareUsers(result, o.users)
	}
	return exitOK
}

// usageError is what is wrong with the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func convertFrom(from, conf string, o *convertOptions) (*convert.Result, error) {
	for _, entry := range o.backends {
		if _, err := route.ParseAllow(entry); err != nil {
			return nil, usageError("--backend: " + err.Error())
		}
	}
	switch from {
	case "nginx":
		if o.defaults != "" || len(o.lines) > 0 || o.mapText != "" || o.users != "" {
			return nil, usageError("--defaults, --line, --map and --users are for perdition")
		}
		if err := convert.CheckIgnored(o.ignore); err != nil {
			return nil, usageError("--ignore: " + err.Error())
		}
		return convert.Nginx(conf, convert.NginxOptions{Backends: o.backends, Ignore: o.ignore})
	case "perdition":
		if len(o.ignore) > 0 {
			return nil, usageError("--ignore is for nginx")
		}
		return convert.Perdition(conf,
			convert.PerditionOptions{Defaults: o.defaults, Lines: o.lines, Map: o.mapText, Backends: o.backends})
	}
	return nil, usageError("convert takes nginx or perdition, not " + quote(from))
}

// writeConverted writes the configuration and its maps. They may hold secrets,
// so that only their owner can read them.
func (p *program) writeConverted(result *convert.Result, o *convertOptions) int {
	switch {
	case o.check, o.out == "" && o.users != "":
		return exitOK
	case o.out == "":
		if _, err := p.stdout.Write([]byte(result.Config)); err != nil {
			return exitFailed
		}
		for _, m := range result.Maps {
			p.complain("the result names the map " + quote(m.Name) + ", which -o writes next to it")
		}
		return exitOK
	}
	files := append([]convert.File{{Name: filepath.Base(o.out), Text: result.Config}}, result.Maps...)
	for i := range files {
		files[i].Name = filepath.Join(filepath.Dir(o.out), files[i].Name)
		if _, err := os.Lstat(files[i].Name); err == nil && !o.force {
			return p.failure("%s is there already; give another name with -o, or --force", files[i].Name)
		}
	}
	for _, f := range files {
		if err := os.WriteFile(f.Name, []byte(f.Text), 0o600); err != nil {
			return p.failure("%v", err)
		}
		p.complain(f.Name + " is written")
	}
	return exitOK
}

package convert

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// NginxOptions is what nginx.conf can't say.
type NginxOptions struct {
	// Backends lists the addresses that the auth service may name, as
	// route.allow takes them: host:port or CIDR:port. nil allows any, as nginx
	// does, except for those that take an entry as narrow as they are.
	Backends []string
	// Ignore lists directives to leave out, whatever they say; see CheckIgnored.
	Ignore []string
}

// Nginx converts the mail{} of an nginx.conf. The error is about files that
// can't be read; what is wrong inside them is in the findings.
func Nginx(file string, o NginxOptions) (*Result, error) {
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	return nginxAt(file, folder, o)
}

// nginxAt is Nginx with the folder that relative names are meant from.
func nginxAt(file, folder string, o NginxOptions) (*Result, error) {
	c := &nginxConverter{name: filepath.Base(file), folder: folder, options: o, notes: newNotes(),
		ignored: map[string]bool{}}
	statements, err := readNginx(file)
	bad, isBad := errors.AsType[*badConf](err)
	switch {
	case isBad:
		return &Result{Findings: []Finding{{bad.file, bad.line, Refused, "", bad.text}}}, nil
	case err != nil:
		return nil, err
	}
	c.main(statements)
	return c.result(), nil
}

// nginxConverter is one conversion.
type nginxConverter struct {
	name    string // of the main file
	folder  string // absolute
	options NginxOptions
	notes

	top     []*statement // what main says that matters to mail{}: error_log, worker_*
	mail    *statement
	shared  level // mail{}'s own settings
	servers []*draft
	stays   []string        // what nginx goes on doing, for the head comment
	ignored map[string]bool // the directives that --ignore has met
}

// level is what one block says: the statements of each directive.
type level map[string][]*statement

// main goes through the top level, then through mail{}.
func (c *nginxConverter) main(statements []*statement) {
	c.keepOrder(statements)
	statements = c.leaveOut(statements, "mail", "server")
	c.unseenIgnored()
	for _, s := range statements {
		switch {
		case s.name == "include":
			c.included(s)
		case s.name == "mail" && s.opens && len(s.args) == 0:
			if c.mail != nil {
				c.refuse(s, `"mail" directive is duplicate: the first is at %s`, c.mail.place())
				continue
			}
			c.mail = s
		case s.opens:
			c.mainBlock(s)
		default:
			c.mainDirective(s)
		}
	}
	if c.mail == nil {
		c.refuse(c.whole(), "there is no mail{} in it: nothing to convert")
		return
	}
	c.note(c.mail, Differs, "every IMAP server in it; %s", refusedCommands)
	c.mailBlock()
}

// keepOrder makes the findings come in the order of the files.
func (c *nginxConverter) keepOrder(statements []*statement) {
	for _, s := range statements {
		c.order = append(c.order, s)
		if s.name == "mail" || s.name == "server" {
			c.keepOrder(s.block)
		}
	}
}

// whole stands for the file itself in a finding.
func (c *nginxConverter) whole() *statement { return &statement{file: c.name, line: 1} }

// mailBlock reads what mail{} says for all, then each server.
func (c *nginxConverter) mailBlock() {
	var own []*statement
	var servers []*statement
	for _, s := range c.mail.block {
		if s.name == "server" && s.opens && len(s.args) == 0 {
			servers = append(servers, s)
			continue
		}
		own = append(own, s)
	}
	c.shared = c.collect(own, inMail)
	c.conflict(c.shared)
	for _, s := range servers {
		c.server(s)
	}
	c.unusedShared()
	if len(c.servers) == 0 && !c.failed() {
		c.refuse(c.mail, "there is no IMAP server in it: nothing to convert")
	}
	c.finish()
}

// collect checks the directives of one block and sorts them by name. What is
// wrong in itself is refused here.
func (c *nginxConverter) collect(statements []*statement, where context) level {
	l := level{}
	for _, s := range statements {
		if s.name == "include" {
			c.included(s)
			continue
		}
		d, known := directiveOf(s.name)
		if why := misplaced(s, d, known, where); why != "" {
			c.refuse(s, "%s", why)
			continue
		}
		if earlier := l[s.name]; len(earlier) > 0 && !d.many {
			c.refuse(s, "%q directive is duplicate: the first is at %s", s.name, earlier[0].place())
			continue
		}
		if slices.ContainsFunc(s.args, func(a string) bool { return strings.ContainsRune(a, utf8.RuneError) }) {
			c.refuse(s, "holds bytes that are not UTF-8, which imapproxy's configuration can't hold")
			continue
		}
		if d.why != "" {
			c.note(s, NotNeeded, "%s", d.why)
		}
		l[s.name] = append(l[s.name], s)
	}
	return l
}

// included notes an include, whose files stand after it.
func (c *nginxConverter) included(s *statement) {
	c.note(s, Converted, "what it includes is read in its place")
}

// server converts one server{}, when it is for IMAP.
func (c *nginxConverter) server(block *statement) {
	protocol, listens := c.protocol(block)
	switch protocol {
	case "imap":
	case "":
		return // refused
	default:
		c.note(block, Stays, "%s on %s stays with nginx", strings.ToUpper(protocol), strings.Join(listens, ", "))
		c.stays = append(c.stays,
			fmt.Sprintf("%s on %s (%s)", strings.ToUpper(protocol), strings.Join(listens, ", "), block.place()))
		return
	}
	own := c.collect(block.block, inServer)
	c.conflict(own)
	s := &draft{block: block, own: own, shared: c.shared}
	c.note(block, Converted, "a listener for each of its addresses")
	c.listens(s)
	for _, apply := range serverSteps {
		apply(c, s)
	}
	c.servers = append(c.servers, s)
}

// draft is one IMAP server on its way.
type draft struct {
	block       *statement
	own, shared level

	listens []listen
	keys    []setting // for each of its listeners
	login   setting   // limits.login_timeout
	errors  setting   // limits.bad_commands
	auth    []setting // auth.http
	header  setting   // route.backend.proxy_header
	tls     []setting // of route.backend
	name    setting   // hostname
	log     []logPlace
	logFrom []*statement
}

// of returns the statements of a directive that hold for the server: its own, or
// those of mail{}. Lists are replaced as a whole, never merged.
func (s *draft) of(name string) []*statement {
	if own := s.own[name]; len(own) > 0 {
		return own
	}
	return s.shared[name]
}

// one returns the statement that holds for the server: the last one, nil for none.
func (s *draft) one(name string) *statement {
	all := s.of(name)
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// add puts a key into each listener of the server.
func (s *draft) add(key, value string, from *statement) {
	s.keys = append(s.keys, setting{key, value, from.from()})
}

// unusedShared names what mail{} says and no IMAP server has taken.
func (c *nginxConverter) unusedShared() {
	for _, all := range c.shared {
		for _, s := range all {
			if _, noted := c.findings[s]; !noted {
				c.note(s, NotNeeded, "no IMAP server inherits it")
			}
		}
	}
}

// result puts the findings in order.
func (c *nginxConverter) result() *Result {
	r := &Result{}
	if len(c.servers) > 0 {
		r.Config = c.write()
		if len(c.options.Backends) == 0 {
			c.warnAnyBackend(r.Config)
		}
	}
	r.Findings = c.all()
	return r
}

// file returns the path of a file that a directive names, and says when it is
// not there.
func (c *nginxConverter) file(s *statement, name string) string {
	path := within(c.folder, name)
	if strings.Contains(name, "$") {
		c.note(s, Differs, "%s", `nginx has no variables in mail{}: "$" is taken as it stands`)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		c.note(s, Converted, "%s is not on this machine", path)
	}
	return path
}

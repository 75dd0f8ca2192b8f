package convert

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// PerditionOptions is what is not in perdition.conf.
type PerditionOptions struct {
	Defaults string   // the file /etc/default/perdition; "" for none
	Lines    []string // command lines, each an instance; "perdition.imap4 -l 143"
	Map      string   // the text or dump of the map; "" looks next to the database
	Backends []string // more entries of route.allow, for maps whose hosts can't be listed
}

// Perdition converts a perdition.conf with its map. Without command lines it
// takes perdition's two IMAP instances, as Debian starts them. The error is
// about files that can't be read; what is wrong inside them is in the findings.
func Perdition(file string, o PerditionOptions) (*Result, error) {
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	return perditionAt(file, folder, o)
}

// perditionAt is Perdition with the folder that the result's names are meant
// from.
func perditionAt(file, folder string, o PerditionOptions) (*Result, error) {
	c := &perditionConverter{name: filepath.Base(file), folder: filepath.Dir(file), home: folder, options: o,
		notes: newNotes(), confs: map[string][]*use{}, allow: map[string]bool{}}
	if _, err := readText(file); err != nil {
		return nil, err
	}
	if err := c.findInstances(); err != nil {
		return nil, err
	}
	if c.failed() {
		return &Result{Findings: c.all()}, nil
	}
	return c.convert(), nil
}

// perditionConverter is one conversion.
type perditionConverter struct {
	name    string // of the main file
	folder  string // where files are read
	home    string // where the result's names are meant from, absolute
	options PerditionOptions
	notes
	confs     map[string][]*use // by file, each read once
	instances []*instance
	stays     []string
	others    []*use // of instances that stay

	delimiter  string
	lookup     mangle
	login      mangle
	dbUser     bool // username_from_database
	keys       []string
	outgoing   []string // outgoing_server, with ports
	port       string   // outgoing_port
	mapEntries []mapEntry
	byKey      map[string]int // into mapEntries
	mapRules   []regexRule
	hasMap     bool
	allow      map[string]bool // addresses that the map names
	targetKeys []setting
	limits     []setting
	log        []setting
}

// instance is one process of perdition.
type instance struct {
	name     string // imap4 or imap4s
	at       *statement
	line     []*use
	settings map[string][]*use

	tls      listenTLS
	outgoing string // off, starttls or implicit
	keys     []setting
	listens  []string // addresses
}

// one returns the use of an option that counts; nil for none.
func (i *instance) one(long string) *use {
	all := i.settings[long]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// protocols maps the names of --protocol and of the programs to an instance.
var perditionProtocols = map[string]string{
	"imap4": "imap4", "imap": "imap4", "imap4s": "imap4s", "imaps": "imap4s", "pop3": "pop3", "pop3s": "pop3s",
	"managesieve": "managesieve",
}

// findInstances finds out which processes there are.
func (c *perditionConverter) findInstances() error {
	switch {
	case c.options.Defaults != "":
		if err := c.readDefaults(); err != nil {
			return err
		}
	case len(c.options.Lines) > 0:
	default:
		if conf := c.conf(c.name); len(usesOf(conf, "protocol")) > 0 {
			c.addInstance("", nil, &statement{file: c.name})
		} else {
			at := &statement{file: c.name}
			c.order = append(c.order, at)
			c.note(at, Converted,
				"as the instances imap4 and imap4s, which Debian starts: say with --defaults or --line what runs here")
			c.addInstance("imap4", nil, at)
			c.addInstance("imap4s", nil, at)
		}
	}
	for _, line := range c.options.Lines {
		words, err := shellWords(line)
		at := &statement{name: "perdition", file: "--line"}
		c.order = append(c.order, at)
		if err != nil || len(words) == 0 {
			c.refuse(at, "it can't be read: %v", err)
			continue
		}
		base := filepath.Base(words[0])
		at.name = shorten(words[0])
		protocol, named := perditionProtocols[strings.TrimPrefix(base, "perdition.")]
		if base != "perdition" && !named {
			c.refuse(at, "it does not begin with perdition")
			continue
		}
		c.addInstance(protocol, c.lineUses(words[1:], "--line", 0), at)
	}
	if len(c.instances) == 0 && !c.failed() {
		at := &statement{file: c.name}
		c.refuse(at, "no instance of perdition speaks IMAP: nothing to convert")
	}
	return nil
}

// addInstance takes one process: protocol is what the program's name says, ""
// for nothing.
func (c *perditionConverter) addInstance(protocol string, line []*use, at *statement) {
	file := c.confFile(protocol, line)
	conf := c.conf(file)
	i := &instance{name: protocol, at: at, line: line, settings: settle(line, conf)}
	if p := i.one("protocol"); p != nil {
		name, known := perditionProtocols[strings.ToLower(p.value)]
		if !known {
			c.refuse(p.at, "unknown protocol %q", p.value)
			return
		}
		i.name = name
		c.note(p.at, Converted, "the listeners of the instance %s", name)
	}
	switch i.name {
	case "imap4", "imap4s":
		c.instances = append(c.instances, i)
	default:
		if i.name == "" {
			i.name = "pop3" // perdition's default
		}
		c.note(at, Stays, "the instance %s stays with perdition", i.name)
		c.stays = append(c.stays, i.name)
		c.others = append(c.others, line...)
	}
}

// confFile returns the configuration file of an instance: that of the command
// line; else the one named after the program or the protocol, when it lies
// next to CONF; else CONF.
func (c *perditionConverter) confFile(protocol string, line []*use) string {
	if f := usesOf(line, "config_file"); len(f) > 0 {
		return f[len(f)-1].value
	}
	for _, name := range map[string][]string{"imap4": {"perdition.imap4.conf"},
		"imap4s": {"perdition.imaps.conf", "perdition.imap4s.conf"}}[protocol] {
		if _, err := os.Stat(filepath.Join(c.folder, name)); err == nil {
			return name
		}
	}
	return c.name
}

// conf reads a configuration file, once.
func (c *perditionConverter) conf(name string) []*use {
	path := within(c.folder, name)
	if uses, ok := c.confs[path]; ok {
		return uses
	}
	shown := name
	if rel, err := filepath.Rel(c.folder, path); err == nil && !strings.HasPrefix(rel, "..") {
		shown = rel
	}
	text, err := readText(path)
	if err != nil {
		c.refuseFile(shown, err)
		return nil
	}
	c.confs[path] = c.confUses(shown, text)
	return c.confs[path]
}

// sharedOptions must be the same in all IMAP instances: imapproxy has one way
// from a user to a backend, whatever the listener.
var sharedOptions = []string{
	"add_domain", "authenticate_in", "client_server_specification", "domain_delimiter", "explicit_domain", "lower_case",
	"map_library", "map_library_opt", "outgoing_server", "query_key", "strip_domain", "username_from_database",
	"outgoing_port",
	"login_disabled", "timeout", "authenticate_timeout", "connection_limit", "log_facility", "debug",
}

// sameEverywhere refuses instances that route differently.
func (c *perditionConverter) sameEverywhere() {
	first := c.instances[0]
	for _, other := range c.instances[1:] {
		for _, long := range sharedOptions {
			a, b := first.settings[long], other.settings[long]
			if slices.EqualFunc(a, b, func(x, y *use) bool { return x.value == y.value }) {
				continue
			}
			at := first.at
			if len(b) > 0 {
				at = b[0].at
			} else if len(a) > 0 {
				at = a[0].at
			}
			c.refuse(at, "%s is not the same for the instances %s and %s: convert each on its own with --line", long,
				first.name, other.name)
		}
	}
}

// convert does the conversion once the instances are known.
func (c *perditionConverter) convert() *Result {
	c.sameEverywhere()
	first := c.instances[0]
	c.names(first)
	c.backends(first)
	c.theMap(first)
	c.sessionLimits(first)
	c.texts(first)
	c.logging(first)
	for _, i := range c.instances {
		c.listener(i)
	}
	c.addressesDiffer()
	c.way()
	c.targetKeys = c.target()
	r := &Result{}
	config, maps := c.write()
	c.leftOver()
	if !c.failed() {
		r.Config, r.Maps, r.Old = config, maps, c.old
	}
	r.Findings = c.all()
	if r.Config != "" {
		r.Findings = append(r.Findings, Finding{File: c.name, Status: Differs, Text: refusedCommands})
	}
	return r
}

// addressesDiffer refuses an address that two listeners want.
func (c *perditionConverter) addressesDiffer() {
	taken := map[string]bool{}
	for _, i := range c.instances {
		for _, address := range i.listens {
			if !taken[address] {
				taken[address] = true
				continue
			}
			at := i.at
			if u := i.one("bind_address"); u != nil {
				at = u.at
			}
			c.refuse(at, "%s is for two listeners, and only one of perdition's instances got it: convert each on "+
				"its own "+
				"with --line", address)
		}
	}
}

// leftOver notes each option that no step took: those that need nothing, and
// those that another place overrides.
func (c *perditionConverter) leftOver() {
	for n, i := range c.instances {
		why := "not looked at, because of what is refused"
		if n > 0 {
			why = fmt.Sprintf("the instance %s says the same", c.instances[0].name)
		}
		for _, counts := range i.settings {
			for _, u := range counts {
				if u.option.why == "" && !c.noted(u.at) {
					c.note(u.at, NotNeeded, "%s", why)
				}
			}
		}
		for _, u := range i.line {
			c.left(u)
		}
	}
	for _, uses := range c.confs {
		for _, u := range uses {
			c.left(u)
		}
	}
	for _, u := range c.others {
		if !c.noted(u.at) {
			c.note(u.at, Stays, "for an instance that stays with perdition")
		}
	}
}

func (c *perditionConverter) left(u *use) {
	switch {
	case c.noted(u.at):
	case u.option.why != "":
		c.note(u.at, NotNeeded, "%s", u.option.why)
	default:
		c.note(u.at, NotNeeded, "another line or the command line says it again, and perdition takes that")
	}
}

// done notes an option as converted.
func (c *perditionConverter) done(u *use, format string, args ...any) {
	c.note(u.at, Converted, format, args...)
}

// from is the comment for a setting.
func (u *use) from() string {
	if u.at.line == 0 {
		return fmt.Sprintf("%s (%s)", u.option.long, u.at.file)
	}
	return fmt.Sprintf("%s (%s:%d)", u.option.long, u.at.file, u.at.line)
}

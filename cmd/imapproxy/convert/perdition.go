package convert

import (
	"path/filepath"
	"slices"
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

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
	leftOut   []*use // of an instance that can't start

	delimiter  string
	lookup     mangle
	login      mangle
	dbUser     bool // username_from_database
	keys       []string
	outgoing   []string             // outgoing_server, with ports
	port       string               // of backends without one
	portless   bool                 // there is such a backend
	leading    *instance            // whose way to backends is taken
	mode       string               // tls of the target and of route.backend
	ownTargets map[string]ownTarget // by name
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
	lost     []*use // in the file, and not in force

	tls      listenTLS
	outgoing string // off, starttls or implicit
	port     string // of backends without one
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
	"login_disabled", "timeout", "authenticate_timeout", "connection_limit", "log_facility", "debug",
}

// perditionDefaults are the values of shared options that are not given.
var perditionDefaults = map[string]string{"domain_delimiter": "@", "map_library": "gdbm", "query_key": `\U`,
	"timeout": "1800", "authenticate_timeout": "1800", "connection_limit": "0", "log_facility": "mail"}

// effective returns what an option comes to.
func effective(long string, uses []*use) []string {
	if len(uses) == 0 {
		return []string{perditionDefaults[long]}
	}
	values := make([]string, len(uses))
	for n, u := range uses {
		switch values[n] = u.value; {
		case !u.option.arg:
			values[n] = "on"
		case long == "map_library" && u.value != "":
			values[n] = libraryName(u.value)
		}
	}
	return values
}

// sameEverywhere refuses instances that route differently.
func (c *perditionConverter) sameEverywhere() {
	first := c.instances[0]
	for _, other := range c.instances[1:] {
		for _, long := range sharedOptions {
			a, b := first.settings[long], other.settings[long]
			if slices.Equal(effective(long, a), effective(long, b)) {
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
	c.outgoingWays()
	c.backends(first)
	c.theMap(first)
	c.mapMode()
	c.sessionLimits(first)
	c.texts(first)
	c.logging(first)
	for _, i := range c.instances {
		c.listener(i)
	}
	c.addressesDiffer()
	for _, address := range c.outgoing {
		if c.ownListener(address) {
			c.refuse(first.one("outgoing_server").at, loops, address)
		}
	}
	c.targetKeys = c.target(c.mode)
	r := &Result{}
	config, maps := c.write()
	config += c.writeOwn()
	c.way()
	c.unusedTLS()
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

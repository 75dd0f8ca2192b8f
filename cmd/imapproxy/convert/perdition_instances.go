package convert

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// perditionProtocols are the names of --protocol, each of an instance.
var perditionProtocols = []string{"imap4", "imap4s", "pop3", "pop3s", "managesieve"}

// perditionProgram returns the instance that a program's name stands for, "" for
// perdition itself.
func perditionProgram(name string) (instance string, known bool) {
	switch name {
	case "perdition":
		return "", true
	case "perdition.imaps":
		return "imap4s", true
	}
	instance, found := strings.CutPrefix(name, "perdition.")
	return instance, found && slices.Contains(perditionProtocols, instance)
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
			again := &statement{file: c.name}
			c.order = append(c.order, again)
			c.addAssumed("imap4s", nil, again)
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
		at.name = shorten(words[0])
		protocol, known := perditionProgram(filepath.Base(words[0]))
		if !known {
			c.refuse(at, "it does not begin with one of perdition's programs: perdition.imap4, perdition.imaps, "+
				"perdition")
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
	i := &instance{name: protocol, at: at, line: line}
	i.settings, i.lost = settle(line, conf)
	if p := i.one("protocol"); p != nil {
		name := strings.ToLower(p.value)
		if !slices.Contains(perditionProtocols, name) {
			c.refuse(p.at, "unknown protocol %q: perdition has IMAP4, IMAP4S, POP3, POP3S, MANAGESIEVE", p.value)
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

// addAssumed takes a process that Debian starts unless it is told not to. One of
// TLS that has no certificate does not start.
func (c *perditionConverter) addAssumed(protocol string, line []*use, at *statement) {
	before := len(c.instances)
	c.addInstance(protocol, line, at)
	if len(c.instances) == before {
		return
	}
	i := c.instances[before]
	if i.name != "imap4s" || i.one("ssl_mode") != nil || i.one("ssl_cert_file") != nil || c.here(standardCertificate) {
		return
	}
	c.instances = c.instances[:before]
	c.leftOut = append(c.leftOut, line...)
	c.note(at, Differs, "the instance imap4s is left out: there is no certificate %s, and without one perdition does "+
		"not start it; where it runs, convert there or name the certificate with ssl_cert_file",
		within(c.home, standardCertificate))
}

// here reports whether a file lies next to CONF.
func (c *perditionConverter) here(name string) bool {
	_, err := os.Stat(filepath.Join(c.folder, name))
	return err == nil
}

// confFile returns the configuration file of an instance: that of the command
// line, which is "" for none; else the one named after the program or the
// protocol, when it lies next to CONF; else CONF.
func (c *perditionConverter) confFile(protocol string, line []*use) string {
	if f := usesOf(line, "config_file"); len(f) > 0 {
		return f[len(f)-1].value
	}
	for _, name := range map[string][]string{"imap4": {"perdition.imap4.conf"},
		"imap4s": {"perdition.imaps.conf", "perdition.imap4s.conf"}}[protocol] {
		if c.here(name) {
			return name
		}
	}
	return c.name
}

// conf reads a configuration file, once; "" is none.
func (c *perditionConverter) conf(name string) []*use {
	if name == "" {
		return nil
	}
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

package convert

import (
	"os"
	"path/filepath"
	"strings"
)

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

package convert

import (
	"slices"
	"strings"
)

// defaultsKeys are the instances of Debian's init script, in its order. An
// instance that the file does not name runs.
var defaultsKeys = []struct{ key, instance string }{
	{"POP3", "pop3"}, {"POP3S", "pop3s"}, {"IMAP4", "imap4"}, {"IMAP4S", "imap4s"}, {"MANAGESIEVE", "managesieve"},
}

// assignment is one KEY=value of a shell file.
type assignment struct {
	value string
	at    *statement
}

// readDefaults reads /etc/default/perdition.
func (c *perditionConverter) readDefaults() error {
	text, err := readText(c.options.Defaults)
	if err != nil {
		return err
	}
	shown := c.shownMap(c.options.Defaults)
	values := c.assignments(shown, text)
	if run := values["RUN_PERDITION"]; run.value != "yes" {
		c.note(&statement{file: shown}, Differs,
			"RUN_PERDITION is not yes, so that perdition does not run: converted as if it did")
	}
	flags := func(key string, converted bool) []*use {
		f, ok := values[key]
		switch {
		case !ok:
			return nil
		case converted:
			c.note(f.at, Converted, "its options are reported one by one")
		default:
			c.note(f.at, Stays, "its instance stays with perdition")
		}
		return c.lineUses(strings.Fields(f.value), shown, f.at.line)
	}
	all := flags("FLAGS", true)
	for _, d := range defaultsKeys {
		enabled, named := values[d.key]
		if named && enabled.value != "" && enabled.value != "yes" {
			c.note(enabled.at, NotNeeded, "it does not run")
			continue
		}
		at := enabled.at
		if at == nil {
			at = &statement{file: shown, name: d.key}
			c.order = append(c.order, at)
		}
		isIMAP := strings.HasPrefix(d.instance, "imap")
		if isIMAP {
			c.note(at, Converted, "the instance %s", d.instance)
		}
		c.addAssumed(d.instance, slices.Concat(all, flags(d.key+"_FLAGS", isIMAP)), at)
	}
	for _, v := range values {
		if !c.noted(v.at) {
			c.note(v.at, NotNeeded, "no instance that runs looks at it")
		}
	}
	return nil
}

// assignments reads KEY=value lines.
func (c *perditionConverter) assignments(shown, text string) map[string]assignment {
	values := map[string]assignment{}
	line := 0
	for raw := range strings.Lines(text) {
		line++
		raw = strings.TrimSpace(raw)
		if raw == "" || raw[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(strings.TrimPrefix(raw, "export "), "=")
		at := &statement{name: shorten(key), file: shown, line: line} // the value may hold a password
		c.order = append(c.order, at)
		words, err := shellWords(value)
		switch {
		case !found || strings.ContainsAny(key, " \t"):
			c.refuse(at, "not KEY=value: what a shell would do there is not known")
		case err != nil:
			c.refuse(at, "%v", err)
		default:
			values[key] = assignment{strings.Join(words, " "), at}
		}
	}
	if run, ok := values["RUN_PERDITION"]; ok {
		c.note(run.at, NotNeeded, "systemd starts imapproxy")
	}
	return values
}

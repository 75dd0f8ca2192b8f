package convert

import (
	"fmt"
	"regexp"
	"slices"
)

// directiveName is what a directive of nginx may be called.
var directiveName = regexp.MustCompile("^[A-Za-z0-9_]+$")

// neverIgnored are directives that can't be left out, and why.
var neverIgnored = map[string]string{
	"mail":              "it holds the servers",
	"server":            "it is a server: its users would be left without one",
	"include":           "what it includes may hold servers",
	"listen":            "a server without it has no clients",
	"protocol":          "a server without it may speak another protocol",
	"ssl":               "a listener without it would begin without TLS",
	"starttls":          "a listener without it would take passwords without TLS",
	"ssl_verify_client": "a listener without it would take clients without a certificate",
}

// CheckIgnored returns what is wrong with NginxOptions.Ignore, nil for nothing.
func CheckIgnored(names []string) error {
	for _, name := range names {
		if why, never := neverIgnored[name]; never {
			return fmt.Errorf("%s can't be left out: %s; change it in a copy of nginx.conf", name, why)
		}
		if !directiveName.MatchString(name) {
			return fmt.Errorf("%q is no directive: write only its name, such as ssl_dhparam", name)
		}
	}
	return nil
}

// leaveOut removes the directives to be ignored, from one level and from the
// blocks named inside, and names each. A block that holds another, which would be
// lost with it, is refused. The nesting is that of the arguments.
func (c *nginxConverter) leaveOut(statements []*statement, inside ...string) []*statement {
	var kept []*statement
	for _, s := range statements {
		if !slices.Contains(c.options.Ignore, s.name) {
			if len(inside) > 0 && s.name == inside[0] {
				s.block = c.leaveOut(s.block, inside[1:]...)
			}
			kept = append(kept, s)
			continue
		}
		c.ignored[s.name] = true
		if inner := find(s.block, inside); inner != nil {
			c.refuse(s, "it can't be left out: it holds %s{} at %s; change it in a copy of nginx.conf", inner.name,
				inner.place())
			continue
		}
		c.note(s, Ignored, "left out by --ignore, as if it were not there")
	}
	return kept
}

// find returns the first block of the first name, among statements and in their
// blocks; nil for none.
func find(statements []*statement, names []string) *statement {
	for rest := slices.Clone(statements); len(rest) > 0 && len(names) > 0; rest = rest[1:] {
		if rest[0].opens && rest[0].name == names[0] {
			return rest[0]
		}
		rest = append(rest, rest[0].block...)
	}
	return nil
}

// unseenIgnored names what is to be ignored and is not there: a misspelled name
// would otherwise look as if it had an effect.
func (c *nginxConverter) unseenIgnored() {
	for _, name := range c.options.Ignore {
		if !c.ignored[name] {
			c.note(&statement{name: "--ignore " + name, file: c.name}, NotNeeded, "there is no such directive in it")
		}
	}
}

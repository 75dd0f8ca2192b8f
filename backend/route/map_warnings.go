package route

import (
	"fmt"
	"strings"

	"imapproxy/backend/printable"
	"imapproxy/backend/username"
)

// maxMapWarnings bounds what is said of one map; the rest is counted.
const maxMapWarnings = 50

// mapWarnings gathers what a map says that was hardly meant so.
type mapWarnings struct {
	path   string
	all    []string
	unsaid int // beyond maxMapWarnings

	// for what only the whole map shows
	dotted  []bareName      // bare names with a dot and without a domain
	domains map[string]bool // of names and of rules for subdomains
	ruled   map[string]bool // domains that have a rule
	keyword *bareName       // the bare name "default"
}

// bareName is an exact name that is not in quotes.
type bareName struct {
	line int
	text string
}

func (w *mapWarnings) add(line int, format string, args ...any) {
	if len(w.all) >= maxMapWarnings {
		w.unsaid++
		return
	}
	w.all = append(w.all, fmt.Sprintf("%s:%d: ", w.path, line)+fmt.Sprintf(format, args...))
}

// rule looks at a rule that has been taken.
func (w *mapWarnings) rule(line int, key mapKey, lookup username.Rewrite) {
	separator := lookup.Separator()
	switch key.kind {
	case mapExact:
		if why := unreachableName(key.text, lookup); why != "" {
			w.add(line, "the name %s is never looked up: %s", printable.Quote(key.text), why)
		} else if key.bare {
			w.bareName(bareName{line, key.text}, separator)
		}
		if _, domain, found := lookup.Split(key.text); found {
			w.domains[username.LowerASCII(domain)] = true
		}
	case mapDomain:
		if why := unreachableDomain(key.text, lookup); why != "" {
			w.add(line, "no name of the domain %s is looked up: %s", printable.Quote(key.text), why)
		} else if odd, write := oddDomain(key.text); odd != "" {
			w.add(line, "%s is a domain here, and %s: write %s", printable.Quote("@"+key.text), odd, write)
		}
		if sub, ok := strings.CutPrefix(username.LowerASCII(key.text), "."); ok {
			w.domains[sub] = true
		} else {
			w.ruled[sub] = true
		}
	}
}

// bareName says what a bare name looks like, or keeps it until the whole map is
// known.
func (w *mapWarnings) bareName(name bareName, separator string) {
	if other := otherNotation(name.text, separator); other != "" {
		w.addName(name, other)
		return
	}
	switch {
	case strings.EqualFold(name.text, "default"):
		w.keyword = &name
	case isDotted(name.text) && !strings.Contains(name.text, separator):
		w.dotted = append(w.dotted, name)
	}
}

// addName says that a bare key is a name, what to write if something else was
// meant, and how to say that it was not.
func (w *mapWarnings) addName(name bareName, write string) {
	w.add(name.line, "%s is the exact name of a user here: write %s; if it is right as it is, put it in double quotes",
		printable.Quote(name.text), write)
}

// finish looks at the whole map and returns all warnings.
func (w *mapWarnings) finish(hasDefault bool) []string {
	if w.keyword != nil && !hasDefault {
		w.addName(*w.keyword, `* for everybody else`)
	}
	for _, name := range bareDomains(w.dotted, w.domains) {
		if !w.ruled[username.LowerASCII(name.text)] { // else what it was meant as is there too
			w.addName(name, fmt.Sprintf("@%s for the names of that domain", name.text))
		}
	}
	if w.unsaid > 0 {
		w.all = append(w.all, fmt.Sprintf("%s: and %d more warnings", w.path, w.unsaid))
	}
	return w.all
}

// unreachableName returns why no lookup can ask for an exact name, "" where one can.
func unreachableName(name string, lookup username.Rewrite) string {
	if lookup.LowerCase {
		name = username.LowerASCII(name) // which is done to the key too
	}
	if lookup.Apply(name) == name {
		return ""
	}
	return fmt.Sprintf("[rewrite.lookup] makes %s of it (%s)", printable.Quote(lookup.Apply(name)), lookup)
}

// unreachableDomain is unreachableName for a domain, or ".domain" for subdomains.
func unreachableDomain(domain string, lookup username.Rewrite) string {
	if !lookup.StripDomain {
		return ""
	}
	domain, added := username.LowerASCII(domain), username.LowerASCII(lookup.AddDomain)
	if added == domain || domain[0] == '.' && strings.HasSuffix(added, domain) {
		return ""
	}
	return fmt.Sprintf("[rewrite.lookup] takes the domain off before (%s)", lookup)
}

// isDotted reports whether a name could be a domain: labels of a host name with a
// dot between them, the last one of at least two letters.
func isDotted(name string) bool {
	labels := strings.Split(username.LowerASCII(name), ".")
	for _, label := range labels {
		if !isLabel(label) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && len(last) > 1 && !strings.ContainsAny(last, "0123456789-_")
}

// generic are the top-level domains of mail that are no family names.
var generic = map[string]bool{"com": true, "net": true, "org": true, "edu": true, "gov": true, "mil": true,
	"int": true, "info": true, "biz": true, "example": true, "invalid": true, "test": true, "local": true,
	"localdomain": true, "internal": true, "intern": true, "lan": true, "corp": true}

// bareDomains chooses from dotted names those that were surely meant as domains.
// Names of people have dots too, and family names such as Li are top-level domains.
// So a name is one if another key has it as domain, or if its last part is a generic
// top-level domain; with a country's, of two letters, only where the map has no
// dotted name that can't be a domain.
func bareDomains(dotted []bareName, domains map[string]bool) []bareName {
	ending := func(n bareName) string { return n.text[strings.LastIndexByte(n.text, '.')+1:] }
	people := false
	for _, n := range dotted {
		last := username.LowerASCII(ending(n))
		people = people || len(last) > 2 && !generic[last] && !domains[username.LowerASCII(n.text)]
	}
	var chosen []bareName
	for _, n := range dotted {
		last := username.LowerASCII(ending(n))
		if domains[username.LowerASCII(n.text)] || generic[last] || len(last) == 2 && !people {
			chosen = append(chosen, n)
		}
	}
	return chosen
}

// Package route finds the backend of a user: one target for all, map files,
// targets by name, and the servers that an auth answer names, within an allow-list.
package route

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"

	"imapproxy/backend"
	"imapproxy/backend/printable"
	"imapproxy/backend/username"
)

// Map is the Router of a map file. One rule a line, a key and a result:
//
//	alice               imap1                               # exact name
//	"odd name"          bob@imap1.example.org:1143          # quoted; another user name at the backend
//	@example.com        imap2                               # domain
//	@.example.com       imap2                               # its subdomains
//	/^u([0-9]+)@(.*)$/  $2-user$1@store-$1.example.org:1143 # regular expression (RE2), anchored only by ^ and $
//	*                   imap3                               # everybody else
//
// The exact name decides, then the domain (the most specific one), then the
// first regular expression that matches, then "*"; the order of lines matters
// among regular expressions only. A result is [user@]target or
// [user@]host[:port]. In a regular expression's result $1 to $9 or ${1} is what
// a group matched, $0 the whole match and $$ a dollar. The user part and the
// host are cut apart (at the last "@") before groups are filled in, so nothing
// in a user's name can turn into a host there.
//
// A Map is safe for concurrent use.
type Map struct {
	path          string
	resolve       Resolver
	lookup, login username.Rewrite
	// one Reload at a time, so that an older reading never replaces a newer; Route does not take it
	reloading sync.Mutex
	table     atomic.Pointer[mapTable]
}

// mapTable is one reading of the file; it is not changed once it is in use.
type mapTable struct {
	exact    map[string]mapRule
	domains  map[string]mapRule // by "example.com"; ".example.com" for its subdomains
	regexps  []mapRegexp
	fallback *mapRule // the rule "*", nil when there is none
	warnings []string
}

// mapRule is a rule whose result depends on nothing.
type mapRule struct {
	line   int
	user   string // "" means the login rewrite of the user's own name
	target *backend.Target
}

// mapRegexp is a regular expression and its result.
type mapRegexp struct {
	line    int
	pattern *regexp.Regexp
	user    mapTemplate // nil means the login rewrite of the user's own name
	host    mapTemplate
	target  *backend.Target // the host resolved when the file was read, nil when it has groups
}

// OpenMap reads the map file at path. The name that is looked up is what lookup
// makes of the user; the name for the backend's login is the result's user as
// it is, else what login makes of the user. The error holds every mistake in
// the file (errors.Join), each with file, line and remedy.
func OpenMap(path string, resolve Resolver, lookup, login username.Rewrite) (*Map, error) {
	m := &Map{path: path, resolve: resolve, lookup: lookup, login: login}
	if err := m.Reload(); err != nil {
		return nil, err
	}
	return m, nil
}

// Reload reads the file again. An error changes nothing: the rules in use stay.
func (m *Map) Reload() error {
	m.reloading.Lock()
	defer m.reloading.Unlock()
	table, err := readMapFile(m.path, m.resolve, m.lookup)
	if err != nil {
		return err
	}
	m.table.Store(table)
	return nil
}

// Warnings returns what in the map was hardly meant as it is written, each with
// file and line.
func (m *Map) Warnings() []string { return m.table.Load().warnings }

// Route implements Router.
func (m *Map) Route(_ context.Context, q backend.Query) (backend.Route, error) {
	key := m.lookup.Apply(q.User)
	if err := checkLoginName(key); err != nil {
		return backend.Route{}, fmt.Errorf("map %s: look up user name %s: %w", m.path, printable.Quote(key), err)
	}
	table := m.table.Load()
	if rule, kind := table.byName(key, m.lookup); rule != nil {
		return m.answer(*rule, kind, q)
	}
	for i := range table.regexps {
		r := &table.regexps[i]
		if match := r.pattern.FindStringSubmatchIndex(key); match != nil {
			return m.expand(r, key, match, q)
		}
	}
	if table.fallback != nil {
		return m.answer(*table.fallback, "default", q)
	}
	return backend.Route{}, fmt.Errorf("map %s: no rule for %s: %w", m.path, printable.Quote(key), backend.ErrNoRoute)
}

// byName finds the exact name's or the domain's rule, nil when there is none.
func (t *mapTable) byName(key string, lookup username.Rewrite) (*mapRule, string) {
	if rule, ok := t.exact[key]; ok {
		return &rule, "exact name"
	}
	_, domain, found := lookup.Split(key)
	if !found {
		return nil, ""
	}
	domain = username.LowerASCII(domain)
	if rule, ok := t.domains[domain]; ok && domain[0] != '.' {
		return &rule, "domain @" + domain
	}
	for i := 1; i < len(domain); i++ {
		if domain[i] != '.' {
			continue
		}
		if rule, ok := t.domains[domain[i:]]; ok {
			return &rule, "subdomains @" + domain[i:]
		}
	}
	return nil, ""
}

func (m *Map) answer(r mapRule, kind string, q backend.Query) (backend.Route, error) {
	user := r.user
	if user == "" {
		user = m.login.Apply(q.User)
	}
	return newRoute(r.target, user, m.ruleText(r.line, kind))
}

// expand fills a regular expression's result in. A host made of groups is
// resolved here, under the same allow-list as every other.
func (m *Map) expand(r *mapRegexp, key string, match []int, q backend.Query) (backend.Route, error) {
	rule := m.ruleText(r.line, "regular expression /"+r.pattern.String()+"/")
	target, user := r.target, ""
	var err error
	if r.user == nil {
		user = m.login.Apply(q.User)
	} else if user, err = r.user.expand(key, match); err != nil {
		return backend.Route{}, fmt.Errorf("%s: user name: %w", rule, err)
	}
	if target == nil {
		host, err := r.host.expand(key, match)
		if err != nil {
			return backend.Route{}, fmt.Errorf("%s: host: %w", rule, err)
		}
		if target, err = m.resolve(host); err != nil {
			return backend.Route{}, fmt.Errorf("%s: %w", rule, err)
		}
	}
	return newRoute(target, user, rule)
}

func (m *Map) ruleText(line int, kind string) string {
	return "map " + m.path + ":" + strconv.Itoa(line) + " (" + kind + ")"
}

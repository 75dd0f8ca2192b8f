package auth

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// userSet is one reading of a user file; immutable.
type userSet struct {
	byName   map[string]*fileUser
	dummy    *hash // verified for users that do not exist; of the kind most used; nil without any
	warnings []string
}

type fileUser struct {
	name    string
	line    int
	hash    *hash  // nil: locked
	backend string // "" leaves it to the router
	login   string // the name at the backend
	master  masterScope
}

type masterScope int

const (
	masterNone masterScope = iota
	masterListed
	masterAny
)

const maxUserLine = 8 << 10

// parseUsers reads a user file. No error quotes more than a user's name: what
// stands at the place of a hash may be a password.
func parseUsers(path string, data []byte) (*userSet, error) {
	reader, err := newHashReader()
	if err != nil {
		return nil, err
	}
	set := &userSet{byName: map[string]*fileUser{}}
	faults := lineFaults{path: path}
	n := 0
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		n++
		user, err := reader.user(strings.TrimRight(line, "\r\n"), n)
		if err == nil && user != nil {
			err = set.add(user)
		}
		faults.add(n, err)
	}
	if err := faults.join(); err != nil {
		return nil, err
	}
	set.finish(path)
	return set, nil
}

func (s *userSet) add(u *fileUser) error {
	if first := s.byName[u.name]; first != nil {
		return fmt.Errorf("user %.80q is a duplicate of line %d: remove one of them", u.name, first.line)
	}
	s.byName[u.name] = u
	return nil
}

// user reads one line; nil without an error for a comment or a blank line.
func (p *hashReader) user(line string, n int) (*fileUser, error) {
	switch trimmed := strings.TrimSpace(line); {
	case trimmed == "" || trimmed[0] == '#':
		return nil, nil
	case len(line) > maxUserLine:
		return nil, fmt.Errorf("the line has %d bytes, more than %d: split or mend it", len(line), maxUserLine)
	case hasControl(line):
		return nil, errors.New("the line holds a control byte (a tab?): remove it, fields are separated by spaces")
	}
	name, rest, found := strings.Cut(line, ":")
	if !found {
		return nil, errors.New("no hash: a line is name:hash[:field ...]")
	}
	if flaw := nameFlaw(name); flaw != "" {
		return nil, fmt.Errorf("the user name %s: a line is name:hash[:field ...]", flaw)
	}
	if strings.TrimSpace(name) != name {
		return nil, fmt.Errorf("user %.80q begins or ends with a space: remove it", name)
	}
	text, fields, _ := strings.Cut(rest, ":")
	if strings.Trim(fields, ":") == "" { // a Dovecot passwd-file's empty fields
		fields = ""
	}
	u := &fileUser{name: name, login: name, line: n}
	plaintext, err := u.fields(strings.Fields(fields))
	if err == nil {
		u.hash, err = p.read(text, plaintext)
	}
	if err != nil {
		return nil, fmt.Errorf("user %.80q: %w", name, err)
	}
	return u, nil
}

// fields reads what follows the hash.
func (u *fileUser) fields(fields []string) (plaintext bool, err error) {
	seen := map[string]bool{}
	for i, field := range fields {
		key, value, hasValue := strings.Cut(field, "=")
		switch {
		case seen[key]:
			return false, fmt.Errorf("field %d is a duplicate: remove one of them", i+1)
		case key == "plaintext" && !hasValue:
			plaintext = true
		case key == "master" && !hasValue:
			u.master = masterListed
		case field == "master=any":
			u.master = masterAny
		case key == "backend" && value != "":
			u.backend = value
		case key == "user" && nameFlaw(value) == "":
			u.login = value
		default:
			return false, fmt.Errorf("field %d after the hash is unknown or has no good value: there are "+
				"backend=NAME, user=NAME, master, master=any, plaintext%s", i+1, otherField(key, fields))
		}
		seen[key] = true
	}
	return plaintext, nil
}

// otherFields are Dovecot's, and what takes their place here.
var otherFields = map[string]string{
	"host": "backend=", "destuser": "user=", "nopassword": "type = \"passthrough\" in [auth]",
	"proxy": "nothing: every user is proxied", "proxy_maybe": "nothing: every user is proxied",
}

// otherField says more of a field that is unknown, "" where nothing is known of it. It
// quotes none: it may be a part of a password.
func otherField(key string, fields []string) string {
	if write := otherFields[key]; write != "" {
		return "; Dovecot's " + key + " is here " + write
	}
	if slices.ContainsFunc(fields, func(field string) bool { return strings.Contains(field, ":") }) {
		return "; of a line of Dovecot's passwd-file, /etc/passwd or /etc/shadow keep name and hash only"
	}
	return ""
}

// finish chooses the dummy and collects the warnings, which a map's order must
// not shuffle.
func (s *userSet) finish(path string) {
	users := s.byLine()
	kinds := map[string]int{}
	var most string
	for _, u := range users {
		if u.hash == nil {
			continue
		}
		kind := u.hash.kind
		if kinds[kind]++; kinds[kind] > kinds[most] {
			most, s.dummy = kind, u.hash
		}
	}
	s.warn(path, users, "the login of a name that is not in the file does other work than theirs, which can be "+
		"measured: give them hashes of the kind "+most,
		func(u *fileUser) bool { return u.hash != nil && u.hash.kind != most })
	for _, weak := range weaknesses(users) {
		s.warn(path, users, weak+": make a hash with `imapproxy passwd`",
			func(u *fileUser) bool { return u.hash != nil && u.hash.weak == weak })
	}
	s.warn(path, users, "master=any: they may log in as anybody, the backend judges",
		func(u *fileUser) bool { return u.master == masterAny })
	for _, odd := range oddNames {
		s.warn(path, users, odd.what, func(u *fileUser) bool { return odd.is(u.name) })
	}
	if len(users) == 0 {
		s.warnings = append(s.warnings, path+": no users: nobody can log in")
	}
}

// oddNames are names that no client sends, and that were surely meant as something
// else.
var oddNames = []struct {
	what string
	is   func(name string) bool
}{
	{"no domain after the @: write the whole name that the client sends", func(name string) bool {
		return strings.HasSuffix(name, "@")
	}},
	{"a name has no wildcards, and a domain is no user: write a line for each user", func(name string) bool {
		return name[0] == '@' || strings.Contains(name, "*") || name[0] == '%'
	}},
	{"a regular expression is no user: write a line for each user", func(name string) bool {
		return name[0] == '~' || name[0] == '^' || name[0] == '/'
	}},
	{"the quotes are part of the name: leave them out", inQuotes},
	{"the brackets are part of the name: leave them out", func(name string) bool { return name[0] == '<' }},
}

// byLine returns the users in the order of their lines.
func (s *userSet) byLine() []*fileUser {
	return slices.SortedFunc(maps.Values(s.byName), func(a, b *fileUser) int { return cmp.Compare(a.line, b.line) })
}

func weaknesses(users []*fileUser) []string {
	var all []string
	for _, u := range users {
		if u.hash != nil && u.hash.weak != "" && !slices.Contains(all, u.hash.weak) {
			all = append(all, u.hash.weak)
		}
	}
	return all
}

// warn adds one sentence that names the first users it is about.
func (s *userSet) warn(path string, users []*fileUser, what string, about func(*fileUser) bool) {
	if text := warning(path, users, what, about); text != "" {
		s.warnings = append(s.warnings, text)
	}
}

// warning returns one sentence that names the first users it is about, "" for none.
func warning(path string, users []*fileUser, what string, about func(*fileUser) bool) string {
	const named = 5
	var names []string
	count := 0
	for _, u := range users {
		if !about(u) {
			continue
		}
		if count++; count <= named {
			names = append(names, fmt.Sprintf("%.80q (line %d)", u.name, u.line))
		}
	}
	if count == 0 {
		return ""
	}
	if count > named {
		names = append(names, fmt.Sprintf("and %d more", count-named))
	}
	return path + ": " + strings.Join(names, ", ") + ": " + what
}

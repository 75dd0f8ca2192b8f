package convert

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mapEntry is a line of an exact map.
type mapEntry struct {
	key              string
	user, host, port string
	at               *statement
}

// defaultMaps are where perdition looks when map_library_opt says nothing.
var defaultMaps = map[string]string{"gdbm": "popmap.gdbm.db", "bdb": "popmap.bdb.db", "cdb": "popmap.cdb",
	"posix_regex": "popmap.re"}

// databases are map libraries that ask a server.
var databases = map[string]string{
	"mysql": "MySQL", "postgresql": "PostgreSQL", "odbc": "ODBC", "ldap": "LDAP", "nis": "NIS",
	"daemon": "the map daemon",
}

// theMap reads the map of perdition.
func (c *perditionConverter) theMap(i *instance) {
	library, at := "gdbm", &statement{file: c.name}
	if u := i.one("map_library"); u != nil {
		at = u.at
		if u.value == "" {
			c.done(u, "no map: everybody belongs to outgoing_server")
			c.noMap(i, at)
			return
		}
		library = libraryName(u.value)
	}
	c.queryKeys(i)
	name := defaultMaps[library]
	if u := i.one("map_library_opt"); u != nil && u.value != "" {
		name = u.value
		if databases[library] == "" {
			c.done(u, "the map")
		} else {
			c.note(u.at, NotNeeded, "see map_library")
		}
	}
	if c.options.Map != "" {
		name = c.options.Map
	} else if databases[library] != "" {
		c.refuse(at, "imapproxy does not ask %s for a user's backend: dump it as KEY:[USER@]HOST[:PORT] lines and "+
			"name the dump with --map", databases[library])
		return
	}
	switch {
	case library == "posix_regex":
		c.regexMap(i, at, name)
	case name == "":
		c.refuse(at, "unknown map library %q", library)
	default:
		c.exactMap(i, at, library, name)
	}
}

// libraryName takes gdbm out of /usr/lib/libperditiondb_gdbm.so.0.
func libraryName(path string) string {
	name := strings.TrimPrefix(filepath.Base(path), "libperditiondb_")
	name, _, _ = strings.Cut(name, ".so")
	return name
}

// noMap checks that there is a backend without a map.
func (c *perditionConverter) noMap(i *instance, at *statement) {
	for _, long := range []string{"map_library_opt", "query_key", "username_from_database"} {
		if u := i.one(long); u != nil {
			c.note(u.at, NotNeeded, "there is no map")
		}
	}
	if len(c.outgoing) == 0 && !c.failed() {
		c.refuse(at, "there is no map and no outgoing_server: perdition could not route any user")
	}
}

// exactMap reads the text of a gdbm, bdb or cdb map.
func (c *perditionConverter) exactMap(i *instance, at *statement, library, name string) {
	path := within(c.folder, name)
	if c.options.Map != "" {
		path = name
	} else {
		path = mapSource(path)
	}
	text, err := readText(path)
	switch {
	case err != nil && i.one("map_library") == nil && i.one("map_library_opt") == nil && len(c.outgoing) > 0:
		c.note(at, Differs, "perdition's default map %s is not here: everybody belongs to outgoing_server",
			filepath.Base(name))
		c.noMap(i, at)
		return
	case err != nil:
		if u := i.one("map_library_opt"); u != nil {
			at = u.at
		}
		c.refuse(at, "%s can't be read: name the text that the map was made of, or a dump of it ("+dumps+"), with "+
			"--map", c.shownMap(path))
		return
	}
	c.hasMap = true
	if u := i.one("username_from_database"); u != nil {
		c.dbUser = true
		c.done(u, "the user names of the map are those of the login")
	}
	c.readEntries(c.shownMap(path), text, library)
	if u := i.one("map_library"); u != nil {
		c.done(u, "%d entries of %s", len(c.mapEntries), c.shownMap(path))
		if databases[library] != "" {
			c.note(u.at, Differs, "a copy of %s as it was dumped: later changes there do not reach it",
				databases[library])
		}
		return
	}
	c.note(&statement{file: c.shownMap(path)}, Converted, "%d entries", len(c.mapEntries))
}

// mapSource guesses the text of a database: popmap for popmap.gdbm.db.
func mapSource(path string) string {
	for _, suffix := range []string{".gdbm.db", ".bdb.db", ".cdb", ".gdbm", ".bdb", ".db"} {
		if base, ok := strings.CutSuffix(path, suffix); ok {
			return base
		}
	}
	return path
}

// shownMap shortens the name of a file that lies next to CONF.
func (c *perditionConverter) shownMap(path string) string {
	if rel, err := filepath.Rel(c.folder, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}

// cdbLine is a line of cdbmake's format: +klen,dlen:key->data.
var cdbLine = regexp.MustCompile(`^\+([0-9]+),([0-9]+):(.*)$`)

// readEntries reads key:value lines, or cdb's. A key that comes again is
// left out, as makegdbm and makebdb do it.
func (c *perditionConverter) readEntries(shown, text, library string) {
	byKey := map[string]int{}
	c.byKey = byKey
	if isDatabase(text) {
		c.refuse(&statement{file: shown}, "a database, not its text: name the text that it was made of, or a dump "+
			"of it ("+dumps+"), with --map")
		return
	}
	text = withoutNULs(text)
	line := 0
	for raw := range strings.Lines(text) {
		line++
		raw = strings.TrimRight(raw, "\r\n")
		at := &statement{file: shown, line: line, name: shorten(raw)}
		key, value, good := cutEntry(raw, library)
		if !good {
			if strings.TrimSpace(raw) != "" && !strings.HasPrefix(raw, "#") {
				c.note(at, NotNeeded, "not key:value, so that perdition's map does not have it")
			}
			continue
		}
		if strings.HasSuffix(key, "\x00") {
			c.note(at, NotNeeded, "its key ends with a NUL byte, so that perdition does not find it")
			continue
		}
		if why := badEntry(key, value); why != "" {
			c.refuse(at, "%s", why)
			continue
		}
		if c.lookup.lower && key != lowerLetters(key) {
			c.note(at, NotNeeded, "names are lower-cased before they are looked up: no name is this key")
			continue
		}
		e := mapEntry{key: key, at: at}
		e.user, e.host, e.port = serverPort(value, c.delimiter)
		if earlier, again := byKey[key]; again {
			c.note(at, NotNeeded, "line %d has the key already, and perdition's map keeps that",
				c.mapEntries[earlier].at.line)
			continue
		}
		byKey[key] = len(c.mapEntries)
		c.mapEntries = append(c.mapEntries, e)
	}
}

// dumps are the programs that print a database.
const dumps = "makegdbm -u, makebdb -u, cdb -d"

// withoutNULs removes what makegdbm -u writes too much: a NUL after each colon
// and each end of a line.
func withoutNULs(dump string) string {
	if !strings.Contains(dump, "\x00") {
		return dump
	}
	var b strings.Builder
	for line := range strings.SplitSeq(dump, "\n") {
		key, value, found := strings.Cut(strings.TrimPrefix(line, "\x00"), ":\x00")
		b.WriteString(key)
		if found {
			b.WriteString(":" + strings.TrimSuffix(value, "\x00")) // what perdition reads ends there
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// isDatabase reports whether a text is a file of GDBM or of Berkeley DB, which
// begin with known numbers.
func isDatabase(text string) bool {
	for _, magic := range []struct {
		at    int
		bytes string
	}{{0, "\xcd\x9a\x57\x13"}, {0, "\xce\x9a\x57\x13"}, {0, "\xcf\x9a\x57\x13"}, {0, "\xd0\x9a\x57\x13"},
		{0, "\xd1\x9a\x57\x13"}, {12, "\x61\x15\x06\x00"}, {12, "\x62\x31\x05\x00"}} {
		if len(text) > magic.at && strings.HasPrefix(text[magic.at:], magic.bytes) {
			return true
		}
	}
	return false
}

// cutEntry takes a line apart.
func cutEntry(raw, library string) (key, value string, good bool) {
	if m := cdbLine.FindStringSubmatch(raw); m != nil {
		k, errK := strconv.Atoi(m[1])
		v, errV := strconv.Atoi(m[2])
		rest := m[3]
		if errK != nil || errV != nil || k > len(rest) || !strings.HasPrefix(rest[k:], "->") || len(rest) != k+2+v {
			return "", "", false
		}
		return rest[:k], rest[k+2:], true
	}
	if library == "nis" { // ypcat -k
		key, value, good = strings.Cut(raw, " ")
	} else {
		key, value, good = strings.Cut(raw, ":")
	}
	if strings.HasPrefix(raw, "#") {
		return "", "", false
	}
	return key, strings.TrimSpace(value), good && key != ""
}

// badEntry returns why an entry can't stand in a map of imapproxy.
func badEntry(key, value string) string {
	for _, s := range []string{key, value} {
		if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7F || r == 0xFFFD }) {
			return "it holds control characters or is not UTF-8"
		}
	}
	if value == "" {
		return "it names no server"
	}
	return ""
}

// keyKind is what a format of query_key gives.
type keyKind int

const (
	fullKey keyKind = iota
	localKey
	domainKey
	atDomainKey
	constantKey
	otherKey
)

// kindOfKey sorts a format.
func kindOfKey(format string) keyKind {
	switch format {
	case `\U`, `\u\D\d`:
		return fullKey
	case `\u`:
		return localKey
	case `\d`:
		return domainKey
	case `\D\d`:
		return atDomainKey
	}
	if !strings.Contains(format, `\`) && format != "" {
		return constantKey
	}
	return otherKey
}

// queryKeys converts query_key.
func (c *perditionConverter) queryKeys(i *instance) {
	c.keys = []string{`\U`}
	u := i.one("query_key")
	if u == nil || u.value == "" {
		return
	}
	c.keys = strings.Split(u.value, ",")
	for n, format := range c.keys {
		switch kind := kindOfKey(format); {
		case kind == otherKey && strings.ContainsAny(format, "iIpP"):
			c.refuse(u.at, "%q: the addresses of a connection do not choose its backend", format)
			return
		case kind == otherKey:
			c.refuse(u.at, `%q: imapproxy looks up \U, \u, \d, \D\d and constant keys`, format)
			return
		case kind == constantKey && n < len(c.keys)-1:
			c.refuse(u.at, "%q is a constant key and not the last one: what follows it matters only when the "+
				"map lacks it", format)
			return
		}
	}
	if len(c.delimiter) > 1 && slices.ContainsFunc(c.keys, func(k string) bool { return strings.Contains(k, `\d`) }) {
		c.note(u.at, Differs,
			`perdition's \d keeps all but the first character of the delimiter %q; imapproxy's domain begins after it`,
			c.delimiter)
		return
	}
	c.done(u, "the order in which the map is asked")
}

// key makes the key that a format stands for, as getserver.c does.
func (c *perditionConverter) key(format, user string) string {
	local, domain := user, ""
	if at := strings.LastIndex(user, c.delimiter); at >= 0 {
		local, domain = user[:at], user[at+1:]
	}
	return strings.NewReplacer(`\U`, user, `\u`, local, `\D`, c.delimiter, `\d`, domain, `\\`, `\`).Replace(format)
}

// mapField writes a name for a map file, quoted when it has to be.
func mapField(s string) string {
	plain := !strings.ContainsAny(s, " \t\"#*") && !strings.HasPrefix(s, "@") && !strings.HasPrefix(s, "/") &&
		!strings.HasSuffix(s, ":") && s != ""
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// where returns how a map names a backend: by its address, or by a target's name
// where it is not spoken to as the others are.
func (c *perditionConverter) where(at *statement, address, port string) (string, bool) {
	if c.ownListener(address) {
		c.refuse(at, loops, address)
		return "", false
	}
	switch mode := c.modeFor(port); mode {
	case "":
		c.refuse(at, contradiction, address)
		return "", false
	case c.mode:
		c.allowed(address)
		return address, true
	default:
		return c.own(address, mode), true
	}
}

// result returns an entry's right side: [user@]host:port, or the target of
// outgoing_server when it names no server.
func (c *perditionConverter) result(e *mapEntry) (string, bool) {
	where := outgoingTarget
	if e.host != "" {
		address, good := c.address(e.host, e.port)
		if !good {
			c.refuse(e.at, "%q is not host[:port]", e.host+":"+e.port)
			return "", false
		}
		if where, good = c.where(e.at, address, e.port); !good {
			return "", false
		}
	} else if len(c.outgoing) == 0 {
		c.refuse(e.at, "it names no server, and there is no outgoing_server")
		return "", false
	}
	if user := e.user; user != "" && c.dbUser {
		where = c.login.apply(user) + "@" + where
	}
	return strings.ReplaceAll(where, "$", "$$"), true
}

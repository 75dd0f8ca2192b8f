package convert

import (
	"net"
	"slices"
	"strings"
)

// old answers as perdition does for a user.
func (c *perditionConverter) old(user string) Answer {
	login := user
	result, found := c.oldLookup(c.lookup.apply(user))
	var host, port string
	if found {
		var named string
		named, host, port = serverPort(result, c.delimiter)
		if c.dbUser && named != "" {
			login = named
		}
	}
	a := Answer{User: c.login.apply(login)}
	switch {
	case host != "":
		if port == "" {
			port = c.port
		}
		if n := portNumber(port); n != "" {
			port = n
		}
		a.Backends = []string{net.JoinHostPort(host, port)}
	case len(c.outgoing) > 0:
		a.Backends = slices.Clone(c.outgoing)
	default:
		a.Refused = "perdition could not determine a server"
	}
	return a
}

// oldLookup asks the map for each key of query_key in turn.
func (c *perditionConverter) oldLookup(user string) (string, bool) {
	if !c.hasMap {
		return "", false
	}
	for _, format := range c.keys {
		key := c.key(format, user)
		for _, r := range c.mapRules {
			if m := r.posix.FindStringSubmatchIndex(key); m != nil {
				return r.old(key, m)
			}
		}
		if at, ok := c.byKey[key]; ok {
			return c.mapEntries[at].value(c.delimiter), true
		}
	}
	return "", false
}

// value is the entry's right side as perdition reads it.
func (e *mapEntry) value(delimiter string) string {
	host := e.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if e.port != "" {
		host += ":" + e.port
	}
	if e.user != "" {
		return e.user + delimiter + host
	}
	return host
}

// old replaces as perditiondb_posix_regex.c does: the text before the match
// stays, the text after it goes, $0 to $9 are groups that took part. After a
// match of nothing the next character comes along, and at the end of the name
// such a match finds no server at all.
func (r *regexRule) old(key string, m []int) (string, bool) {
	if m[0] == m[1] && m[0] == len(key) {
		return "", false
	}
	var b strings.Builder
	b.WriteString(key[:m[0]])
	for i := 0; i < len(r.result); i++ {
		c := r.result[i]
		if c == '$' && i+1 < len(r.result) && r.result[i+1] >= '0' && r.result[i+1] <= '9' {
			n := int(r.result[i+1] - '0')
			if 2*n < len(m) && m[2*n] >= 0 {
				b.WriteString(key[m[2*n]:m[2*n+1]])
				i++
				continue
			}
		}
		b.WriteByte(c)
	}
	if m[0] == m[1] {
		b.WriteByte(key[m[0]])
	}
	return b.String(), true
}

package convert

import (
	"net"
	"strings"
)

// mangle rewrites a user name in perdition's order: strip the domain, add the
// domain, lower-case (username.c).
type mangle struct {
	strip, lower bool
	add          string
	delimiter    string
	from         []setting
}

func (m mangle) apply(user string) string {
	if i := strings.LastIndex(user, m.delimiter); m.strip && i >= 0 {
		user = user[:i]
	}
	if m.add != "" && !strings.Contains(user, m.delimiter) {
		user += m.delimiter + m.add
	}
	if m.lower {
		user = lowerLetters(user)
	}
	return user
}

// lowerLetters lower-cases only A to Z, as perdition does in the C locale.
func lowerLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// perditionStates maps the words of a STATE list; "all" is each of them.
var perditionStates = map[string]string{
	"servername_lookup": "lookup", "server_lookup": "lookup", "local_authentication": "auth", "local_auth": "auth",
	"remote_login": "login",
}

// states reads the lists of an option that is given once or more.
func (c *perditionConverter) states(uses []*use) (states map[string]*use, depth string) {
	states = map[string]*use{}
	for _, u := range uses {
		for word := range strings.SplitSeq(u.value, ",") {
			word = strings.ToLower(word)
			state, known := perditionStates[word]
			switch {
			case word == "all":
				states["lookup"], states["auth"], states["login"] = u, u, u
			case known:
				states[state] = u
			case u.option.long == "add_domain" && strings.Trim(word, "0123456789") == "" && word != "":
				depth = word
			default:
				c.refuse(u.at, "unknown state %q: perdition takes servername_lookup, local_authentication, "+
					"remote_login, all", word)
			}
		}
	}
	return states, depth
}

// names converts what perdition does to user names.
func (c *perditionConverter) names(i *instance) {
	c.delimiter = "@"
	delimiter := i.one("domain_delimiter")
	if delimiter != nil {
		if delimiter.value == "" {
			c.refuse(delimiter.at, "it is empty")
			return
		}
		c.delimiter = delimiter.value
		c.done(delimiter, "delimiter of [rewrite]")
	}
	c.lookup.delimiter, c.login.delimiter = c.delimiter, c.delimiter
	domain := i.one("explicit_domain")
	steps := map[string]*mangle{"lookup": &c.lookup, "login": &c.login, "auth": {}}
	strip, _ := c.states(i.settings["strip_domain"])
	add, _ := c.states(i.settings["add_domain"])
	lower, _ := c.states(i.settings["lower_case"])
	for state, m := range steps {
		if u := strip[state]; u != nil {
			m.strip = true
			m.from = append(m.from, setting{"strip_domain", "true", u.from()})
		}
		if u := add[state]; u != nil && domain != nil {
			m.add = domain.value
			m.from = append(m.from, setting{"add_domain", text(domain.value), u.from()})
		}
		if u := lower[state]; u != nil {
			m.lower = true
			m.from = append(m.from, setting{"lower_case", "true", u.from()})
		}
		if c.delimiter != "@" && len(m.from) > 0 {
			m.from = append(m.from, setting{"delimiter", text(c.delimiter), delimiter.from()})
		}
	}
	c.nameNotes(i, domain, add)
}

// nameNotes says what became of the options of names.
func (c *perditionConverter) nameNotes(i *instance, domain *use, add map[string]*use) {
	for _, long := range []string{"strip_domain", "add_domain", "lower_case"} {
		for _, u := range i.settings[long] {
			if strings.EqualFold(u.value, "local_authentication") || strings.EqualFold(u.value, "local_auth") {
				c.note(u.at, NotNeeded, "perdition authenticates no user itself here")
				continue
			}
			c.done(u, "%s of [rewrite]: servername_lookup is its lookup, remote_login its backend", long)
		}
	}
	if domain == nil {
		for _, u := range add {
			c.refuse(u.at, "without explicit_domain the domain comes from the name of this machine's address in "+
				"DNS: write explicit_domain")
		}
		return
	}
	if len(add) == 0 {
		c.note(domain.at, NotNeeded, "there is no add_domain")
		return
	}
	c.done(domain, "add_domain of [rewrite]")
}

// namedPorts are the services that perdition's options may name.
var namedPorts = map[string]string{"imap": "143", "imap2": "143", "imap4": "143", "imaps": "993", "imap4s": "993",
	"imap3": "220"}

// portNumber returns a port as a number; "" when it is none.
func portNumber(port string) string {
	if n, err := parseNginxNumber(port); err == nil && n > 0 && n < 1<<16 {
		return number(n)
	}
	return namedPorts[strings.ToLower(port)]
}

// serverPort takes [user<delimiter>]server[:port] apart as perdition does: the
// port after the last colon, the user before the last delimiter.
func serverPort(value, delimiter string) (user, host, port string) {
	host = value
	if end := strings.LastIndexByte(host, ']'); end >= 0 && strings.IndexByte(host, '[') >= 0 &&
		end-strings.IndexByte(host, '[') > 1 {
		port = strings.TrimPrefix(host[end+1:], ":")
		host = host[:end+1]
	} else if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host, port = host[:i], host[i+1:]
	}
	if i := strings.LastIndex(host, delimiter); i >= 0 {
		user, host = host[:i], host[i+len(delimiter):]
	}
	return user, strings.Trim(host, "[]"), port
}

// address joins a host with its port or the default one.
func (c *perditionConverter) address(host, port string) (string, bool) {
	if port == "" {
		port, c.portless = c.port, true
	}
	n := portNumber(port)
	return net.JoinHostPort(host, n), n != "" && host != "" && !strings.ContainsAny(host, " \t\"")
}

// outgoingServers reads the entries of outgoing_server.
func (c *perditionConverter) outgoingServers(u *use) bool {
	for n, entry := range strings.Split(u.value, ",") {
		user, host, port := serverPort(strings.TrimSpace(entry), c.delimiter)
		address, good := c.address(host, port)
		mode := c.modeFor(port)
		if n == 0 && mode != "" {
			c.mode = mode
		}
		switch {
		case !good || user != "":
			c.refuse(u.at, "%q is not host[:port]", entry)
			return false
		case mode == "":
			c.refuse(u.at, contradiction, address)
			return false
		case mode != c.mode:
			c.refuse(u.at, "the first server is spoken to with tls %s and %s with tls %s: one target can't do both",
				c.mode, address, mode)
			return false
		}
		c.outgoing = append(c.outgoing, address)
	}
	return true
}

// backends converts outgoing_server and who judges passwords.
func (c *perditionConverter) backends(i *instance) {
	if u := i.one("outgoing_server"); u != nil {
		if !c.outgoingServers(u) {
			return
		}
		c.done(u, `the target "outgoing"`)
		if len(c.outgoing) > 1 {
			c.note(u.at, Differs,
				"imapproxy takes the first address that can be reached; perdition takes them in turn and fails at "+
					"one that is down")
		}
	}
	if u := i.one("authenticate_in"); u != nil {
		c.refuse(u.at, "imapproxy has no PAM: remove the line to let the backend judge the password, which it does "+
			"in any case")
	}
	if u := i.one("client_server_specification"); u != nil {
		c.refuse(u.at, "a client does not choose its backend: that is an open relay for passwords")
	}
	if u := i.one("login_disabled"); u != nil {
		c.refuse(u.at, "there is no proxy whose every login is refused: stop it instead")
	}
}

package convert

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
)

// outgoingTarget is the target that outgoing_server becomes.
const outgoingTarget = "outgoing"

// mapName is the file of the converted map.
const mapName = "map"

// sessionLimits converts the timeouts and the number of connections.
func (c *perditionConverter) sessionLimits(i *instance) {
	for _, t := range []struct{ long, key string }{{"authenticate_timeout", "login_timeout"},
		{"timeout", "session_idle_timeout"}} {
		u := i.one(t.long)
		if u == nil {
			continue
		}
		n, good := c.number(u)
		if !good {
			return
		}
		d, bounds := time.Duration(n)*time.Second, spanBoundsOf("limits."+t.key)
		if n == 0 { // perdition waits for ever
			d = bounds.Most
			c.note(u.at, Differs, "there is always a limit: %s", short(d))
		}
		d, note := clampSpan(d, bounds)
		if note != "" {
			c.note(u.at, Differs, "%s", note)
		}
		c.limits = append(c.limits, setting{t.key, span(d), u.from()})
		c.done(u, "%s = %s", t.key, span(d))
	}
	if u := i.one("connection_limit"); u != nil {
		n, good := c.number(u)
		switch {
		case good && n == 0:
			c.note(u.at, Differs, "there is always a limit: limits.sessions, %d",
				countBoundsOf("limits.sessions").Default)
		case good:
			n = min(n*len(c.instances), countBoundsOf("limits.sessions").Most) // each instance counted for itself
			c.limits = append(c.limits, setting{"sessions", number(n), u.from()})
			c.done(u, "sessions = %d, for all listeners together", n)
		}
	}
}

// texts notes the options about what is said and logged.
func (c *perditionConverter) texts(i *instance) {
	if u := i.one("ok_line"); u != nil {
		c.note(u.at, Differs, "clients read the backend's own answer to the login, with its capabilities")
	}
	if u := i.one("connect_relog"); u != nil {
		c.note(u.at, Differs, "a session is logged once, at its end; `imapproxy sessions` lists those that run")
	}
	if u := i.one("log_passwd"); u != nil {
		switch strings.ToLower(u.value) {
		case "never":
			c.done(u, "passwords are never logged")
		case "fail", "ok", "always":
			c.note(u.at, Differs, "passwords are never logged")
		default:
			c.refuse(u.at, "unknown mode %q", u.value)
		}
	}
}

// syslogFacility is a facility's name.
var syslogFacility = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// logging converts log_facility and debug.
func (c *perditionConverter) logging(i *instance) {
	if u := i.one("debug"); u != nil {
		c.log = append(c.log, setting{"level", text("debug"), u.from()})
		c.done(u, "log.level")
	}
	u := i.one("log_facility")
	if u == nil {
		return
	}
	switch {
	case u.value == "+":
		c.done(u, "standard error, where imapproxy logs anyway")
	case u.value == "-":
		c.note(u.at, Differs, "imapproxy logs to standard error, not to standard output")
	case strings.HasPrefix(u.value, "/"):
		c.log = append(c.log, setting{"file", text(u.value), u.from()})
		c.done(u, "log.file")
	case syslogFacility.MatchString(u.value):
		c.log = append(c.log,
			setting{"syslog", text("server=unix:/dev/log,facility=" + u.value + ",tag=imapproxy"), u.from()})
		c.done(u, "log.syslog")
	default:
		c.refuse(u.at, "unknown facility %q", u.value)
	}
}

// allowed remembers an address that the map names.
func (c *perditionConverter) allowed(address string) { c.allow[address] = true }

// write writes the configuration and its map.
func (c *perditionConverter) write() (string, []File) {
	var d document
	d.comment(fmt.Sprintf("imapproxy's configuration, converted from %s by \"imapproxy convert perdition\".", c.name))
	d.comment("The names in brackets say which line each setting came from.")
	if len(c.stays) > 0 {
		d.comment("Still with perdition: " + strings.Join(c.stays, ", ") + ".")
	}
	d.section("[log]", c.log)
	names := map[string]bool{}
	for _, i := range c.instances {
		for _, address := range i.listens {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				continue
			}
			name := listenerName(&listen{implicit: i.tls == "implicit", ports: port}, names)
			from := ""
			if u := i.one("bind_address"); u != nil {
				from = u.from()
			} else if u := i.one("listen_port"); u != nil {
				from = u.from()
			}
			d.section("[[listener]]",
				append([]setting{{"name", text(name), ""}, {"address", text(address), from}}, i.keys...))
		}
	}
	d.section("[limits]", c.limits)
	d.section("[auth]", []setting{{"type", text("passthrough"), "the backend judges, as with perdition"}})
	d.section("[rewrite.lookup]", c.lookupKeys())
	d.section("[rewrite.backend]", c.login.from)
	lines := c.mapLines()
	return d.b.String() + c.route(lines), mapFiles(lines)
}

// lookupKeys are [rewrite.lookup]: \u as the only query_key strips the domain too.
func (c *perditionConverter) lookupKeys() []setting {
	keys := slices.Clone(c.lookup.from)
	if len(c.keys) == 1 && kindOfKey(c.keys[0]) == localKey && !c.lookup.strip {
		keys = append([]setting{{"strip_domain", "true", "query_key"}}, keys...)
		if c.delimiter != "@" && len(c.lookup.from) == 0 {
			keys = append(keys, setting{"delimiter", text(c.delimiter), "domain_delimiter"})
		}
	}
	return keys
}

// route writes [route] and the target.
func (c *perditionConverter) route(lines []string) string {
	var d document
	allow := append(slices.Sorted(maps.Keys(c.allow)), c.options.Backends...)
	name, addresses := outgoingTarget, c.outgoing
	if len(addresses) == 0 {
		name = "backend"
		if len(allow) > 0 {
			addresses = []string{someBackend(allow[0])}
		}
	}
	if len(lines) == 0 {
		d.section("[route]", []setting{{"type", text("fixed"), ""}, {"target", text(name), "outgoing_server"}})
	} else {
		route := []setting{{"type", text("map"), ""}, {"file", text(mapName), ""}}
		if len(allow) > 0 {
			route = append(route, setting{"allow", list(allow), "what the map names"},
				setting{"template", text(name), ""})
		}
		d.section("[route]", route)
	}
	from := ""
	if name == "backend" {
		from = "a placeholder: the map names the backends"
	}
	d.section("[[target]]",
		append([]setting{{"name", text(name), ""}, {"addresses", list(addresses), from}}, c.targetKeys...))
	return d.b.String()
}

// mapFiles is the map, when there is one.
func mapFiles(lines []string) []File {
	if len(lines) == 0 {
		return nil
	}
	return []File{{mapName,
		"# converted from perdition's map by \"imapproxy convert perdition\"\n" + strings.Join(lines, "\n") + "\n"}}
}

// mapLines writes the rules of the map, with outgoing_server for everybody else.
func (c *perditionConverter) mapLines() []string {
	if !c.hasMap {
		return nil
	}
	var lines []string
	for i := range c.mapRules {
		if line, good := c.mapRule(&c.mapRules[i]); good {
			lines = append(lines, line)
		}
	}
	lines = append(lines, c.entryLines()...)
	constant := c.constantLine()
	switch {
	case constant != "":
		lines = append(lines, "*  "+constant)
	case len(c.outgoing) > 0:
		lines = append(lines, "*  "+outgoingTarget)
	}
	return lines
}

// constantLine is the result of a constant key at the end of query_key.
func (c *perditionConverter) constantLine() string {
	last := c.keys[len(c.keys)-1]
	at, ok := c.byKey[last]
	if kindOfKey(last) != constantKey || !ok {
		return ""
	}
	result, _ := c.result(&c.mapEntries[at])
	return result
}

// inOrder reports whether imapproxy's own order, exact names and then domains, is
// that of query_key.
func (c *perditionConverter) inOrder() bool {
	highest := keyKind(0)
	for n, format := range c.keys {
		kind := kindOfKey(format)
		if kind < highest || kind == localKey && (n > 0 || len(c.keys) > 1) {
			return false
		}
		highest = kind
	}
	return true
}

// entryLines writes the entries of an exact map.
func (c *perditionConverter) entryLines() []string {
	var lines []string
	natural := c.inOrder()
	for _, format := range c.keys {
		for i := range c.mapEntries {
			e := &c.mapEntries[i]
			result, good := c.result(e)
			if !good {
				continue
			}
			if key := c.entryKey(kindOfKey(format), e.key, natural); key != "" {
				lines = append(lines, key+"  "+mapField(result))
			}
		}
	}
	return lines
}

// entryKey writes the left side for an entry that is looked up in one way; ""
// when no name can lead to it.
func (c *perditionConverter) entryKey(kind keyKind, key string, natural bool) string {
	delimiter := regexp.QuoteMeta(c.delimiter)
	pattern := func(s string) string { return "/" + strings.ReplaceAll(s, "/", `\/`) + "/" }
	local := !strings.Contains(key, c.delimiter)
	domain, isDomain := key, local
	if kind == atDomainKey {
		domain, isDomain = strings.CutPrefix(key, c.delimiter)
	}
	switch {
	case kind == fullKey, kind == localKey && natural && local:
		return mapField(key)
	case kind == localKey && local:
		return pattern("^" + regexp.QuoteMeta(key) + "(" + delimiter + "[^" + regexp.QuoteMeta(c.delimiter) + "]*)?$")
	case (kind == domainKey || kind == atDomainKey) && isDomain && domain != "":
		if natural {
			return "@" + domain
		}
		return pattern(delimiter + regexp.QuoteMeta(domain) + "$")
	}
	return ""
}

package convert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"imapproxy/backend/route"
	"imapproxy/cmd/imapproxy/config"
)

// anyBackend is what the auth service may name unless more is said: every
// unicast address, and this machine, which takes entries of its own. What
// package route never permits by so wide an entry stays out.
var anyBackend = []string{"0.0.0.0/0:*", "[::/0]:*", "127.0.0.0/8:*", "[::1]:*"}

// anyBackendText is the comment of anyBackend, with what stays out by number.
func anyBackendText() string {
	var out []string
	for _, p := range route.NarrowOnly() {
		switch {
		case p.Addr().IsLoopback():
		case p.IsSingleIP():
			out = append(out, p.Addr().String())
		default:
			out = append(out, p.String())
		}
	}
	return "as with nginx, Auth-Server may name any server: narrow this to your backends. Cloud metadata services, " +
		"link-local addresses and IPv4 addresses within IPv6 are left out, unless an entry is as narrow as they " +
		"are: " + strings.Join(out, ", ")
}

// finish brings together what holds for all servers.
func (c *nginxConverter) finish() {
	if len(c.servers) == 0 {
		for _, s := range c.top {
			c.note(s, NotNeeded, "there is no IMAP server")
		}
		return
	}
	first := c.servers[0]
	for _, s := range c.servers[1:] {
		if s.login.value != first.login.value {
			s.keys = append(s.keys, s.login)
		}
		if s.errors.value != first.errors.value {
			s.keys = append(s.keys, s.errors)
		}
		if s.header.value != first.header.value {
			c.refuse(s.block, "proxy_protocol is %s here and %s in the first IMAP server: imapproxy has one "+
				"[route.backend] for what the auth service names; convert the servers apart",
				s.header.value, first.header.value)
		}
		if !sameKeys(s.tls, first.tls) {
			c.refuse(s.block, "proxy_ssl is not the one of the first IMAP server: imapproxy has one "+
				"[route.backend] for what the auth service names; convert the servers apart")
		}
		if name := s.one("server_name"); name != nil && s.name.is() && s.name.value != first.name.value {
			c.note(name, Differs, "left out: hostname is one for all listeners, the first IMAP server's")
		}
	}
	for _, s := range c.top {
		switch s.name {
		case "worker_shutdown_timeout":
			if d, good := c.span(s, spanBoundsOf("limits.drain_timeout")); good {
				c.note(s, Converted, "drain_timeout and retire_timeout = %s", span(d))
			}
		case "error_log":
			if _, noted := c.findings[s]; !noted {
				c.note(s, NotNeeded, "mail{} has its own")
			}
		}
	}
}

// write writes the configuration.
func (c *nginxConverter) write() string {
	var d document
	d.comment(fmt.Sprintf("imapproxy's configuration, converted from %s by \"imapproxy convert nginx\".", c.name))
	d.comment("The names in brackets say which line each setting came from.")
	if len(c.stays) > 0 {
		d.comment("Still with nginx: " + strings.Join(c.stays, "; ") + ".")
	}
	first := c.servers[0]
	if first.name.is() {
		d.section("", []setting{first.name})
	}
	names := c.listenerNames()
	c.writeLog(&d, names)
	for i, s := range c.servers {
		for j, l := range s.listens {
			d.section("[[listener]]",
				append([]setting{{"name", text(names[i][j]), ""},
					{"address", text(l.address()), l.comment()}}, s.listenerKeys(&l)...))
			if i > 0 && !sameKeys(s.auth, first.auth) {
				d.section("[listener.auth]", s.auth)
			}
		}
	}
	d.section("[limits]", c.limits(first))
	d.section("[auth]", []setting{{"type", text("http"), ""}})
	d.section("[auth.http]", first.auth)
	c.writeRoute(&d, first)
	return d.b.String()
}

// comment names the listen directives of a listener.
func (l *listen) comment() string {
	if l.also != nil {
		return fmt.Sprintf("listen (%s and %d)", l.from.place(), l.also.line)
	}
	return l.from.from()
}

// listenerKeys joins the keys of an address with those of its server.
func (s *draft) listenerKeys(l *listen) []setting {
	off, proxied := false, false
	for _, k := range l.keys {
		off = off || k.key == "tls" && k.value == text("off")
		proxied = proxied || k.key == "proxy_protocol"
	}
	keys := append([]setting(nil), l.keys...)
	for _, k := range s.keys {
		if off && config.IsTLSKey(k.key) || !proxied && strings.HasPrefix(k.key, "proxy_") {
			continue
		}
		keys = append(keys, k)
	}
	return keys
}

// listenerName names a listener after what it does, and makes it different
// from those before.
func listenerName(l *listen, taken map[string]bool) string {
	base := "imap"
	if l.implicit {
		base = "imaps"
	}
	name := base
	if taken[name] && l.ports != "" {
		name = base + "-" + l.ports
	}
	for n := 2; taken[name]; n++ {
		name = base + "-" + strconv.Itoa(n)
	}
	taken[name] = true
	return name
}

// limits writes what is not imapproxy's default anyway.
func (c *nginxConverter) limits(first *draft) []setting {
	var limits []setting
	if first.login.from != "" {
		limits = append(limits, first.login)
	}
	limits = append(limits, first.errors)
	for _, s := range c.top {
		if s.name != "worker_shutdown_timeout" {
			continue
		}
		if d, err := parseNginxTime(s.args[0]); err == nil {
			d, _ = clampSpan(d, spanBoundsOf("limits.drain_timeout"))
			limits = append(limits, setting{"drain_timeout", span(d), s.from()},
				setting{"retire_timeout", span(d), s.from()})
		}
	}
	if n, from := c.sessions(); n > countBoundsOf("limits.sessions").Default {
		limits = append(limits, setting{"sessions", number(n), from.from()})
	}
	return limits
}

// sessions is how many sessions nginx had room for: each takes two of a
// worker's connections. "auto" workers count as one.
func (c *nginxConverter) sessions() (int, *statement) {
	workers, connections := 1, 0
	var from *statement
	for _, s := range c.top {
		if len(s.args) != 1 {
			continue
		}
		n, err := strconv.Atoi(s.args[0])
		switch {
		case err != nil || n < 1 || n > countBoundsOf("limits.sessions").Most:
		case s.name == "worker_processes":
			workers = n
		case s.name == "worker_connections":
			connections, from = n, s
		}
	}
	return min(workers*connections/2, countBoundsOf("limits.sessions").Most), from
}

// writeRoute writes where users belong: the auth service says it.
func (c *nginxConverter) writeRoute(d *document, first *draft) {
	allow, why := c.options.Backends, "the backends that Auth-Server may name"
	if len(allow) == 0 {
		allow, why = anyBackend, anyBackendText()
	}
	d.section("[route]", []setting{{"type", text("auth"), "Auth-Server and Auth-Port"}, {"allow", list(allow), why}})
	settings := append(slices.Clone(first.tls),
		setting{"mechanism", text("literals"), "nginx's only way; better \"auto\""},
		setting{"forward_id", "false", "nginx sends no ID; true tells the backend the client's address"})
	settings = append(settings, first.backendSpans()...)
	if first.header.from != "" {
		settings = append(settings, first.header)
	}
	d.section("[route.backend]", settings)
}

// warnAnyBackend says, for each auth service, which line of the result lets it
// name any backend.
func (c *nginxConverter) warnAnyBackend(config string) {
	before, _, _ := strings.Cut(config, "\nallow = ")
	line := strings.Count(before, "\n") + 2
	for _, s := range c.servers {
		if from := s.one("auth_http"); from != nil && len(s.auth) > 0 {
			c.note(from, Differs, "url = %s; as with nginx, it may name any server except link-local addresses, cloud "+
				"metadata services and IPv4 addresses within IPv6: narrow allow, line %d of the result, to your "+
				"backends, or name them with --backend", s.auth[0].value, line)
		}
	}
}

// backendSpans is what nginx's timeout says of a backend: one span for the
// connect, the greeting and the login. A connect that takes longer than
// imapproxy's default fails anyway.
func (s *draft) backendSpans() []setting {
	greeting := spanBoundsOf("target.greeting_timeout")
	d, from := max(s.loginSpan(), greeting.Least), "timeout holds for the backend too"
	if s.login.from == "" {
		from = "nginx's default of timeout holds for the backend too"
	}
	var spans []setting
	if d < spanBoundsOf("target.connect_timeout").Default {
		spans = append(spans, setting{"connect_timeout", span(d), from})
	}
	return append(spans,
		setting{"greeting_timeout", span(min(d, greeting.Most)), from},
		setting{"login_timeout", span(min(d, spanBoundsOf("target.login_timeout").Most)), from})
}

// loginSpan is login_timeout as a duration.
func (s *draft) loginSpan() time.Duration {
	d, err := time.ParseDuration(strings.Trim(s.login.value, `"`))
	if err != nil {
		return time.Minute
	}
	return d
}

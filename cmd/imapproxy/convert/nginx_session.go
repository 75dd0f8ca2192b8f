package convert

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"imapproxy/cmd/imapproxy/config"
)

// realIP converts set_real_ip_from.
func (c *nginxConverter) realIP(s *draft) {
	var trusted []string
	all := s.of("set_real_ip_from")
	for _, from := range all {
		value := from.args[0]
		prefix, prefixErr := netip.ParsePrefix(value)
		addr, addrErr := netip.ParseAddr(value)
		switch {
		case prefixErr != nil && addrErr != nil && value != "unix:":
			c.refuse(from, "%q is neither an address nor a network: nginx asks for a name's address once at its "+
				"start, imapproxy wants it written", value)
			return
		case addr.Zone() != "" || addr.Is4In6() || prefix.Addr().Is4In6():
			c.refuse(from, "%q has a zone, or an IPv4 address within IPv6: write the plain address", value)
			return
		case prefix.IsValid() && prefix != prefix.Masked():
			value = prefix.Masked().String() // as nginx takes it, with a warning
		}
		trusted = append(trusted, value)
		c.note(from, Converted, "proxy_trusted")
	}
	if len(trusted) > 0 {
		s.add("proxy_trusted", list(trusted), all[0])
	}
	s.keys = append(s.keys,
		setting{"proxy_untrusted", text("ignore"),
			"as nginx does; \"refuse\" closes connections that do not come from proxy_trusted"})
}

// imapMechanisms maps the words of imap_auth.
var imapMechanisms = map[string]string{
	"plain": "PLAIN", "login": "LOGIN", "cram-md5": "CRAM-MD5", "external": "EXTERNAL", "xoauth2": "XOAUTH2",
	"oauthbearer": "OAUTHBEARER",
}

// imap converts what nginx says to clients before the login.
func (c *nginxConverter) imap(s *draft) {
	s.keys = append(s.keys, setting{"nginx_compat", "true", "nginx's semantics and texts"})
	c.capabilities(s)
	c.mechanisms(s)
	from := s.one("server_name")
	switch {
	case from == nil:
	case !config.IsHostName(from.args[0]):
		c.note(from, Differs, "left out: %q is not a host name, which nginx needs only for CRAM-MD5", from.args[0])
	default:
		s.name = setting{"hostname", text(from.args[0]), from.from()}
		c.note(from, Converted, "hostname")
	}
}

// capabilities converts imap_capabilities. What imapproxy adds itself, where it
// holds, is left out.
func (c *nginxConverter) capabilities(s *draft) {
	var capabilities []string
	all := s.of("imap_capabilities")
	for _, from := range all {
		var added []string
		for _, word := range from.args {
			switch {
			case config.IsAddedCapability(word):
				added = append(added, word)
			case !config.IsCapability(word):
				c.refuse(from, "%q can't be a capability: write each as a word of its own, such as IDLE or LITERAL+",
					word)
			default:
				capabilities = append(capabilities, word)
			}
		}
		c.note(from, Converted, "capabilities; after the login clients get the backend's own")
		if len(added) > 0 {
			c.note(from, Differs, "%s: left out: AUTH= words come by imap_auth, STARTTLS and LOGINDISABLED by "+
				"starttls, each where it holds", strings.Join(added, " "))
		}
	}
	if len(capabilities) > 0 {
		s.add("capabilities", list(capabilities), all[0])
	}
}

// mechanisms converts imap_auth, which may stand more than once and adds up.
func (c *nginxConverter) mechanisms(s *draft) {
	var mechanisms []string
	all := s.of("imap_auth")
	for _, from := range all {
		for _, word := range from.args {
			mechanism, ok := imapMechanisms[strings.ToLower(word)]
			switch {
			case strings.EqualFold(word, "gssapi"):
				c.note(from, Differs, "gssapi is left out: imapproxy does not have it")
				continue
			case !ok:
				c.refuse(from, "invalid value %q: nginx takes plain, login, cram-md5, external", word)
				return
			case !slices.Contains(mechanisms, mechanism):
				mechanisms = append(mechanisms, mechanism)
			}
			c.note(from, Converted, "mechanisms")
		}
	}
	switch {
	case len(all) == 0:
	case len(mechanisms) == 0:
		c.refuse(all[0], "imapproxy has none of these mechanisms: it has plain, login, cram-md5, external")
	default:
		s.add("mechanisms", list(mechanisms), all[0])
	}
}

// timeouts converts timeout, proxy_timeout and max_errors.
func (c *nginxConverter) timeouts(s *draft) {
	s.login = setting{"login_timeout", text("60s"), ""}
	if from := s.one("timeout"); from != nil {
		if d, good := c.span(from, spanBoundsOf("limits.login_timeout")); good {
			s.login = setting{"login_timeout", span(d), from.from()}
			c.note(from, Converted, "login_timeout: from accepted to logged in")
		}
	}
	if from := s.one("proxy_timeout"); from != nil {
		if d, good := c.span(from, spanBoundsOf("listener.client_idle_timeout")); good {
			s.add("client_idle_timeout", span(d), from)
			c.note(from, Converted, "client_idle_timeout: the client's silence after the login")
		}
	}
	s.errors = setting{"bad_commands", "5", "nginx's default of max_errors"}
	if from := s.one("max_errors"); from != nil {
		most := countBoundsOf("limits.bad_commands").Most
		n, err := parseNginxNumber(from.args[0])
		switch {
		case err != nil || n == 0:
			c.refuse(from, "invalid number %q", from.args[0])
		case n > most:
			s.errors = setting{"bad_commands", number(most), from.from()}
			c.note(from, Differs, "bad_commands is lowered to %d, the most imapproxy takes", most)
		default:
			s.errors = setting{"bad_commands", number(n), from.from()}
			c.note(from, Converted, "bad_commands")
		}
	}
	if from := s.one("max_commands"); from != nil {
		if _, err := parseNginxNumber(from.args[0]); err != nil {
			c.refuse(from, "%v", err)
			return
		}
		c.note(from, Differs, "left out: login_timeout ends a client that sends commands and does not log in")
	}
}

// span reads a time and brings it within bounds.
func (c *nginxConverter) span(from *statement, b spanBounds) (time.Duration, bool) {
	d, err := parseNginxTime(from.args[0])
	if err != nil {
		c.refuse(from, "%v", err)
		return 0, false
	}
	d, note := clampSpan(d, b)
	if note != "" {
		c.note(from, Differs, "%s", note)
	}
	return d, true
}

// commandLimit is what imapproxy takes of one command before the login.
const commandLimit = 8 << 10

// buffers looks at the sizes of nginx's buffers.
func (c *nginxConverter) buffers(s *draft) {
	if from := s.one("imap_client_buffer"); from != nil {
		n, err := parseNginxSize(from.args[0])
		switch {
		case err != nil:
			c.refuse(from, "%v", err)
		case n > commandLimit:
			c.note(from, Differs, "a line before the login may have 8 KiB, a SASL line 20 KiB, ID 40 KiB")
		default:
			c.note(from, NotNeeded, "a line before the login may have 8 KiB")
		}
	}
	if from := s.one("proxy_buffer"); from != nil {
		if _, err := parseNginxSize(from.args[0]); err != nil {
			c.refuse(from, "%v", err)
			return
		}
		c.note(from, NotNeeded, "the relay's buffers need no tuning")
	}
}

// backendSide converts what nginx does towards the backend.
func (c *nginxConverter) backendSide(s *draft) {
	s.header = setting{"proxy_header", text("off"), ""}
	if from := s.one("proxy_protocol"); from != nil {
		word, good := c.oneOf(from, from.args[0], "off", "on", "v2")
		switch {
		case good && word == "off":
			c.note(from, Converted, "it is the default")
		case good:
			s.header = setting{"proxy_header", text(map[string]string{"on": "v1", "v2": "v2"}[word]), from.from()}
			c.note(from, Converted, "proxy_header = %s of route.backend", s.header.value)
		}
	}
	if from := s.one("proxy_pass_error_message"); from != nil {
		if on, good := c.flag(from); good && on {
			s.add("pass_backend_errors", "true", from)
			c.note(from, Converted, "pass_backend_errors = true")
		} else if good {
			c.note(from, Converted, "it is the default")
		}
	}
}

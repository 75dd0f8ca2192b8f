package convert

import (
	"net/netip"
	"strings"
	"time"
)

// realIP converts set_real_ip_from.
func (c *nginxConverter) realIP(s *draft) {
	var trusted []string
	all := s.of("set_real_ip_from")
	for _, from := range all {
		value := from.args[0]
		_, prefixErr := netip.ParsePrefix(value)
		_, addrErr := netip.ParseAddr(value)
		if prefixErr != nil && addrErr != nil && value != "unix:" {
			c.refuse(from, "%q is neither an address nor a network: nginx asks for a name's address once at its "+
				"start, imapproxy wants it written", value)
			return
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
	var capabilities []string
	all := s.of("imap_capabilities")
	for _, from := range all {
		capabilities = append(capabilities, from.args...)
		c.note(from, Converted, "capabilities; after the login clients get the backend's own")
	}
	if len(capabilities) > 0 {
		s.add("capabilities", list(capabilities), all[0])
	}
	if from := s.one("imap_auth"); from != nil {
		var mechanisms []string
		for _, word := range from.args {
			mechanism, ok := imapMechanisms[strings.ToLower(word)]
			if !ok {
				c.refuse(from, "invalid value %q: nginx takes plain, login, cram-md5, external", word)
				return
			}
			mechanisms = append(mechanisms, mechanism)
		}
		s.add("mechanisms", list(mechanisms), from)
		c.note(from, Converted, "mechanisms")
	}
	if from := s.one("server_name"); from != nil {
		s.name = setting{"hostname", text(from.args[0]), from.from()}
		c.note(from, Converted, "hostname")
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

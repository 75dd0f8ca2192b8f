package convert

const (
	noGSSAPI     = "it is about GSSAPI, which imapproxy does not have"
	ofLoginLimit = "it belongs to a limit on logins, which imapproxy does not have"
	ofLookup     = "it is about Zimbra's lookup, which imapproxy does not ask"
	noMemcache   = "imapproxy asks the auth service for each login and needs no memcached"
)

// zimbraDirectives are what Zimbra's nginx adds to mail{}, of its templates and
// its source.
var zimbraDirectives = map[string]nginxDirective{
	"proxy_ctimeout": {inBoth, 1, 1, false,
		"connect_timeout, greeting_timeout and login_timeout of route.backend bound the way to the backend"},
	"imap_greeting": {inMail, 1, 1, false, "no client depends on its text; the greeting is nginx's, * OK IMAP4 ready"},
	"pop3_greeting": {inMail, 1, 1, false, otherProtocol},
	"imap_id": {inBoth, 2, anyNumber, false,
		"ID before the login is answered with imapproxy's own name, after it with the backend's"},
	"imap_literalauth":                 {inMail, 1, 1, false, ""},
	"proxy_issue_pop3_xoip":            {inBoth, 1, 1, false, otherProtocol},
	"proxy_issue_imap_id":              {inBoth, 1, 1, false, ""},
	"proxy_ssl":                        {inBoth, 1, 1, false, ""},
	"default_realm":                    {inMail, 1, 1, false, noGSSAPI},
	"sasl_app_name":                    {inMail, 1, 1, false, noGSSAPI},
	"sasl_host_from_ip":                {inMail, 1, 1, false, noGSSAPI},
	"sasl_service_name":                {inServer, 1, 1, false, noGSSAPI},
	"master_auth_username":             {inBoth, 1, 1, false, noGSSAPI},
	"master_auth_password":             {inBoth, 1, 1, false, noGSSAPI},
	"mail_login_ip_max":                {inMail, 1, 1, false, ""},
	"mail_login_ip_ttl":                {inMail, 1, 1, false, ofLoginLimit},
	"mail_login_ip_rejectmsg":          {inMail, 1, 1, false, ofLoginLimit},
	"mail_login_ip_imap_max":           {inMail, 1, 1, false, ""},
	"mail_login_ip_imap_ttl":           {inMail, 1, 1, false, ofLoginLimit},
	"mail_login_ip_pop3_max":           {inMail, 1, 1, false, otherProtocol},
	"mail_login_ip_pop3_ttl":           {inMail, 1, 1, false, otherProtocol},
	"mail_login_user_max":              {inMail, 1, 1, false, ""},
	"mail_login_user_ttl":              {inMail, 1, 1, false, ofLoginLimit},
	"mail_login_user_rejectmsg":        {inMail, 1, 1, false, ofLoginLimit},
	"mail_whitelist_ip":                {inMail, 1, anyNumber, true, ofLoginLimit},
	"auth_wait":                        {inMail, 1, 1, false, ""},
	"zm_auth_wait":                     {inBoth, 1, 1, false, ""},
	"zm_auth_http":                     {inBoth, 0, 0, false, ""},
	"memcache_servers":                 {inMail, 1, anyNumber, false, noMemcache},
	"memcache_timeout":                 {inMail, 1, 1, false, noMemcache},
	"memcache_reconnect_interval":      {inMail, 1, 1, false, noMemcache},
	"memcache_entry_ttl":               {inMail, 1, 1, false, noMemcache},
	"memcache_entry_allow_unqualified": {inMail, 1, 1, false, noMemcache},
}

// zimbraBlocks are its blocks of the main level.
var zimbraBlocks = map[string]string{"zm_lookup": ofLookup, "memcache": noMemcache}

// directiveOf returns what is known of a directive of mail{}.
func directiveOf(name string) (nginxDirective, bool) {
	if d, known := nginxDirectives[name]; known {
		return d, true
	}
	d, known := zimbraDirectives[name]
	return d, known
}

// zimbra takes the directives of Zimbra's nginx whose value matters.
func (c *nginxConverter) zimbra(s *draft) {
	c.loginLimit(s, "mail_login_ip_max", "from one address")
	c.loginLimit(s, "mail_login_ip_imap_max", "from one address")
	c.loginLimit(s, "mail_login_user_max", "of one user")
	for _, name := range []string{"auth_wait", "zm_auth_wait"} {
		if from := s.one(name); from != nil {
			c.note(from, Differs, "left out: a refusal by the backend is answered at once, that of the auth service "+
				"after its Auth-Wait")
		}
	}
	if from := s.one("imap_literalauth"); from != nil {
		if on, good := c.flag(from); good && on {
			c.note(from, NotNeeded, "backends are logged in to with literals, as with nginx")
		} else if good {
			c.note(from, Differs, "left out: backends are logged in to with literals")
		}
	}
	if from := s.one("proxy_issue_imap_id"); from != nil {
		if on, good := c.flag(from); good && on {
			c.note(from, Differs, "left out: with nginx_compat = true the backend reads nginx's own dialogue, without "+
				"ID; without that key route.backend.forward_id sends it the client's address")
		} else if good {
			c.note(from, NotNeeded, "nginx's own dialogue with a backend has no ID")
		}
	}
	c.proxySSL(s)
}

// loginLimit names a limit on logins that is lost.
func (c *nginxConverter) loginLimit(s *draft, name, what string) {
	from := s.one(name)
	if from == nil {
		return
	}
	switch n, err := parseNginxNumber(from.args[0]); {
	case err != nil:
		c.refuse(from, "%v", err)
	case n == 0:
		c.note(from, NotNeeded, "0 is no limit")
	default:
		c.note(from, Differs, "left out: there is no limit on the logins %s; limits.failed_logins bounds those that "+
			"fail on one connection", what)
	}
}

// proxySSL converts Zimbra's TLS to backends, which verifies nothing.
func (c *nginxConverter) proxySSL(s *draft) {
	s.tls = []setting{{"tls", text("off"), "nginx has no TLS to backends; better \"starttls\" or \"implicit\""},
		{"plain_login", "true", ""}}
	from := s.one("proxy_ssl")
	if from == nil {
		return
	}
	on, good := c.flag(from)
	switch {
	case good && on:
		s.tls = []setting{{"tls", text("implicit"), from.from()},
			{"verify", "false", "as proxy_ssl does; better true, with ca"}}
		c.note(from, Converted, `tls = "implicit" and verify = false of route.backend: nginx verifies no backend's `+
			"certificate; better verify = true, with ca")
	case good:
		c.note(from, Converted, "it is the default")
	}
}

// zimbraLookup refuses a server that asks Zimbra's lookup, unless it has an
// auth_http as well, and reports whether it did.
func (c *nginxConverter) zimbraLookup(s *draft) bool {
	from := s.one("zm_auth_http")
	if from == nil {
		return false
	}
	if s.one("auth_http") != nil {
		c.note(from, NotNeeded, "auth_http says whom to ask")
		return false
	}
	c.refuse(from, "imapproxy does not speak to Zimbra's lookup handlers by itself: write auth_http with the address "+
		"of a service that answers as nginx's auth_http does")
	return true
}

package convert

import (
	"fmt"
	"strings"

	"github.com/nginxinc/nginx-go-crossplane"
)

// context is where a directive may stand.
type context int

const (
	inMail context = 1 << iota
	inServer
	inBoth = inMail | inServer
)

// crossplane's masks of the contexts that are looked at here.
const (
	maskMain  = 0x00040000
	maskMail  = 0x00100000
	maskMailS = 0x00200000
)

// nginxDirective is what is known of a directive of mail{}.
type nginxDirective struct {
	in       context
	min, max int    // arguments
	many     bool   // may stand more than once in a block
	why      string // why it is not needed; "" when a step of serverSteps takes it
}

// any is more arguments than anybody writes.
const anyNumber = 1 << 10

const (
	otherProtocol = "it has no effect on IMAP"
	kernelsWork   = "the kernel sizes the buffers itself"
)

// nginxDirectives are the directives of mail{} and its server{}, of nginx from
// 1.9 to 1.31, of freenginx, and those that are only in nginx's source.
var nginxDirectives = map[string]nginxDirective{
	"listen":                     {inServer, 1, anyNumber, true, ""},
	"protocol":                   {inServer, 1, 1, true, ""},
	"server_name":                {inBoth, 1, 1, false, ""},
	"timeout":                    {inBoth, 1, 1, false, ""},
	"max_errors":                 {inBoth, 1, 1, false, ""},
	"max_commands":               {inBoth, 1, 1, false, ""},
	"error_log":                  {inBoth, 1, 2, true, ""},
	"resolver":                   {inBoth, 1, anyNumber, false, otherProtocol + ": nginx asks it only for SMTP"},
	"resolver_timeout":           {inBoth, 1, 1, false, otherProtocol + ": nginx asks the resolver only for SMTP"},
	"imap_client_buffer":         {inBoth, 1, 1, false, ""},
	"imap_capabilities":          {inBoth, 1, anyNumber, true, ""},
	"imap_auth":                  {inBoth, 1, anyNumber, true, ""},
	"auth_http":                  {inBoth, 1, 1, true, ""},
	"auth_http_timeout":          {inBoth, 1, 1, false, ""},
	"auth_http_header":           {inBoth, 2, 2, true, ""},
	"auth_http_pass_client_cert": {inBoth, 1, 1, false, ""},
	"proxy":                      {inBoth, 1, 1, false, "nginx itself does not look at it"},
	"proxy_buffer":               {inBoth, 1, 1, false, ""},
	"proxy_timeout":              {inBoth, 1, 1, false, ""},
	"proxy_pass_error_message":   {inBoth, 1, 1, false, ""},
	"proxy_protocol":             {inBoth, 1, 1, false, ""},
	"proxy_smtp_auth":            {inBoth, 1, 1, false, otherProtocol},
	"xclient":                    {inBoth, 1, 1, false, otherProtocol},
	"smtp_auth":                  {inBoth, 1, anyNumber, true, otherProtocol},
	"smtp_capabilities":          {inBoth, 1, anyNumber, true, otherProtocol},
	"smtp_client_buffer":         {inBoth, 1, 1, false, otherProtocol},
	"smtp_greeting_delay":        {inBoth, 1, 1, false, otherProtocol},
	"pop3_auth":                  {inBoth, 1, anyNumber, true, otherProtocol},
	"pop3_capabilities":          {inBoth, 1, anyNumber, true, otherProtocol},
	"set_real_ip_from":           {inBoth, 1, 1, true, ""},
	"starttls":                   {inBoth, 1, 1, false, ""},
	"ssl":                        {inBoth, 1, 1, false, ""},
	"ssl_certificate":            {inBoth, 1, 1, true, ""},
	"ssl_certificate_key":        {inBoth, 1, 1, true, ""},
	"ssl_certificate_compression": {inBoth, 1, 1, false,
		"certificates are sent uncompressed, as nginx does by default"},
	"ssl_password_file":         {inBoth, 1, 1, false, ""},
	"ssl_protocols":             {inBoth, 1, anyNumber, true, ""},
	"ssl_ciphers":               {inBoth, 1, 1, false, ""},
	"ssl_prefer_server_ciphers": {inBoth, 1, 1, false, ""},
	"ssl_dhparam":               {inBoth, 1, 1, false, ""},
	"ssl_ecdh_curve":            {inBoth, 1, 1, false, ""},
	"ssl_conf_command":          {inBoth, 2, 2, true, ""},
	"ssl_session_cache":         {inBoth, 1, 2, false, ""},
	"ssl_session_tickets":       {inBoth, 1, 1, false, ""},
	"ssl_session_ticket_key":    {inBoth, 1, 1, true, ""},
	"ssl_session_timeout":       {inBoth, 1, 1, false, ""},
	"ssl_verify_client":         {inBoth, 1, 1, false, ""},
	"ssl_verify_depth":          {inBoth, 1, 1, false, ""},
	"ssl_client_certificate":    {inBoth, 1, 1, false, ""},
	"ssl_trusted_certificate":   {inBoth, 1, 1, false, ""},
	"ssl_crl":                   {inBoth, 1, 1, false, ""},
}

// serverSteps convert one server, in the order of the keys in the result.
var serverSteps = []func(*nginxConverter, *draft){
	(*nginxConverter).certificates,
	(*nginxConverter).tlsVersions,
	(*nginxConverter).tlsCiphers,
	(*nginxConverter).tlsCurves,
	(*nginxConverter).tlsSessions,
	(*nginxConverter).tlsRest,
	(*nginxConverter).clientCertificates,
	(*nginxConverter).realIP,
	(*nginxConverter).imap,
	(*nginxConverter).timeouts,
	(*nginxConverter).buffers,
	(*nginxConverter).backendSide,
	(*nginxConverter).zimbra,
	(*nginxConverter).authService,
	(*nginxConverter).errorLog,
}

// misplaced returns what is wrong with a directive before its value is looked at;
// "" for nothing.
func misplaced(s *statement, d nginxDirective, known bool, where context) string {
	if !known {
		return unknownDirective(s.name, map[context]uint{inMail: maskMail, inServer: maskMailS}[where])
	}
	switch {
	case d.in&where == 0:
		place := "server{}"
		if d.in == inMail {
			place = "mail{}"
		}
		return fmt.Sprintf("%q directive is not allowed here: it belongs into %s", s.name, place)
	case s.opens:
		return fmt.Sprintf("%q directive has no block", s.name)
	case len(s.args) < d.min || len(s.args) > d.max:
		return fmt.Sprintf("invalid number of arguments in %q directive", s.name)
	}
	return ""
}

// unknownDirective returns why a directive that is in no table here is refused;
// where is crossplane's mask of its context.
func unknownDirective(name string, where uint) string {
	masks, known := crossplane.DefaultDirectivesMatchFunc(name)
	if !known {
		return fmt.Sprintf("unknown directive %q: nothing is known of what it asks for; --ignore %[1]s leaves it out",
			name)
	}
	for _, mask := range masks {
		if mask&where != 0 {
			return fmt.Sprintf("imapproxy has nothing for %q; --ignore %[1]s leaves it out", name)
		}
	}
	return fmt.Sprintf("%q directive is not allowed here", name)
}

// mainReasons are directives of the main level that say nothing imapproxy needs.
var mainReasons = map[string]string{
	"user":                 "imapproxy's unit runs as a user of its own; give that user the certificates",
	"pid":                  "systemd knows the process; there is no pid file",
	"worker_rlimit_nofile": "LimitNOFILE in imapproxy's unit is for all sessions",
	"worker_processes":     "one process uses every core",
	"daemon":               "imapproxy serve stays in the foreground, under systemd",
	"master_process":       "there is one process",
	"load_module":          "imapproxy has no modules",
	"env":                  "imapproxy reads no environment",
	"worker_priority":      "Nice in imapproxy's unit does it",
}

// mainDirective takes a directive of the main level.
func (c *nginxConverter) mainDirective(s *statement) {
	switch s.name {
	case "error_log", "worker_shutdown_timeout":
		c.top = append(c.top, s)
		return
	case "worker_processes":
		c.top = append(c.top, s)
	}
	if why, ok := mainReasons[s.name]; ok {
		c.note(s, NotNeeded, "%s", why)
		return
	}
	masks, _ := crossplane.DefaultDirectivesMatchFunc(s.name)
	for _, mask := range masks {
		if mask&maskMain != 0 {
			c.note(s, NotNeeded, "it is about nginx's own processes")
			return
		}
	}
	c.refuse(s, "%s", unknownDirective(s.name, 0))
}

// mainBlock takes a block of the main level that is not mail{}.
func (c *nginxConverter) mainBlock(s *statement) {
	switch s.name {
	case "events":
		c.note(s, NotNeeded, "imapproxy needs no tuning of its events")
		for _, inner := range s.block {
			if inner.name == "worker_connections" {
				c.top = append(c.top, inner)
			}
		}
	case "zm_lookup", "memcache":
		c.note(s, NotNeeded, "%s", zimbraBlocks[s.name])
	case "http", "stream":
		c.note(s, Stays, "%s{} stays with nginx", s.name)
		c.stays = append(c.stays, fmt.Sprintf("%s{} (%s)", s.name, s.place()))
	default:
		masks, _ := crossplane.DefaultDirectivesMatchFunc(s.name)
		for _, mask := range masks {
			if mask&maskMain != 0 {
				c.note(s, Stays, "%s{} stays with nginx", s.name)
				return
			}
		}
		c.refuse(s, "%s", unknownDirective(s.name, 0))
	}
}

// flag reads a directive that is on or off; false and no error for none.
func (c *nginxConverter) flag(s *statement) (on, good bool) {
	on, err := parseNginxFlag(s.args[0])
	if err != nil {
		c.refuse(s, "%v", err)
		return false, false
	}
	return on, true
}

// oneOf checks a value that nginx compares without looking at capitals.
func (c *nginxConverter) oneOf(s *statement, value string, allowed ...string) (string, bool) {
	for _, word := range allowed {
		if strings.EqualFold(value, word) {
			return word, true
		}
	}
	c.refuse(s, "invalid value %q: nginx takes %s", value, strings.Join(allowed, ", "))
	return "", false
}

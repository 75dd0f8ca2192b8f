package imapproxy

import (
	"slices"
	"strconv"
	"strings"

	"imapproxy/auth"
	"imapproxy/backend/fault"
)

// capabilities is what is offered before login: what the proxy itself does,
// and nothing that a backend would have to do later (RFC 9051 section 6.1.1).
func (s *session) capabilities() string {
	list := slices.Clone(s.listener.Capabilities)
	if list == nil {
		list = []string{"IMAP4rev1", "SASL-IR", "ID"}
	}
	if s.listener.TLS == StartTLS && !s.client.secure() {
		list = append(list, "STARTTLS")
	}
	if !s.mayAuthenticate() {
		return strings.Join(append(list, "LOGINDISABLED"), " ")
	}
	for _, m := range s.mechanisms() {
		list = append(list, "AUTH="+m)
	}
	return strings.Join(list, " ")
}

// mechanisms are those that this client may use.
func (s *session) mechanisms() []string {
	list := s.listener.Mechanisms
	if list == nil {
		list = append(auth.Mechanisms(), auth.External)
	}
	if _, found := s.certified(); !found {
		list = slices.DeleteFunc(slices.Clone(list), func(m string) bool { return m == auth.External })
	}
	return list
}

// mayAuthenticate reports whether a password may be sent on this connection.
func (s *session) mayAuthenticate() bool {
	return s.client.secure() || s.listener.Insecure || (s.client.isLocal() && !s.listener.TLSOnly)
}

func (s *session) handleCapability(cmd *command) (reply, error) {
	if !cmd.args().end() {
		return bad(cmd, "CAPABILITY takes no argument"), nil
	}
	return reply{text: "* CAPABILITY " + s.capabilities() + "\r\n" + cmd.tag + " OK CAPABILITY completed"}, nil
}

func (s *session) handleNoop(cmd *command) (reply, error) {
	if !cmd.args().end() {
		return bad(cmd, "NOOP takes no argument"), nil
	}
	return ok(cmd, "NOOP completed"), nil
}

func (s *session) handleLogout(cmd *command) (reply, error) {
	if !cmd.args().end() {
		return bad(cmd, "LOGOUT takes no argument"), nil
	}
	return reply{text: "* BYE Logging out\r\n" + cmd.tag + " OK LOGOUT completed", end: endLogout}, nil
}

// handleID answers RFC 2971. Of what the client says only x-proxy-ttl is
// kept, since it can but shorten the way of a loop, and the name, which may
// choose the pool. The other x- fields would be
// unverified claims about an address.
func (s *session) handleID(cmd *command) (reply, error) {
	fields, valid := parseID(cmd)
	if !valid {
		return bad(cmd, "ID takes NIL or a list of strings"), nil
	}
	s.login.clientName = fields["name"]
	if v, found := fields["x-proxy-ttl"]; found {
		if n, err := strconv.Atoi(v); err == nil && n >= 0 {
			s.login.ttl = min(s.login.ttl, n)
		}
	}
	return reply{text: "* ID (\"name\" \"imapproxy\")\r\n" + cmd.tag + " OK ID completed"}, nil
}

// parseID returns the fields that the proxy knows, by their lower-case names.
func parseID(cmd *command) (map[string]string, bool) {
	a := cmd.args()
	if !a.space() {
		return nil, false
	}
	if s, ok := a.atom(); ok {
		return nil, strings.EqualFold(s, "NIL") && a.end()
	}
	if len(a.rest) == 0 || a.rest[0] != '(' {
		return nil, false
	}
	a.rest = a.rest[1:]
	known := map[string]string{}
	for {
		a.space()
		if len(a.rest) > 0 && a.rest[0] == ')' {
			a.rest = a.rest[1:]
			return known, a.end()
		}
		key, ok := a.astring()
		if !ok || !a.space() {
			return nil, false
		}
		value, ok := a.astring() // NIL stands as an atom
		if !ok {
			return nil, false
		}
		if key = strings.ToLower(key); key == "name" || key == "x-proxy-ttl" {
			known[key] = value
		}
	}
}

// handleSTARTTLS starts TLS after its OK. Bytes that came along with the
// command are from an unauthenticated sender (CVE-2011-0411): they close the
// connection.
func (s *session) handleSTARTTLS(cmd *command) (reply, error) {
	switch {
	case !cmd.args().end():
		return bad(cmd, "STARTTLS takes no argument"), nil
	case s.client.secure():
		return bad(cmd, "TLS is active already"), nil
	case s.listener.TLS != StartTLS:
		return bad(cmd, "STARTTLS is not offered here"), nil
	case s.client.in.Buffered() > 0:
		return reply{end: endClientProtocol, why: "bytes after STARTTLS"}, nil
	}
	return reply{text: cmd.tag + " OK Begin TLS", then: s.afterSTARTTLS}, nil
}

func (s *session) afterSTARTTLS() error {
	fault.Point("starttls.handshake")
	s.speaking = false
	s.login.clientName = ""
	s.login.ttl = s.settings.Limits.ProxyTTL // what ID said in the clear is forgotten
	if err := s.client.startTLS(s.task, s.listener.TLSConfig); err != nil {
		return s.fail(handshakeReason(err), err)
	}
	s.speaking = true
	return s.judgeCertificate()
}

const privacyRequired = "NO [PRIVACYREQUIRED] Passwords are not taken without TLS; "

// needTLS is the refusal of a login without TLS, with the remedy.
func (s *session) needTLS(cmd *command) reply {
	remedy := "use STARTTLS first"
	if s.listener.TLS != StartTLS {
		remedy = "use the port for IMAP over TLS"
	}
	return reply{text: cmd.tag + " " + privacyRequired + remedy}
}

// handleLogin takes LOGIN (RFC 9051 section 6.2.3).
func (s *session) handleLogin(cmd *command) (reply, error) {
	if !s.mayAuthenticate() {
		return s.needTLS(cmd), nil
	}
	a := cmd.args()
	var user, secret string
	valid := a.space()
	if valid {
		user, valid = a.astring()
	}
	if valid = valid && a.space(); valid {
		secret, valid = a.astring()
	}
	if !valid || !a.end() {
		return bad(cmd, "LOGIN takes a user name and a password"), nil
	}
	return reply{login: &loginAttempt{cmd.tag, s.request("LOGIN", "", user, auth.Secret(secret))}}, nil
}

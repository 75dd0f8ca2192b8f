package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"imapproxy/auth"
)

// checkOffers checks what each listener offers before the login, and its auth
// server.
func checkOffers(c *File, r *Report) {
	for i := range c.Listeners {
		l := &c.Listeners[i]
		checkCapabilities(l, r)
		checkMechanisms(l, &c.Auth, r)
		checkListenerAuth(l, &c.Auth, r)
		checkCompat(l, r)
	}
}

// capabilityAtom is an atom of RFC 9051 without "]".
var capabilityAtom = regexp.MustCompile(`^[!#$&'+,./0-9:;<=>?@A-Z\[^_` + "`" + `a-z|}~-]+$`)

// IsCapability reports whether a word may stand in listener.capabilities.
func IsCapability(word string) bool { return capabilityAtom.MatchString(word) }

// IsAddedCapability reports whether a capability comes by other keys, where it
// holds: AUTH= by mechanisms, STARTTLS and LOGINDISABLED by tls.
func IsAddedCapability(word string) bool {
	upper := strings.ToUpper(word)
	return upper == "STARTTLS" || upper == "LOGINDISABLED" || strings.HasPrefix(upper, "AUTH=")
}

func checkCapabilities(l *Listener, r *Report) {
	if l.Place.Has("capabilities") && len(l.Capabilities) == 0 {
		r.Errorf(l.Place, "capabilities", `remove it, or write, for example, ["IMAP4rev1"]`, "empty")
	}
	for _, name := range l.Capabilities {
		switch {
		case !IsCapability(name):
			r.Errorf(l.Place, "capabilities", `write each name as one string, such as ["IMAP4rev1", "IDLE"]`,
				"%q is not a capability", name)
		case IsAddedCapability(name):
			r.Warnf(l.Place, "capabilities", "remove it; AUTH= comes by mechanisms", "%q is added where it holds", name)
		}
	}
}

func checkMechanisms(l *Listener, a *Auth, r *Report) {
	source := a.source()
	if l.Place.Has("mechanisms") && len(l.Mechanisms) == 0 {
		r.Errorf(l.Place, "mechanisms", `remove it, or write, for example, ["PLAIN"]`, "empty")
	}
	for i, name := range l.Mechanisms {
		switch {
		case !slices.Contains(saslMechanisms(), name):
			r.Errorf(l.Place, "mechanisms", "write some of "+quoteAll(saslMechanisms()), "%q is not known", name)
		case slices.Contains(l.Mechanisms[:i], name):
			r.Errorf(l.Place, "mechanisms", "write it once", "%q stands there twice", name)
		case name == auth.External:
			checkOffersExternal(l, a, r)
		case source.known() && !source.serves(name):
			r.Errorf(l.Place, "mechanisms", "remove it, or "+writeType(func(s Source) bool { return s.serves(name) }),
				"%s", notServed(name, source))
		}
	}
}

// notServed returns why a source can't serve a mechanism.
func notServed(mechanism string, s Source) string {
	if mechanism == auth.CramMD5 {
		return "CRAM-MD5 needs an auth server that has the passwords themselves"
	}
	return mechanism + " is for tokens, which auth.type = " + strconv.Quote(s.Name) + " can't judge"
}

// checkOffersExternal: nginx's manner lets the auth server say whose a
// certificate is, otherwise auth.external does.
func checkOffersExternal(l *Listener, a *Auth, r *Report) {
	certificates := func(s Source) bool { return s.Certificates }
	switch {
	case l.NginxCompat && !certificates(a.source()):
		r.Errorf(l.Place, "mechanisms", "remove it, or "+writeType(certificates),
			"EXTERNAL with nginx_compat needs an auth server that knows the certificates")
	case l.NginxCompat:
	case a.External.From == "off":
		r.Errorf(l.Place, "mechanisms", "write the section [auth.external]",
			"EXTERNAL needs it: it says whom a certificate stands for")
	case l.ClientCertificates == "off":
		r.Errorf(l.Place, "mechanisms", "write client_certificates",
			"EXTERNAL needs certificates, and the listener asks for none")
	}
}

func checkListenerAuth(l *Listener, a *Auth, r *Report) {
	perListener := func(s Source) bool { return s.PerListener }
	switch {
	case !l.Place.Has("auth"):
	case !perListener(a.source()):
		r.Errorf(l.Place, "auth", "remove the section, or "+writeType(perListener),
			"not used with auth.type = %q", a.Type)
	case l.Auth.URL == "":
		r.Errorf(l.Auth.Place, "url", `write, for example, url = "http://127.0.0.1:9000/auth"`,
			"missing: the section takes the place of auth.http")
	default:
		checkHTTP(l.HTTPAuth(&a.HTTP), r)
	}
}

// HTTPAuth is auth.http as this listener has it.
func (l *Listener) HTTPAuth(common *HTTP) *HTTP {
	own := *common
	own.Place = l.Auth.Place
	own.URL, own.Timeout, own.Headers = l.Auth.URL, l.Auth.Timeout, l.Auth.Headers
	own.Insecure, own.PassCertificate = l.Auth.Insecure, l.Auth.PassCertificate
	return &own
}

// checkCompat reports keys that say how nginx's manner is, without it.
func checkCompat(l *Listener, r *Report) {
	if l.NginxCompat {
		return
	}
	for key, written := range map[string]bool{"client_idle_timeout": l.ClientIdle != 0,
		"pass_backend_errors": l.PassBackendErrors} {
		if written {
			r.Errorf(l.Place, key, "remove it, or write nginx_compat = true", "not used without nginx_compat")
		}
	}
}

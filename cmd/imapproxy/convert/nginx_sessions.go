package convert

import (
	"fmt"
	"strings"
)

// Sessions that nginx keeps: about 4000 for each MB of a shared zone, and OpenSSL's
// number for its builtin cache.
const (
	sessionsInMB    = 4000
	builtinSessions = 20480
	leastZone       = 32 << 10 // nginx refuses a smaller one
)

// noSessionIDs is what crypto/tls can't do.
const noSessionIDs = "a client of TLS 1.2 that takes no tickets can't resume, since imapproxy gives no session IDs"

// tlsSessions converts the resumption of TLS sessions.
func (c *nginxConverter) tlsSessions(s *draft) {
	if !s.hasTLS() {
		return
	}
	tickets := true
	if from := s.one("ssl_session_tickets"); from != nil {
		on, good := c.flag(from)
		switch {
		case !good:
			return
		case on:
			c.note(from, Converted, "it is the default")
		default:
			tickets = false
			s.add("tls_session_tickets", "false", from)
			c.note(from, Converted, "tls_session_tickets = false")
		}
	}
	var files []string
	keys := s.of("ssl_session_ticket_key")
	for _, from := range keys {
		if !tickets {
			c.note(from, NotNeeded, "there are no tickets")
			continue
		}
		c.note(from, Converted, "tls_ticket_keys; the first one encrypts")
		files = append(files, c.file(from, from.args[0]))
	}
	if len(files) > 0 {
		s.add("tls_ticket_keys", list(files), keys[0])
	}
	c.sessionTimeout(s, c.sessionCache(s, tickets), tickets)
}

// sessionCache converts ssl_session_cache. It reports whether sessions are kept.
func (c *nginxConverter) sessionCache(s *draft, tickets bool) bool {
	from := s.one("ssl_session_cache")
	if from == nil {
		return false
	}
	kept := 0
	for _, word := range from.args {
		n, err := keptSessions(word)
		if err != nil {
			c.refuse(from, "%v", err)
			return false
		}
		kept = max(kept, n)
	}
	switch {
	case kept == 0:
		c.note(from, NotNeeded, "no sessions are kept")
	case tickets:
		c.note(from, Differs, "left out: sessions are resumed by tickets, which need no cache; %s", noSessionIDs)
	default:
		most := countBoundsOf("listener.tls_session_cache").Most
		s.add("tls_session_cache", number(min(kept, most)), from)
		c.note(from, Differs, "tls_session_cache, for each listener and not for each worker or zone; %s", noSessionIDs)
		if kept > most {
			c.note(from, Differs, "lowered to %d, the most imapproxy takes", most)
		}
		return true
	}
	return false
}

// keptSessions is how many sessions a word of ssl_session_cache stands for.
func keptSessions(word string) (int, error) {
	name, rest, found := strings.Cut(word, ":")
	bad := fmt.Errorf("invalid session cache %q", word)
	switch {
	case (name == "off" || name == "none") && !found:
		return 0, nil
	case name == "builtin" && !found:
		return builtinSessions, nil
	case name == "builtin":
		n, err := parseNginxNumber(rest)
		switch {
		case err != nil:
			return 0, bad
		case n == 0: // OpenSSL sets no bound then
			return countBoundsOf("listener.tls_session_cache").Most, nil
		}
		return n, nil
	case name == "shared":
		zone, size, _ := strings.Cut(rest, ":")
		n, err := parseNginxSize(size)
		switch {
		case err != nil || zone == "":
			return 0, bad
		case n < leastZone:
			return 0, fmt.Errorf("session cache %q is too small", word)
		}
		return int(int64(n) * sessionsInMB >> 20), nil
	}
	return 0, fmt.Errorf("%w: nginx takes off, none, builtin, shared", bad)
}

// sessionTimeout converts ssl_session_timeout.
func (c *nginxConverter) sessionTimeout(s *draft, kept, tickets bool) {
	from := s.one("ssl_session_timeout")
	if from == nil {
		return
	}
	d, good := c.span(from, spanBoundsOf("listener.tls_session_timeout"))
	switch {
	case !good:
	case kept:
		s.add("tls_session_timeout", span(d), from)
		c.note(from, Converted, "tls_session_timeout")
	case !tickets:
		c.note(from, NotNeeded, "no sessions are kept")
	default:
		c.note(from, Differs, "left out: the client is told a lifetime of its tickets that can't be set")
	}
}

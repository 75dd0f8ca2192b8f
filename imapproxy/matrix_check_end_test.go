package imapproxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"imapproxy/backend/wire"
)

// checkGoneAtBackend waits for the proxy's backend sockets to be gone.
func (s *stage) checkGoneAtBackend() {
	s.t.Helper()
	inner := addrPort(s.backend.ln.Addr()).Port()
	s.await("the backend's socket to be gone", func() bool {
		return s.server.dialer.Registry.Count() == 0 &&
			!slices.ContainsFunc(s.sockets(true), func(e wire.TableEntry) bool { return e.Remote.Port() == inner })
	})
	s.within(s.bound())
}

// checkGone is rule 1: no socket of the session is left on either side.
func (s *stage) checkGone() {
	s.t.Helper()
	s.await("the session to be gone", func() bool {
		return s.server.Sessions() == 0 &&
			s.server.dialer.Registry.Count() == 0
	})
	own := isVanish(s.cell) // the vanished peer's socket is still there
	var left []wire.TableEntry
	s.await("the sockets to be gone", func() bool { left = s.sockets(own); return len(left) == 0 })
	for _, e := range left {
		s.t.Errorf("left: %+v", e)
	}
	s.within(s.bound())
	switch {
	case !own:
		return
	case s.cell.Reason == "c_vanish":
		s.c.reset()
	case s.b != nil:
		s.b.reset()
	}
	s.await("the vanished peer's socket to be gone", func() bool { return len(s.sockets(false)) == 0 })
}

// checkEnd is rule 3, and the end line of rule 2.
func (s *stage) checkEnd() {
	s.t.Helper()
	l := s.endsWith(s.c, s.end)
	for _, key := range []string{"bytes_in", "bytes_out", "duration_ms"} {
		if l.num(key) < 0 {
			s.t.Errorf("the end line has no %s: %v", key, l)
		}
	}
	if got, want := l.str("phase"), s.endPhase(); !slices.Contains(want, got) {
		s.t.Errorf("the end line has the phase %q, want one of %q", got, want)
	}
	if want := failures[s.cell.Phase+"/"+s.cell.Reason]; s.cell.Client == "NO" && (want == "" ||
		!strings.Contains(l.str("error"), want)) {
		s.t.Errorf("the end line has the error %q, want %q in it", l.str("error"), want)
	}
	if s.cell.Backend == "L" || s.cell.Backend == "P" || s.cell.Backend == "D" {
		if l.str("backend_end") != "logout" {
			s.t.Errorf("the backend's connection ended as %q, want logout", l.str("backend_end"))
		}
	}
	if ends := s.countEnds(); len(ends) != 1 || ends[string(s.end)] != 1 {
		s.t.Errorf("the metric counts %v, want one end as %s", ends, s.end)
	}
}

// endPhase returns the phases that the end line may name.
func (s *stage) endPhase() []string {
	if s.cell.Client == "NO" || s.cell.Client == "ERR" {
		return []string{phaseLogin}
	}
	undisturbed := s.cell.Client == "="
	switch p := s.cell.Phase; p {
	case "accepted":
		return []string{phaseAccepted, phaseTLS, phaseLogin}
	case "tls_handshake":
		return []string{phaseTLS, phaseLogin}[btoi(undisturbed):][:1]
	case "greeting_sent", "preauth_cmd", "sasl_exchange":
		return []string{phaseLogin}
	case "auth_pending", "routing_pending", "dialing", "backend_tls", "backend_greeting", "backend_login":
		if undisturbed {
			return []string{phaseLogin}
		}
		return []string{map[string]string{"auth_pending": phaseAuthenticate, "routing_pending": phaseRoute}[p],
			phaseBackend}[btoi(!strings.HasSuffix(p, "_pending")):][:1]
	}
	return []string{phaseRelay}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// failures are what the log says of a login that could not be.
var failures = map[string]string{
	"auth_pending/timeout": "deadline exceeded", "auth_pending/emfile_or_memory": "too many open files",
	"auth_pending/auth_down":  errDirectory.Error(),
	"routing_pending/timeout": "deadline exceeded", "routing_pending/emfile_or_memory": "too many open files",
	"routing_pending/auth_down": errDirectory.Error(), "routing_pending/dns_fail": "no such host",
	"dialing/b_rst": "connection refused", "dialing/b_vanish": "connect: timeout",
	"dialing/timeout":          "connect: timeout",
	"dialing/emfile_or_memory": "too many open files", "dialing/dns_fail": "dns: the name has no address",
	"backend_tls/b_fin": "tls: closed", "backend_tls/b_rst": "tls: closed", "backend_tls/b_vanish": "tls: timeout",
	"backend_tls/b_protocol": "tls: the server does not speak TLS", "backend_tls/timeout": "tls: timeout",
	"backend_tls/cert_bad":   "unknown authority",
	"backend_greeting/b_fin": "greeting: closed", "backend_greeting/b_rst": "greeting: closed",
	"backend_greeting/b_vanish":   "greeting: timeout",
	"backend_greeting/b_protocol": "greeting: protocol", "backend_greeting/timeout": "greeting: timeout",
	"backend_login/b_fin": "login: closed", "backend_login/b_rst": "login: closed",
	"backend_login/b_vanish":   "login: timeout",
	"backend_login/b_protocol": "login: protocol", "backend_login/timeout": "login: timeout",
}

// countEnds reads the metric of ends, by reason.
func (s *stage) countEnds() map[string]int {
	s.t.Helper()
	return counts(s.t, s.server.Metrics(), "imapproxy_session_ends_total", "reason")
}

// counts reads a counter by one label, zeros left out.
func counts(t testing.TB, from prometheus.Gatherer, name, label string) map[string]int {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != name || m.GetCounter().GetValue() == 0 {
				continue
			}
			for _, l := range m.GetLabel() {
				if l.GetName() == label {
					found[l.GetValue()] += int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return found
}

// checkBack is rule 2: everything is as it was before the session.
func (s *stage) checkBack() {
	s.t.Helper()
	if s.over != nil {
		s.drained(s.over)
	}
	s.await("no session and no backend connection left", func() bool {
		return s.server.Sessions() == 0 && s.server.dialer.Registry.Count() == 0
	})
	for name, g := range map[string]*gate{"authenticator": s.askAuth, "router": s.askRoute, "resolver": s.askName} {
		s.await("nobody to wait for the "+name, func() bool { return g.waiting.Load() == 0 })
	}
	s.await("the timers to be back", func() bool { return s.clock.count() <= s.timers })
	if s.crowd {
		return
	}
	s.await("the goroutines to be back", func() bool { return s.underWay() <= s.goroutines })
	dropIdlePipes(s.server)
	s.await("the descriptors to be back", func() bool { return openFiles(s.t) <= s.descriptors })
}

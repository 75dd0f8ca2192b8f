package imapproxy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"imapproxy/backend"
	"imapproxy/backend/ledger"
)

// metrics are what an operator's monitoring sees. Labels have few values: a
// user or an address of a client is never one.
type metrics struct {
	registry *prometheus.Registry

	sessions      *prometheus.CounterVec
	ends          *prometheus.CounterVec
	logins        *prometheus.CounterVec
	loginTime     prometheus.Histogram
	authCache     *prometheus.CounterVec
	bytesIn       prometheus.Counter
	bytesOut      prometheus.Counter
	refused       *prometheus.CounterVec
	panics        *prometheus.CounterVec
	acceptFailed  prometheus.Counter
	dials         *prometheus.CounterVec
	dialTime      *prometheus.HistogramVec
	endings       *prometheus.CounterVec
	leakReported  *prometheus.CounterVec
	leakResolved  *prometheus.CounterVec
	leakReclaimed *prometheus.CounterVec
	census        prometheus.Gauge
	closeWait     prometheus.Gauge
	sockets       *prometheus.GaugeVec
}

func newMetrics(s *Server) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.sessions = m.counter("session_starts_total", "Sessions begun.", "listener")
	m.ends = m.counter("session_ends_total", "Sessions ended, by reason.", "reason")
	m.logins = m.counter("logins_total", "Logins tried, by result: granted, denied, unavailable.", "result")
	m.authCache = m.counter("auth_cache_total", "Passwords looked for among those verified before: hit, miss.",
		"result")
	bytes := m.counter("relayed_bytes_total", "Bytes relayed; in is from clients, out is to clients.", "direction")
	m.bytesIn, m.bytesOut = bytes.WithLabelValues("in"), bytes.WithLabelValues("out")
	m.refused = m.counter("commands_refused_total", "Commands refused after the login, by the policy's rule.", "rule")
	m.panics = m.counter("panics_total", "Panics caught, by place. Each is a fault of the proxy.", "place")
	m.dials = m.counter("backend_dials_total", "Backend connections tried, by result: ok or why not.", "target",
		"result")
	m.endings = m.counter("backend_endings_total",
		"Backend connections ended, by how: logout, eof, peer_reset, reset, cut.", "target", "ending")
	m.leakReported = m.counter("leaks_reported_total",
		"Backend connections that looked leaked, by kind: orphan, overdue, no_answer, half_closed.", "kind")
	m.leakResolved = m.counter("leaks_resolved_total",
		"Of those, the ones that resolved by themselves or were reclaimed.", "kind")
	m.leakReclaimed = m.counter("leaks_reclaimed_total", "Backend connections that the leak detector ended.", "kind")
	m.acceptFailed = prometheus.NewCounter(opts("accept_errors_total",
		"Accepts that failed; clients waited in the backlog."))
	m.loginTime = prometheus.NewHistogram(histogram("login_duration_seconds",
		"Time from the login command to its answer, for granted logins."))
	m.dialTime = prometheus.NewHistogramVec(histogram("backend_dial_duration_seconds",
		"Time from connect to ready for the login, for successful dials."), []string{"target"})
	m.census = prometheus.NewGauge(prometheus.GaugeOpts(opts("census_difference_sockets",
		"Sockets that the process holds and does not account for, or the reverse. Must be 0.")))
	m.closeWait = prometheus.NewGauge(prometheus.GaugeOpts(opts("close_wait_overdue_sockets",
		"Sockets of the proxy in CLOSE_WAIT past their limit. Must be 0.")))
	m.sockets = prometheus.NewGaugeVec(prometheus.GaugeOpts(opts("sockets",
		"Sockets of sessions, by side (client, backend) and the kernel's state, at the last census.")),
		[]string{"side", "state"})
	m.registry.MustRegister(m.acceptFailed, m.loginTime, m.dialTime, m.census, m.closeWait, m.sockets,
		newPoolCollector(s),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("sessions", "Sessions that have not ended.")),
			func() float64 { return float64(s.Sessions()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts(opts("backend_connections", "Backend sockets that are open.")),
			func() float64 { return float64(s.dialer.Registry.Count()) }))
	m.begin()
	return m
}

// begin shows counters as 0 before their first event, where all values of
// their labels are known: else monitoring would not see the first one.
func (m *metrics) begin() {
	for _, result := range []string{"granted", "denied", "unavailable"} {
		m.logins.WithLabelValues(result)
	}
	for _, result := range []string{"hit", "miss"} {
		m.authCache.WithLabelValues(result)
	}
	for _, rule := range ledger.RuleNames() {
		m.refused.WithLabelValues(rule)
	}
	for _, kind := range []string{leakOrphan, leakOverdue, leakSilent, leakHalfClosed} {
		for _, c := range []*prometheus.CounterVec{m.leakReported, m.leakResolved, m.leakReclaimed} {
			c.WithLabelValues(kind)
		}
	}
}

func opts(name, help string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Namespace: "imapproxy", Name: name, Help: help}
}

func histogram(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Namespace: "imapproxy", Name: name, Help: help,
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}
}

func (m *metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(opts(name, help), labels)
	m.registry.MustRegister(c)
	return c
}

// Metrics is what /metrics shows.
func (s *Server) Metrics() *prometheus.Registry { return s.metrics.registry }

func (m *metrics) panicked(place string) { m.panics.WithLabelValues(place).Inc() }

func (m *metrics) granted(took time.Duration) {
	m.logins.WithLabelValues("granted").Inc()
	m.loginTime.Observe(took.Seconds())
}

func (m *metrics) verified(hit bool) {
	result := "miss"
	if hit {
		result = "hit"
	}
	m.authCache.WithLabelValues(result).Inc()
}

func (m *metrics) ended(s *session, reason endReason) {
	m.ends.WithLabelValues(string(reason)).Inc()
}

func (m *metrics) dialled(target string, result backend.Kind, took time.Duration) {
	if result == "" {
		m.dialTime.WithLabelValues(target).Observe(took.Seconds())
		result = "ok"
	}
	m.dials.WithLabelValues(target, string(result)).Inc()
}

func (m *metrics) backendEnded(target string, e backend.Ending) {
	m.endings.WithLabelValues(target, string(e)).Inc()
}

func (m *metrics) commandsRefused(rule string, n int) {
	m.refused.WithLabelValues(rule).Add(float64(n))
}

func (m *metrics) socketStates(states map[[2]string]int) {
	m.sockets.Reset()
	for k, n := range states {
		m.sockets.WithLabelValues(k[0], k[1]).Set(float64(n))
	}
}

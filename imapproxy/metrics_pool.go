package imapproxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"imapproxy/backend"
)

// poolCollector shows the pools' figures, which are kept where they arise.
type poolCollector struct {
	server *Server

	connections, waiting, maxWait                        *prometheus.Desc
	leases, returned, waits, timeouts, refused, waitTime *prometheus.Desc
	notReused                                            *prometheus.Desc
}

func newPoolCollector(s *Server) *poolCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("imapproxy_pool_"+name, help, append([]string{"target"}, labels...), nil)
	}
	return &poolCollector{
		server: s,
		connections: desc("connections",
			"Pooled backend connections, by state: leased, idle, checking, resetting, dialling, spare, ending.",
			"state"),
		waiting: desc("waiting_logins", "Logins that wait for a pooled connection."),
		maxWait: desc("max_wait_seconds", "How long the first of them has waited."),
		leases: desc("leases_total",
			"Logins that got a pooled connection: hit, it was there; miss, it had to be made.", "result"),
		returned:  desc("returns_total", "Connections that became idle after a session."),
		waits:     desc("waits_total", "Logins that had to wait."),
		timeouts:  desc("wait_timeouts_total", "Logins that waited in vain."),
		refused:   desc("queue_full_total", "Logins that found too many waiting already."),
		waitTime:  desc("wait_seconds_total", "How long logins have waited in all."),
		notReused: desc("not_reused_total", "Connections that were not used again, by why.", "why"),
	}
}

// Describe implements prometheus.Collector.
func (p *poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.connections, p.waiting, p.maxWait, p.leases, p.returned, p.waits, p.timeouts,
		p.refused, p.waitTime, p.notReused} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (p *poolCollector) Collect(out chan<- prometheus.Metric) {
	for _, s := range p.server.Pools() {
		for state, n := range map[string]int{"leased": s.Leased, "idle": s.Idle, "checking": s.Checking,
			"resetting": s.Resetting, "dialling": s.Dialling, "spare": s.Spare, "ending": s.Ending} {
			out <- poolGauge(p.connections, float64(n), s.Target, state)
		}
		out <- poolGauge(p.waiting, float64(s.Waiting), s.Target)
		out <- poolGauge(p.maxWait, s.MaxWait.Seconds(), s.Target)
		p.collectCounters(out, s)
	}
}

func (p *poolCollector) collectCounters(out chan<- prometheus.Metric, s backend.PoolStats) {
	out <- poolCount(p.leases, s.Hits, s.Target, "hit")
	out <- poolCount(p.leases, s.Misses, s.Target, "miss")
	out <- poolCount(p.returned, s.Returned, s.Target)
	out <- poolCount(p.waits, s.Waits, s.Target)
	out <- poolCount(p.timeouts, s.WaitTimeouts, s.Target)
	out <- poolCount(p.refused, s.Refused, s.Target)
	out <- prometheus.MustNewConstMetric(p.waitTime, prometheus.CounterValue, s.WaitTime.Seconds(), s.Target)
	for why, n := range s.NotReused {
		out <- poolCount(p.notReused, n, s.Target, why)
	}
}

func poolGauge(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func poolCount(d *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
}

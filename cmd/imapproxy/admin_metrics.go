package main

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"imapproxy/cmd/cli"
	"imapproxy/cmd/imapproxy/logging"
)

// Bounds of /metrics: a scrape that takes longer is of no use, and more than
// one monitoring system seldom asks at once.
const (
	scrapeLimit  = 10 * time.Second
	scrapesAtOne = 4
)

// metricsHandler shows the proxy's metrics, and the process's.
func (a *admin) metricsHandler(lines *logging.Writer) http.Handler {
	all := prometheus.Gatherers{a.proxy.Metrics(), processMetrics(lines, &a.reloads)}
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{
		ErrorLog: adminErrorLog(a.log), ErrorHandling: promhttp.HTTPErrorOnError,
		MaxRequestsInFlight: scrapesAtOne, Timeout: scrapeLimit,
	})
}

// processMetrics are those that belong to the program, not to the proxy in it.
func processMetrics(lines *logging.Writer, read *reloads) *prometheus.Registry {
	info, _ := debug.ReadBuildInfo()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "imapproxy", Name: "build_info", Help: "1, with the version of imapproxy and of Go as labels.",
		ConstLabels: prometheus.Labels{"version": cli.VersionName(version, info), "goversion": runtime.Version()},
	})
	build.Set(1)
	started := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "imapproxy", Name: "start_time_seconds", Help: "When the proxy started, in Unix time.",
	})
	started.Set(float64(time.Now().UnixMilli()) / 1000)
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		build, started, prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: "imapproxy", Name: "log_lines_dropped_total",
			Help: "Log lines that were dropped because the log's reader is too slow.",
		}, func() float64 { return float64(lines.Lost.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "imapproxy", Name: "config_last_reload_successful",
			Help: "1 when the last reading of the configuration was good, else 0.",
		}, func() float64 {
			if read.good.Load() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "imapproxy", Name: "config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in force was read, in Unix time.",
		}, func() float64 { return float64(read.at.Load()) / 1000 }))
	return r
}

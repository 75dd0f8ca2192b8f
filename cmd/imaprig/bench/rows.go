package bench

import (
	"cmp"
	"slices"
	"time"

	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

// row is one load that every proxy of the row is put under, with its figures and targets.
type row struct {
	name     string
	mode     string
	tls      string // "off" or "implicit"
	sessions int
	message  int           // of fetch
	fresh    bool          // in a process that has not served a client before
	users    int           // by turns, 0 for defaultUsers
	ours     string        // proxy that the targets apply to, "" for proxyOwn
	slow     bool          // in front of the backend whose logins take their time
	answer   time.Duration // limit of one, 0 for answerLimit
	proxies  []string
	figures  []figure
	targets  []target
}

// figure is a number that is computed from the result of a load.
type figure struct {
	name   string
	digits int
	none   bool // 0 is a finding, not a lack of one
	value  func(*load.Result) float64
}

// target is a bound of a figure of the row's own proxy: as a multiple of a peer's, or absolute without a peer.
type target struct {
	figure string // name of one of the row
	peer   string
	atMost bool // else at least
	factor float64
}

const (
	fetchSessions = 8
	mib           = 1 << 20
)

// Names of the figures.
const (
	perSecond        = "a second"
	cpuMicros        = "CPU µs"
	cpuPerGB         = "CPU s/GB"
	gbPerSecond      = "GB/s"
	p50              = "p50 µs"
	p99              = "p99 µs"
	kibPerSession    = "KiB a session"
	loginsPerSession = "backend logins a session"
)

func figureRate() figure {
	return figure{perSecond, 0, false, func(r *load.Result) float64 { return r.First().PerSecond }}
}

func figureCPU() figure {
	return figure{cpuMicros, 1, false, (*load.Result).CPUMicros}
}

func figureCPUPerGB() figure {
	return figure{cpuPerGB, 3, false, (*load.Result).CPUPerGB}
}

func figureGB() figure {
	return figure{gbPerSecond, 2, false, (*load.Result).GBPerSecond}
}

func figureP50() figure {
	return figure{p50, 0, false, func(r *load.Result) float64 { return r.First().P50 }}
}

func figureP99() figure {
	return figure{p99, 0, false, func(r *load.Result) float64 { return r.First().P99 }}
}

func figureKiB() figure {
	return figure{kibPerSession, 2, false, func(r *load.Result) float64 {
		if r.Idle == nil {
			return 0
		}
		return r.Idle.PerSessionKiB
	}}
}

// figureLogins returns the logins that reach the backend, for each session that was ended in order.
func figureLogins() figure {
	return figure{loginsPerSession, 3, true, func(r *load.Result) float64 {
		return float64(r.Logins) / float64(max(r.First().Count, 1))
	}}
}

func atMost(figure string, peer string, factor float64) target {
	return target{figure, peer, true, factor}
}

func atLeast(figure string, peer string, factor float64) target {
	return target{figure, peer, false, factor}
}

// rows returns the loads of the benchmark with their targets. Add a row for a new ability of the proxy here.
func rows(idle int) []row {
	every := []string{proxyOwn, proxyNginx, proxyNginx64, proxyHAProxy, proxyDirect}
	memory := []string{proxyOwn, proxyNginx, proxyHAProxy}
	auth := []string{proxyOwn, proxyNginx, proxyDirect}
	fetch := []figure{figureCPUPerGB(), figureGB()}
	login := []figure{figureRate(), figureCPU(), figureP99()}
	return []row{
		{name: "idle in IDLE, plain", mode: "idle", tls: "off", sessions: idle, fresh: true, proxies: memory,
			figures: []figure{figureKiB()},
			targets: []target{atMost(kibPerSession, "", 2), atMost(kibPerSession, proxyHAProxy, 1),
				atMost(kibPerSession, proxyNginx, 0.2)}},
		{name: "idle in IDLE, TLS", mode: "idle", tls: "implicit", sessions: idle, fresh: true, proxies: memory,
			figures: []figure{figureKiB()},
			targets: []target{atMost(kibPerSession, "", 9), atMost(kibPerSession, proxyHAProxy, 0.5),
				atMost(kibPerSession, proxyNginx, 1.0/3)}},
		{name: "FETCH 1 MiB", mode: "fetch", tls: "off", sessions: fetchSessions, message: 2, proxies: every,
			figures: fetch,
			targets: []target{atMost(cpuPerGB, proxyNginx, 0.45), atMost(cpuPerGB, proxyNginx64, 1),
				atLeast(gbPerSecond, proxyNginx, 2.5), atLeast(gbPerSecond, proxyHAProxy, 1.7)}},
		{name: "FETCH 64 MiB", mode: "fetch", tls: "off", sessions: fetchSessions, message: 3, proxies: every,
			figures: fetch,
			targets: []target{atMost(cpuPerGB, proxyNginx, 0.35), atMost(cpuPerGB, proxyNginx64, 1),
				atLeast(gbPerSecond, proxyNginx, 2.5), atLeast(gbPerSecond, proxyHAProxy, 1.7)}},
		{name: "FETCH 64 MiB, TLS", mode: "fetch", tls: "implicit", sessions: fetchSessions, message: 3, proxies: every,
			figures: fetch,
			targets: []target{atMost(cpuPerGB, proxyNginx, 0.75), atMost(cpuPerGB, proxyNginx64, 1),
				atLeast(gbPerSecond, proxyNginx, 1.3)}},
		{name: "login, plain", mode: "login", tls: "off", sessions: 32, proxies: auth, figures: login,
			targets: []target{atLeast(perSecond, proxyNginx, 1.2), atMost(cpuMicros, proxyNginx, 0.9)}},
		{name: "login, TLS", mode: "login", tls: "implicit", sessions: 32, proxies: auth, figures: login,
			targets: []target{atLeast(perSecond, proxyNginx, 2), atMost(cpuMicros, proxyNginx, 0.9)}},
		{name: "NOOP, 32 sessions", mode: "rtt", tls: "off", sessions: 32, proxies: every,
			figures: []figure{figureRate(), figureP99(), figureCPU()},
			targets: []target{atLeast(perSecond, proxyNginx, 0.9), atMost(p99, proxyNginx, 1.5)}},
		{name: "NOOP, 1 session", mode: "rtt", tls: "off", sessions: 1, proxies: every,
			figures: []figure{figureP50(), figureP99(), figureCPU()},
			targets: []target{atMost(p50, proxyNginx, 1.1)}},
		poolRow("login, backend connection from the pool", false, atLeast(perSecond, proxyNginx, 2.2)),
		poolRow("login, backend connection from the pool, logins of "+slowLogin, true),
	}
}

// poolRow returns a load of short sessions of users that come again, as webmail makes them.
func poolRow(name string, slow bool, targets ...target) row {
	return row{name: name, mode: "login", tls: "off", sessions: 32, users: poolUsers, ours: proxyPool, slow: slow,
		answer:  poolAnswer,
		proxies: poolProxies(), figures: []figure{figureRate(), figureCPU(), figureP99(),
			figureLogins()}, targets: targets}
}

func poolProxies() []string { return []string{proxyPool, proxyOwn, proxyNginx, proxyUp, proxyDirect} }

// Users by turns: those of the pool's rows come again while their connections still lie there.
const (
	defaultUsers = 1000
	poolUsers    = 100
)

// own returns the proxy that the targets apply to.
func (r row) own() string { return cmp.Or(r.ours, proxyOwn) }

// index returns where one of the row's figures is, by name; a row has those of its targets.
func (r row) index(name string) int {
	return slices.IndexFunc(r.figures, func(f figure) bool { return f.name == name })
}

// instance returns the name of the proxy that runs for this row.
func (r row) instance(name string) string {
	if r.slow {
		return name + slowSuffix
	}
	return name
}

// options returns those of the load.
func (r row) options(p *rig.Proxy, duration time.Duration) (load.Options, error) {
	mode, err := load.FindMode([]string{r.mode})
	if err != nil {
		return load.Options{}, err
	}
	o := load.Options{
		Mode: mode, Proxy: p.Addr.String(), TLS: r.tls, User: "bench%d", Password: "secret", Users: cmp.Or(r.users,
			defaultUsers), Mailbox: "INBOX",
		Sessions: r.sessions, Duration: duration, Message: max(r.message, 1), Size: mib, Limit: cmp.Or(r.answer,
			answerLimit),
	}
	if r.mode == "idle" {
		o.Duration = max(o.Duration, idleHold)
	}
	if r.tls == "implicit" {
		o.Proxy = p.Outside.String()
	}
	if p.PID != 0 {
		o.PIDs = []int{p.PID}
	}
	return o, o.Check()
}

const (
	answerLimit = 30 * time.Second // for one answer
	poolAnswer  = 5 * time.Second  // up-imapproxy lets some clients wait for ever
	idleHold    = 12 * time.Second // silence before memory is measured: any proxy may return what the logins took
)

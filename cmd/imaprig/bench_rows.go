package main

import (
	"cmp"
	"time"

	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

// benchRow is one load that every proxy in it is put under, and what is held against the targets.
type benchRow struct {
	name     string
	mode     string
	tls      string // "off" or "implicit"
	sessions int
	message  int           // of fetch
	fresh    bool          // in a process that has served nobody before
	users    int           // by turns, 0 for benchUsers
	ours     string        // whom the targets are of, "" for benchOwn
	slow     bool          // in front of the backend whose logins take their time
	answer   time.Duration // limit of one, 0 for benchAnswer
	proxies  []string
	figures  []benchFigure
	targets  []benchTarget
}

// benchFigure is a number that a load gives.
type benchFigure struct {
	name   string
	digits int
	none   bool // 0 is a finding, not a lack of one
	value  func(*load.Result) float64
}

// benchTarget is what a figure of ours must be: in proportion to a peer's, or by itself when there is no peer.
type benchTarget struct {
	figure int // of the row
	peer   string
	atMost bool // else at least
	factor float64
}

const (
	fetchSessions = 8
	mib           = 1 << 20
)

// The figures of the rows.
func figureRate() benchFigure {
	return benchFigure{"a second", 0, false, func(r *load.Result) float64 { return r.First().PerSecond }}
}

func figureCPU() benchFigure {
	return benchFigure{"CPU µs", 1, false, (*load.Result).CPUMicros}
}

func figureCPUPerGB() benchFigure {
	return benchFigure{"CPU s/GB", 3, false, (*load.Result).CPUPerGB}
}

func figureGB() benchFigure {
	return benchFigure{"GB/s", 2, false, (*load.Result).GBPerSecond}
}

func figureP50() benchFigure {
	return benchFigure{"p50 µs", 0, false, func(r *load.Result) float64 { return r.First().P50 }}
}

func figureP99() benchFigure {
	return benchFigure{"p99 µs", 0, false, func(r *load.Result) float64 { return r.First().P99 }}
}

func figureKiB() benchFigure {
	return benchFigure{"KiB a session", 2, false, func(r *load.Result) float64 {
		if r.Idle == nil {
			return 0
		}
		return r.Idle.PerSessionKiB
	}}
}

// figureLogins is what reaches the backend, for each session that was ended in order.
func figureLogins() benchFigure {
	return benchFigure{"backend logins a session", 3, true, func(r *load.Result) float64 {
		return float64(r.Logins) / float64(max(r.First().Count, 1))
	}}
}

func atMost(figure int, peer string, factor float64) benchTarget {
	return benchTarget{figure, peer, true, factor}
}

func atLeast(figure int, peer string, factor float64) benchTarget {
	return benchTarget{figure, peer, false, factor}
}

// benchRows are the targets. A row for what the proxy learns to do later is added here.
func benchRows(idle int) []benchRow {
	every := []string{benchOwn, benchNginx, benchNginx64, benchHAProxy, benchDirect}
	memory := []string{benchOwn, benchNginx, benchHAProxy}
	auth := []string{benchOwn, benchNginx, benchDirect}
	fetch := []benchFigure{figureCPUPerGB(), figureGB()}
	login := []benchFigure{figureRate(), figureCPU(), figureP99()}
	return []benchRow{
		{name: "idle in IDLE, plain", mode: "idle", tls: "off", sessions: idle, fresh: true, proxies: memory, figures: []benchFigure{figureKiB()},
			targets: []benchTarget{atMost(0, "", 2), atMost(0, benchHAProxy, 1), atMost(0, benchNginx, 0.2)}},
		{name: "idle in IDLE, TLS", mode: "idle", tls: "implicit", sessions: idle, fresh: true, proxies: memory, figures: []benchFigure{figureKiB()},
			targets: []benchTarget{atMost(0, "", 9), atMost(0, benchHAProxy, 0.5), atMost(0, benchNginx, 1.0/3)}},
		{name: "FETCH 1 MiB", mode: "fetch", tls: "off", sessions: fetchSessions, message: 2, proxies: every, figures: fetch,
			targets: []benchTarget{atMost(0, benchNginx, 0.45), atMost(0, benchNginx64, 1), atLeast(1, benchNginx, 2.5), atLeast(1, benchHAProxy, 1.7)}},
		{name: "FETCH 64 MiB", mode: "fetch", tls: "off", sessions: fetchSessions, message: 3, proxies: every, figures: fetch,
			targets: []benchTarget{atMost(0, benchNginx, 0.35), atMost(0, benchNginx64, 1), atLeast(1, benchNginx, 2.5), atLeast(1, benchHAProxy, 1.7)}},
		{name: "FETCH 64 MiB, TLS", mode: "fetch", tls: "implicit", sessions: fetchSessions, message: 3, proxies: every, figures: fetch,
			targets: []benchTarget{atMost(0, benchNginx, 0.75), atMost(0, benchNginx64, 1), atLeast(1, benchNginx, 1.3)}},
		{name: "login, plain", mode: "login", tls: "off", sessions: 32, proxies: auth, figures: login,
			targets: []benchTarget{atLeast(0, benchNginx, 1.2), atMost(1, benchNginx, 0.9)}},
		{name: "login, TLS", mode: "login", tls: "implicit", sessions: 32, proxies: auth, figures: login,
			targets: []benchTarget{atLeast(0, benchNginx, 2), atMost(1, benchNginx, 0.9)}},
		{name: "NOOP, 32 sessions", mode: "rtt", tls: "off", sessions: 32, proxies: every, figures: []benchFigure{figureRate(), figureP99(), figureCPU()},
			targets: []benchTarget{atLeast(0, benchNginx, 0.9), atMost(1, benchNginx, 1.5)}},
		{name: "NOOP, 1 session", mode: "rtt", tls: "off", sessions: 1, proxies: every, figures: []benchFigure{figureP50(), figureP99(), figureCPU()},
			targets: []benchTarget{atMost(0, benchNginx, 1.1)}},
		poolRow("login, backend connection from the pool", false, atLeast(0, benchNginx, 2.2)),
		poolRow("login, backend connection from the pool, logins of "+benchSlowLogin, true),
	}
}

// poolRow is short sessions of users that come again, as behind webmail.
func poolRow(name string, slow bool, targets ...benchTarget) benchRow {
	return benchRow{name: name, mode: "login", tls: "off", sessions: 32, users: poolUsers, ours: benchPool, slow: slow, answer: poolAnswer,
		proxies: poolProxies(), figures: []benchFigure{figureRate(), figureCPU(), figureP99(), figureLogins()}, targets: targets}
}

func poolProxies() []string { return []string{benchPool, benchOwn, benchNginx, benchUp, benchDirect} }

// Users by turns: those of the pool's rows come again while their connections still lie there.
const (
	benchUsers = 1000
	poolUsers  = 100
)

// own is whom the targets are of.
func (r benchRow) own() string { return cmp.Or(r.ours, benchOwn) }

// instance is the proxy that runs for this row.
func (r benchRow) instance(name string) string {
	if r.slow {
		return name + benchSlow
	}
	return name
}

// options are those of the load.
func (r benchRow) options(p *rig.Proxy, duration time.Duration) (load.Options, error) {
	mode, err := load.FindMode([]string{r.mode})
	if err != nil {
		return load.Options{}, err
	}
	o := load.Options{
		Mode: mode, Proxy: p.Addr.String(), TLS: r.tls, User: "bench%d", Password: "secret", Users: cmp.Or(r.users, benchUsers), Mailbox: "INBOX",
		Sessions: r.sessions, Duration: duration, Message: max(r.message, 1), Size: mib, Limit: cmp.Or(r.answer, benchAnswer),
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
	benchAnswer = 30 * time.Second // for one answer
	poolAnswer  = 5 * time.Second  // up-imapproxy lets some clients wait for ever
	idleHold    = 12 * time.Second // silence before memory is looked at: any proxy may give back what the logins took
)

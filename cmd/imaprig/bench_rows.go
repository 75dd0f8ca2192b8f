//go:build linux

package main

import "time"

// benchRow is one load that every proxy in it is put under, and what is held against the targets.
type benchRow struct {
	name     string
	mode     string
	tls      string // "off" or "implicit"
	sessions int
	message  int  // of fetch
	fresh    bool // in a process that has served nobody before
	proxies  []string
	figures  []benchFigure
	targets  []benchTarget
}

// benchFigure is a number that a load gives.
type benchFigure struct {
	name   string
	digits int
	value  func(*loadResult) float64
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
	return benchFigure{"a second", 0, func(r *loadResult) float64 { return r.first().PerSecond }}
}

func figureCPU() benchFigure {
	return benchFigure{"CPU µs", 1, (*loadResult).cpuMicros}
}

func figureCPUPerGB() benchFigure {
	return benchFigure{"CPU s/GB", 3, (*loadResult).cpuPerGB}
}

func figureGB() benchFigure {
	return benchFigure{"GB/s", 2, (*loadResult).gbPerSecond}
}

func figureP50() benchFigure {
	return benchFigure{"p50 µs", 0, func(r *loadResult) float64 { return r.first().P50 }}
}

func figureP99() benchFigure {
	return benchFigure{"p99 µs", 0, func(r *loadResult) float64 { return r.first().P99 }}
}

func figureKiB() benchFigure {
	return benchFigure{"KiB a session", 2, func(r *loadResult) float64 {
		if r.Idle == nil {
			return 0
		}
		return r.Idle.PerSessionKiB
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
		{"idle in IDLE, plain", "idle", "off", idle, 0, true, memory, []benchFigure{figureKiB()},
			[]benchTarget{atMost(0, "", 2), atMost(0, benchHAProxy, 1), atMost(0, benchNginx, 0.2)}},
		{"idle in IDLE, TLS", "idle", "implicit", idle, 0, true, memory, []benchFigure{figureKiB()},
			[]benchTarget{atMost(0, "", 9), atMost(0, benchHAProxy, 0.5), atMost(0, benchNginx, 1.0/3)}},
		{"FETCH 1 MiB", "fetch", "off", fetchSessions, 2, false, every, fetch,
			[]benchTarget{atMost(0, benchNginx, 0.45), atMost(0, benchNginx64, 1), atLeast(1, benchNginx, 2.5), atLeast(1, benchHAProxy, 1.7)}},
		{"FETCH 64 MiB", "fetch", "off", fetchSessions, 3, false, every, fetch,
			[]benchTarget{atMost(0, benchNginx, 0.35), atMost(0, benchNginx64, 1), atLeast(1, benchNginx, 2.5), atLeast(1, benchHAProxy, 1.7)}},
		{"FETCH 64 MiB, TLS", "fetch", "implicit", fetchSessions, 3, false, every, fetch,
			[]benchTarget{atMost(0, benchNginx, 0.75), atMost(0, benchNginx64, 1), atLeast(1, benchNginx, 1.3)}},
		{"login, plain", "login", "off", 32, 0, false, auth, login, []benchTarget{atLeast(0, benchNginx, 1.2), atMost(1, benchNginx, 0.9)}},
		{"login, TLS", "login", "implicit", 32, 0, false, auth, login, []benchTarget{atLeast(0, benchNginx, 2), atMost(1, benchNginx, 0.9)}},
		{"NOOP, 32 sessions", "rtt", "off", 32, 0, false, every, []benchFigure{figureRate(), figureP99(), figureCPU()},
			[]benchTarget{atLeast(0, benchNginx, 0.9), atMost(1, benchNginx, 1.5)}},
		{"NOOP, 1 session", "rtt", "off", 1, 0, false, every, []benchFigure{figureP50(), figureP99(), figureCPU()},
			[]benchTarget{atMost(0, benchNginx, 1.1)}},
	}
}

// options are those of the load.
func (r benchRow) options(p *proxy, duration time.Duration) (loadOptions, error) {
	mode, err := findMode([]string{r.mode})
	if err != nil {
		return loadOptions{}, err
	}
	o := loadOptions{
		mode: mode, proxy: p.addr.String(), tls: r.tls, user: "bench%d", password: "secret", users: 1000, mailbox: "INBOX",
		sessions: r.sessions, duration: duration, message: max(r.message, 1), size: mib, limit: benchAnswer,
	}
	if r.mode == "idle" {
		o.duration = max(o.duration, idleHold)
	}
	if r.tls == "implicit" {
		o.proxy = p.outside.String()
	}
	if p.pid != 0 {
		o.pids = []int{p.pid}
	}
	return o, o.check()
}

const (
	benchAnswer = 30 * time.Second // for one answer
	idleHold    = 12 * time.Second // silence before memory is looked at: any proxy may give back what the logins took
)

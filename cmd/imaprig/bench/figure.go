package bench

import (
	"fmt"
	"strconv"

	"imapproxy/cmd/imaprig/load"
)

// figure is a number that is computed from the result of a load.
type figure struct {
	name   string
	digits int
	none   bool // 0 is a finding, not a lack of one
	value  func(*load.Result) float64
}

// moreIsBetter reports whether the greater one of two values is the better one: of rates.
func (f figure) moreIsBetter() bool {
	return f.name == perSecond || f.name == gbPerSecond || f.name == handshakeRate
}

// better returns how many times better theirs is than ours, 0 when one of them is not there.
func (f figure) better(theirs, ours float64) float64 {
	switch {
	case theirs <= 0 || ours <= 0:
		return 0
	case f.moreIsBetter():
		return theirs / ours
	}
	return ours / theirs
}

func (f figure) text(v float64) string { return strconv.FormatFloat(v, 'f', f.digits, 64) }

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
	laterLogins      = "backend logins after a user's first"
	p99Before        = "p99 µs without handshakes"
	p99Rise          = "p99, times that without"
	handshakeRate    = "handshakes a second"
	loginP99         = "p99 µs of a TLS login"
	appendP50        = "APPEND, p50 µs"
	searchP50        = "SEARCH, p50 µs"
	busyRise         = "p99 of the busy, times that without the others"
	loginRise        = "CPU of a login, rise in %"
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

// figureLaterLogins returns the logins that reach the backend beyond one for each user.
func figureLaterLogins(users uint64) figure {
	return figure{laterLogins, 0, true, func(r *load.Result) float64 {
		return float64(r.Logins - min(r.Logins, users))
	}}
}

// figureOf returns a figure of the operation of that name, which another load than the first may have measured.
func figureOf(name, operation string, value func(load.Operation) float64) figure {
	return figure{name, 0, false, func(r *load.Result) float64 { return value(r.Operation(operation)) }}
}

func medianOf(o load.Operation) float64 { return o.P50 }
func p99Of(o load.Operation) float64    { return o.P99 }
func rateOf(o load.Operation) float64   { return o.PerSecond }

// figureHandshakes are those of NOOP with and without TLS handshakes.
func figureHandshakes() []figure {
	return []figure{
		figureOf(p99Before, noopBefore, p99Of), figureP99(),
		{p99Rise, 2, false, func(r *load.Result) float64 {
			return r.First().P99 / max(r.Operation(noopBefore).P99, 1e-3)
		}},
		figureOf(loginP99, "login", p99Of), figureOf(handshakeRate, "handshake", rateOf),
	}
}

// figuresScale are the findings of the mode scale that compare many sessions with few.
func figuresScale() []figure {
	finding := func(name string) func(*load.Result) float64 {
		return func(r *load.Result) float64 { return r.Finding(name) }
	}
	return []figure{{busyRise, 2, false, finding(load.ScaleRatio)}, {loginRise, 1, true, finding(load.ScaleRise)}}
}

// target is a bound of a figure of ours: as a multiple of a peer's, or absolute without a peer.
type target struct {
	figure string // name of one of the row
	peer   string
	atMost bool // else at least
	factor float64
	ours   string // the proxy that it is for, "" for the row's own
}

func atMost(figure string, peer string, factor float64) target {
	return target{figure: figure, peer: peer, atMost: true, factor: factor}
}

func atLeast(figure string, peer string, factor float64) target {
	return target{figure: figure, peer: peer, factor: factor}
}

// of returns the target for another of our proxies.
func (t target) of(ours string) target {
	t.ours = ours
	return t
}

func (t target) holds(v float64) bool {
	if t.atMost {
		return v <= t.factor
	}
	return v >= t.factor
}

func (t target) text(f figure) string {
	sign := "≥"
	if t.atMost {
		sign = "≤"
	}
	if t.peer == "" {
		return fmt.Sprintf("%s %s %g", f.name, sign, t.factor)
	}
	return fmt.Sprintf("%s %s %.2f × %s", f.name, sign, t.factor, t.peer)
}

package bench

import (
	"fmt"
	"slices"
	"time"

	"imapproxy/cmd/imaprig/load"
)

const (
	fetchSessions = 8
	mib           = 1 << 20
	quarterMiB    = 4                     // the backend's message of 256 KiB
	noopPace      = 10 * time.Millisecond // 32 sessions leave most of two cores to the handshakes
)

// Titles of the tables of medians for rows whose proxies are not those of the first.
const (
	tableMedians    = "All medians"
	tableLogins     = "Logins"
	tableLiterals   = "Clients with Nagle's algorithm on"
	tableHandshakes = "NOOP during 500 TLS handshakes a second"
	tableScale      = "Busy sessions among many"
	tablePool       = "Backend connections from the pool"
)

// rows returns the loads of the benchmark with their targets. Add a row for a new ability of the proxy here.
func rows(idle, scale int) []row {
	return slices.Concat(idleRows(idle), fetchRows(), loginRows(), noopRows(), handshakeRows(), []row{
		literalRow(), scaleOf(scale),
		poolRow("login, backend connection from the pool", "", atLeast(perSecond, proxyNginx, 1.6),
			atMost(laterLogins, "", 0)),
		poolRow("login, backend connection from the pool, logins of "+slowLogin, slowSuffix),
	})
}

// everyProxy are those of the first table.
func everyProxy() []string {
	return []string{proxyOwn, proxyNginx, proxyNginx64, proxyHAProxy, proxyDirect}
}

func idleRows(sessions int) []row {
	idle := row{mode: "idle", tls: "implicit", sessions: sessions, fresh: true,
		proxies: []string{proxyOwn, proxyNginx, proxyHAProxy}, figures: []figure{figureKiB()}}
	plain, secure, fetched := idle, idle, idle
	plain.name, plain.tls = "idle in IDLE, plain", "off"
	plain.says = "sites whose clients stay connected: so much memory for each, and 8 KiB of the kernel's with any proxy"
	plain.targets = []target{atMost(kibPerSession, "", 2.5), atMost(kibPerSession, proxyHAProxy, 1)}
	secure.name = "idle in IDLE, TLS"
	secure.says = "the same for clients with TLS, which is most of them"
	secure.targets = []target{atMost(kibPerSession, "", 6), atMost(kibPerSession, proxyHAProxy, 0.5),
		atMost(kibPerSession, proxyNginx, 1.0/3)}
	fetched.name, fetched.message = "idle in IDLE, TLS, after a FETCH of 256 KiB", quarterMiB
	fetched.says = "the same once they have read mail: what the proxy keeps of the buffers that it needed"
	fetched.targets = []target{atMost(kibPerSession, "", 7)}
	return []row{plain, secure, fetched}
}

func fetchRows() []row {
	fetch := row{mode: "fetch", tls: "off", sessions: fetchSessions, proxies: everyProxy(),
		figures: []figure{figureCPUPerGB(), figureGB()}}
	small, large, secure := fetch, fetch, fetch
	small.name, small.message = "FETCH 1 MiB", 2
	small.says = "mail with attachments: the CPU time that reading costs. nginx's rate has pauses of 40 ms in it"
	small.targets = []target{atMost(cpuPerGB, proxyNginx, 0.45), atMost(cpuPerGB, proxyNginx64, 1),
		atLeast(gbPerSecond, proxyNginx, 2.5), atLeast(gbPerSecond, proxyHAProxy, 1.7)}
	large.name, large.message = "FETCH 64 MiB", 3
	large.says = "large transfers, such as migrations and backups"
	large.targets = []target{atMost(cpuPerGB, proxyNginx, 0.37), atMost(cpuPerGB, proxyNginx64, 1),
		atLeast(gbPerSecond, proxyNginx, 2.3), atLeast(gbPerSecond, proxyHAProxy, 1.7)}
	secure.name, secure.message, secure.tls = "FETCH 64 MiB, TLS", 3, "implicit"
	secure.says = "the same with TLS, where encryption is most of the cost"
	secure.targets = []target{atMost(cpuPerGB, proxyNginx, 0.75), atMost(cpuPerGB, proxyNginx64, 1),
		atLeast(gbPerSecond, proxyNginx, 1.3)}
	return []row{small, large, secure}
}

func loginRows() []row {
	login := row{table: tableLogins, mode: "login", sessions: 32,
		figures: []figure{figureRate(), figureCPU(), figureP99()}}
	plain, secure := login, login
	plain.name, plain.tls = "login, plain", "off"
	plain.says = "webmail and scripts that log in for each request. imapproxy-compat is what takes nginx's place " +
		"with nginx's own configuration"
	plain.proxies = []string{proxyOwn, proxyCompat, proxyNginx, proxyDirect}
	plain.targets = []target{atLeast(perSecond, proxyNginx, 1.15), atMost(cpuMicros, proxyNginx, 1.1),
		atLeast(perSecond, proxyNginx, 1.2).of(proxyCompat), atMost(cpuMicros, proxyNginx, 1.05).of(proxyCompat)}
	secure.name, secure.tls = "login, TLS", "implicit"
	secure.says = "how soon all clients are back after a restart: the handshake is most of it"
	secure.proxies = []string{proxyOwn, proxyNginx, proxyDirect}
	secure.targets = []target{atLeast(perSecond, proxyNginx, 2.4), atMost(cpuMicros, proxyNginx, 0.65)}
	return []row{plain, secure}
}

func noopRows() []row {
	noop := row{mode: "rtt", tls: "off", proxies: everyProxy()}
	many, one := noop, noop
	many.name, many.sessions = "NOOP, 32 sessions", 32
	many.says = "how many small commands a machine passes on, and how long they wait when it is busy"
	many.figures = []figure{figureRate(), figureP99(), figureCPU()}
	many.targets = []target{atLeast(perSecond, proxyNginx, 0.9), atMost(p99, proxyNginx, 1.2)}
	one.name, one.sessions = "NOOP, 1 session", 1
	one.says = "what a proxy adds to the time of each command when nothing else happens"
	one.figures = []figure{figureP50(), figureP99(), figureCPU()}
	one.targets = []target{atMost(p50, proxyNginx, 1.05)}
	return []row{many, one}
}

// handshakeRows returns NOOPs as fast as answers come, and at a pace that leaves the cores to the handshakes, for each
// kind of certificate.
func handshakeRows() (all []row) {
	for _, suffix := range []string{"", rsaSuffix} {
		proxies, certificate := []string{proxyOwn, proxyNginx, proxyHAProxy, proxyDirect}, "ECDSA P-256"
		if suffix == rsaSuffix {
			proxies, certificate = proxies[:3], "RSA 2048" // the backend has no such certificate
		}
		for _, pace := range []time.Duration{0, noopPace} {
			r := row{table: tableHandshakes, mode: "rtt", tls: "off", sessions: 32, handshakes: true, suffix: suffix,
				pace: pace, proxies: proxies, figures: figureHandshakes(),
				targets: []target{atMost(p99Rise, "", 2)}}
			r.name = fmt.Sprintf("NOOP, 32 sessions, during handshakes with %s", certificate)
			r.says = "what clients notice while many others connect, with all cores in use"
			if pace > 0 {
				r.says = "the same on a machine that has time left"
				r.name = fmt.Sprintf("NOOP every %v, 32 sessions, during handshakes with %s", pace, certificate)
			}
			all = append(all, r)
		}
	}
	return all
}

func literalRow() row {
	return row{name: "APPEND and SEARCH in two writes",
		says:  "clients in Java, and others that leave Nagle's algorithm on: the time of a small APPEND or SEARCH",
		table: tableLiterals, mode: "literals", tls: "off",
		sessions: 4, suffix: slowSuffix,
		proxies: []string{proxyOwn, proxyNginx, proxyHAProxy, proxyDirect},
		figures: []figure{figureOf(appendP50, "APPEND", medianOf), figureOf(searchP50, "SEARCH", medianOf)},
		targets: []target{atMost(appendP50, proxyDirect, 1.5), atMost(searchP50, proxyDirect, 1.5)}}
}

func scaleOf(sessions int) row {
	return row{says: "whether idle sessions slow down those that work, and logins",
		name: fmt.Sprintf("scale: %d sessions, %d of them busy", sessions, load.ScaleBusy), table: tableScale,
		mode: "scale", tls: "off", sessions: sessions, fresh: true,
		proxies: []string{proxyOwn, proxyNginx, proxyHAProxy}, figures: figuresScale(),
		targets: []target{atMost(busyRise, "", 1.15), atMost(loginRise, "", 5)}}
}

// poolRow returns a load of short sessions of users that come again, as webmail makes them.
func poolRow(name, suffix string, targets ...target) row {
	r := row{name: name, table: tablePool, mode: "login", tls: "off", sessions: 32, users: poolUsers, ours: proxyPool,
		suffix: suffix, answer: poolAnswer,
		proxies: []string{proxyPool, proxyOwn, proxyNginx, proxyUp, proxyDirect},
		figures: []figure{figureRate(), figureCPU(), figureP99(), figureLogins(), figureLaterLogins(poolUsers)},
		targets: targets}
	r.says = "webmail, whose users come again and again: what a pool of backend connections saves"
	if suffix == slowSuffix {
		r.says = "the same where a login costs the backend " + slowLogin
	}
	return r
}

// Users by turns: those of the pool's rows come again while their connections still lie there.
const (
	defaultUsers = 1000
	poolUsers    = 100
)

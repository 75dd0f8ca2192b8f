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
	name       string
	says       string // to whom it matters, "" for a row that the one before it explains
	table      string // title of the table of its medians, "" for the first
	mode       string
	tls        string // "off" or "implicit"
	sessions   int
	message    int           // of fetch; of idle: read before IDLE, 0 = none
	pace       time.Duration // of rtt: between two NOOPs of a session, 0 = none
	fresh      bool          // in a process that has not served a client before
	handshakes bool          // measured without, and then with TLS handshakes of other clients
	users      int           // by turns, 0 for defaultUsers
	ours       string        // proxy that the targets apply to, "" for proxyOwn
	suffix     string        // of the proxies that are run: slowSuffix, rsaSuffix or ""
	answer     time.Duration // limit of one, 0 for answerLimit
	proxies    []string
	figures    []figure
	targets    []target
}

// own returns the proxy that the targets apply to.
func (r row) own() string { return cmp.Or(r.ours, proxyOwn) }

// index returns where one of the row's figures is, by name; a row has those of its targets.
func (r row) index(name string) int {
	return slices.IndexFunc(r.figures, func(f figure) bool { return f.name == name })
}

// instance returns the name of the proxy that runs for this row.
func (r row) instance(name string) string { return name + r.suffix }

// options returns those of the load.
func (r row) options(p *rig.Proxy, duration time.Duration) (load.Options, error) {
	mode, err := load.FindMode([]string{r.mode})
	if err != nil {
		return load.Options{}, err
	}
	o := load.Options{
		Mode: mode, Proxy: p.Addr.String(), TLS: r.tls, User: "bench%d", Password: "secret", Users: cmp.Or(r.users,
			defaultUsers), Mailbox: "INBOX",
		Sessions: r.sessions, Duration: duration, Message: r.message, Size: mib, Pace: r.pace,
		Limit: cmp.Or(r.answer, answerLimit), BelowLimit: p.Name != proxyOwn,
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

// What a run takes in addition to its measurements, by experience on 2 cores: opening and ending of 1,000 sessions, the
// start of a proxy, the part of scale that goes to the descriptor limit.
const (
	openThousand = 700 * time.Millisecond
	startProxy   = 500 * time.Millisecond
	reachLimit   = 20 * time.Second
)

// length returns how long the row's load takes on one proxy, about.
func (r row) length(name string, duration time.Duration) time.Duration {
	total := duration
	switch {
	case r.mode == "idle":
		total = max(duration, idleHold)
	case r.mode == "scale":
		total = 4 * duration
		if name == proxyOwn {
			total += reachLimit
		}
	case r.handshakes:
		total = 2*duration + 2*handshakesLead
	}
	if r.fresh {
		total += startProxy
	}
	return total + openThousand*time.Duration(r.sessions)/1000
}

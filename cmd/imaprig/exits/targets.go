package exits

import (
	"fmt"
	"slices"
	"time"
)

// The limits of the targets.
const (
	goneWithin     = 10 * time.Second // the proxy's part is done
	vanishedWithin = 30 * time.Second // where it has to find out that the client is gone
	judgedAtTheEnd = 0                // at the last count only
	notJudged      = time.Duration(-1)
)

// The targets that are about sessions, not about what is left of them.
const (
	targetPlanned = "sessions as planned"
	targetForeign = "foreign bytes"
)

// target is what must hold in every cell, except where within says that it is not judged.
type target struct {
	name   string
	Text   string                            // for people
	within func(r *cellResult) time.Duration // it holds at every count from here on, and at the last; notJudged
	found  func(r *cellResult, at count) int // what must be 0; less where it could not be counted
}

// targets returns those that are judged at the counts. Others, of the whole run, are in judgeRun.
func targets() []target {
	return []target{
		{"server sockets", "no socket of the server in CLOSE_WAIT or ESTABLISHED", whenProxyIsDone, backendSockets},
		{"proxy descriptors", "no descriptor of these sessions in the proxy", whenProxyIsDone,
			func(_ *cellResult, at count) int { return at.ProxyFDs }},
		{"server descriptors", "no descriptor open in the server", whenJavaCanClose,
			func(_ *cellResult, at count) int { return at.JavaFDs }},
		{targetPlanned, "every session came as far as its ending, and to the backend", atTheEnd,
			func(r *cellResult, _ count) int { return max(r.Sessions-r.Opened, r.Expected-r.Reached) }},
		{targetForeign, "no session read another session's bytes", atTheEnd,
			func(r *cellResult, _ count) int { return r.Foreign }},
	}
}

func atTheEnd(*cellResult) time.Duration { return judgedAtTheEnd }

// backendSockets counts the sockets that linger at the backend; of one whose sockets can't be seen, the proxy's.
func backendSockets(_ *cellResult, at count) int {
	if at.Backend == nil {
		return at.Upstream.sum(lingering)
	}
	return at.Backend.sum(lingering)
}

// Settings of the proxies that a run starts.
const (
	settingsTuned    = "tuned"    // alike, as far as each can: clients that vanish are found within vanishedWithin
	settingsDefaults = "defaults" // as they are installed: when a client that has vanished is found is not judged
)

// whenProxyIsDone returns notJudged where there is no proxy: what is left then is a finding about the backend. Defaults
// have no time within which a client that has vanished must be found.
func whenProxyIsDone(r *cellResult) time.Duration {
	if r.direct || r.defaults && endingOf(r.cell).vanishes {
		return notJudged
	}
	return whenGone(r.cell)
}

func whenGone(c cell) time.Duration {
	if endingOf(c).vanishes {
		return vanishedWithin
	}
	return goneWithin
}

// whenJavaCanClose returns notJudged for the faults that no proxy can cure: a worker that is stuck or waits, a handler
// that forgets to close whatever it reads, and a message broken off, after which no LOGOUT can be sent. Of a backend
// whose faults are not known, what it keeps is a finding, too.
func whenJavaCanClose(r *cellResult) time.Duration {
	switch r.Mode {
	case "stuck-worker", "stuck-fetch", "no-close-on-eof", "slow-greeting", modeAsIs, modeHanging,
		modeHangingFetch, modeHangingLogin, modeHangingConnect:
		return notJudged
	}
	if whenProxyIsDone(r) == notJudged || endingOf(r.cell).literal && r.Mode != "good" {
		return notJudged
	}
	return judgedAtTheEnd
}

// miss is a target that does not hold.
type miss struct {
	Target  string  `json:"target"`
	Found   int     `json:"found"`
	Seconds float64 `json:"seconds"` // after the end, of the count that shows it first
}

func (m miss) String() string {
	return fmt.Sprintf("%s: %d after %.0f s, must be 0", m.Target, m.Found, m.Seconds)
}

// judge compares a cell with the targets. A target is missed once, at the first count that shows it.
func judge(r *cellResult) []miss {
	var misses []miss
	for _, t := range targets() {
		within := t.within(r)
		if within == notJudged || r.NotRun != "" || len(r.Counts) == 0 {
			continue
		}
		for i, at := range r.Counts {
			last := i == len(r.Counts)-1
			if !last && (within == judgedAtTheEnd || at.Planned < within.Seconds()) {
				continue
			}
			if n := t.found(r, at); n > 0 {
				misses = append(misses, miss{t.name, n, at.Seconds})
				break
			}
		}
	}
	return misses
}

// judgeRun compares what the backend counted over all cells with the targets.
func judgeRun(r *proxyResult) []miss {
	var misses []miss
	for mode, c := range r.Java {
		if c.Polluted > 0 {
			misses = append(misses, miss{"messages with a LOGOUT in them, mode " + mode, int(c.Polluted), r.Seconds})
		}
	}
	if r.StoredUnasked > 0 {
		misses = append(misses, miss{"messages stored that no client sent whole", r.StoredUnasked, r.Seconds})
	}
	if r.Unattributed > 0 {
		misses = append(misses, miss{"server descriptors that belong to no cell", r.Unattributed, r.Seconds})
	}
	return misses
}

// latest returns the last limit that the cells are judged by: a count must come as late. Without a proxy there is none.
func (o *options) latest() time.Duration {
	var most time.Duration
	isProxy := func(name string) bool { return name != proxyDirect }
	if o.proxy == "" && o.self == "" && !slices.ContainsFunc(o.peers, isProxy) {
		return 0
	}
	for _, c := range o.cells {
		most = max(most, whenGone(c))
	}
	return most
}

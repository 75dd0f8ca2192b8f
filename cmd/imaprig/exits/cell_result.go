package exits

import (
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/rig"
)

// This file is what a run finds out, in the shape of the JSON report.

// runResult is the whole of it.
type runResult struct {
	Began    time.Time     `json:"began"`
	Backend  backendInfo   `json:"backend"`
	Client   clientInfo    `json:"client"`
	Settings string        `json:"settings"` // of every peer: "tuned" or "defaults"
	Verdicts []verdict     `json:"verdicts"` // on the backend, by mode
	Sessions int           `json:"sessions"` // a cell
	After    []float64     `json:"after_seconds"`
	Proxies  []proxyResult `json:"proxies"`
}

// backendInfo is what is known about the backend.
type backendInfo struct {
	Kind    string   `json:"kind"`              // "java" is our own program, "davmail", or "server", any that runs
	Name    string   `json:"name"`              // for people, with its version where that is known
	Source  string   `json:"source,omitempty"`  // file of our own program
	Address string   `json:"address,omitempty"` // of a server that runs already
	Unknown []string `json:"unknown,omitempty"` // sentences on what can't be counted, and why
}

// proxyResult is one proxy's run.
type proxyResult struct {
	Name          string                    `json:"name"`
	Version       string                    `json:"version,omitempty"`
	Settings      string                    `json:"settings,omitempty"` // what was set other than its defaults
	NoLogin       string                    `json:"no_login,omitempty"` // why no login is possible through it
	Seconds       float64                   `json:"seconds"`
	Direct        bool                      `json:"direct,omitempty"` // no proxy: clients connect to the backend
	Cells         []*cellResult             `json:"cells"`
	Java          map[string]rig.JavaCounts `json:"java"`           // by mode; none of a backend that keeps no counts
	StoredUnasked int                       `json:"stored_unasked"` // no ending sends a message whole
	// descriptors open in Java that no cell accounts for
	Unattributed int    `json:"unattributed"`
	Misses       []miss `json:"misses"` // of the run, in addition to those of its cells
}

// cellResult is one cell. Counts holds one for each planned time; Series one for each second.
type cellResult struct {
	cell
	direct   bool    // no proxy
	defaults bool    // the proxy has its default settings
	Sessions int     `json:"sessions"`          // planned
	Opened   int     `json:"opened"`            // came as far as their ending
	Expected int     `json:"expected"`          // connections that the backend should see at least
	Reached  int     `json:"reached"`           // connections that it saw
	Foreign  int     `json:"foreign"`           // sessions that read another session's bytes
	Problem  string  `json:"problem,omitempty"` // the first error of a session
	NotRun   string  `json:"not_run,omitempty"` // why
	Counts   []count `json:"counts"`
	Series   []point `json:"series"`
	Misses   []miss  `json:"misses"`
	answered []answerTime
	Answers  *answers `json:"answers,omitempty"`
}

// count is what there was at one moment. A connection has two sockets on this machine: the backend's and the proxy's
// (Upstream), or the proxy's (Downstream) and the client's. Without a proxy they are the backend's and the client's.
// TIME_WAIT is left out: it is how TCP ends well.
type count struct {
	Planned    float64 `json:"planned"` // seconds after the end
	Seconds    float64 `json:"seconds"` // when it was really done
	Backend    states  `json:"backend"` // nil = they can't be seen
	Upstream   states  `json:"upstream"`
	Downstream states  `json:"downstream"`
	Client     states  `json:"client"`
	ProxyFDs   int     `json:"proxy_fds"` // -1 = its process is not known
	JavaFDs    int     `json:"java_fds"`  // in the backend; -1 = its process is not known
}

// states counts sockets by state.
type states map[wire.State]stateCount

// stateCount is how many sockets are in a state, and the bytes that their programs have not read.
type stateCount struct {
	Sockets  int    `json:"sockets"`
	MinRecvQ uint64 `json:"min_recv_q"`
	MaxRecvQ uint64 `json:"max_recv_q"`
}

// lingering reports whether a connection in this state is not over.
func lingering(s wire.State) bool { return s == wire.StateCloseWait || s == wire.StateEstablished }

func (s states) add(e wire.TableEntry) {
	c, known := s[e.State]
	if !known {
		c.MinRecvQ = e.RecvQ
	}
	s[e.State] = stateCount{c.Sockets + 1, min(c.MinRecvQ, e.RecvQ), max(c.MaxRecvQ, e.RecvQ)}
}

func (s states) sum(in func(wire.State) bool) int {
	n := 0
	for state, c := range s {
		if in(state) {
			n += c.Sockets
		}
	}
	return n
}

// point is what the chart shows of one second.
type point struct {
	Seconds     float64 `json:"t"` // after the end
	CloseWait   int     `json:"cw"`
	Established int     `json:"est"`
	ProxyFDs    int     `json:"proxy"`
	JavaFDs     int     `json:"java"`
}

func (c count) point() point {
	return point{c.Seconds, c.Backend[wire.StateCloseWait].Sockets, c.Backend[wire.StateEstablished].Sockets,
		c.ProxyFDs, c.JavaFDs}
}

// misses counts all of them.
func (r *runResult) misses() (n int) {
	for _, p := range r.Proxies {
		n += len(p.Misses)
		if p.NoLogin != "" {
			n++
		}
		for _, c := range p.Cells {
			n += len(c.Misses)
		}
	}
	return n
}

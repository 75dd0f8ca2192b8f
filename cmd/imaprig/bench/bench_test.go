package bench

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/load"
	"imapproxy/cmd/imaprig/rig"
)

// smallBench has a target of each kind: met, not met, not measured.
func smallBench() *result {
	row := row{name: "FETCH", says: "large mail", proxies: everyProxy(),
		figures: []figure{figureCPUPerGB(), figureGB()},
		targets: []target{atMost(cpuPerGB, "", 1), atMost(cpuPerGB, proxyNginx, 0.5),
			atLeast(gbPerSecond, proxyNginx, 2), atLeast(gbPerSecond, proxyHAProxy, 1.5)}}
	m := measurement{row: row, Name: row.name, Rounds: map[string][][]float64{
		proxyOwn:     {{0.3, 3}, {0.2, 2}, {0.1, 4}},
		proxyNginx:   {{0.5, 2}, {0.4, 1}, {0.5, 2}},
		proxyNginx64: {{0.1, 2.9}}, proxyDirect: {{0, 9}},
	}}
	return &result{
		Began: time.Unix(0, 0), Seconds: 60, Rounds: 3, Duration: 4, Machine: "2 cores", Rows: []measurement{m},
		Proxies: []proxyInfo{{"nginx", "nginx/1", "defaults"}, {"imapproxy", "1", ""}},
		Scale:   []load.ScaleFigure{{Name: "ratio", Value: 1.7, Unit: "times", Limit: "at most 1.5"}},
		NotRun:  []string{"haproxy: not | installed"},
		Errors:  []string{"round 1, FETCH, nginx: 1 × FETCH: closed (EOF)"},
	}
}

const smallBenchPage = `### Targets

| load | target | our median | the peer's | ratio (of the rounds) |  |
|---|---|---|---|---|---|
| FETCH | CPU s/GB ≤ 1 | 0.200 | - | - | met |
| FETCH | CPU s/GB ≤ 0.50 × nginx | 0.200 | 0.500 | 0.40 (0.20 to 0.60) | met |
| FETCH | GB/s ≥ 2.00 × nginx | 3.00 | 2.00 | 1.50 (1.50 to 2.00) | NOT MET |
| FETCH | GB/s ≥ 1.50 × haproxy | 3.00 | - | - | not measured |

### Where others are better

| load | figure | ours | better | by |
|---|---|---|---|---|
| FETCH | CPU s/GB | imapproxy 0.200 | nginx-64k 0.100 | 2.00 times |

### Which row says what

| load | matters to, or says |
|---|---|
| FETCH | large mail |

### All medians

| load | figure | imapproxy | nginx | nginx-64k | haproxy | direct |
|---|---|---|---|---|---|---|
| FETCH | CPU s/GB | 0.200 | 0.500 | 0.100 | - | - |
| FETCH | GB/s | 3.00 | 2.00 | 2.90 | - | 9.00 |

### Many sessions on one machine

| finding | value | target |  |
|---|---|---|---|
| ratio | 1.70 times | at most 1.5 | NOT MET |

- 1970-01-01 00:00 UTC: 2 cores; 3 rounds, 4 s a measurement, 60 s in all.
- nginx: nginx/1; defaults.
- imapproxy: 1.
- Not measured: haproxy: not / installed
- Errors in round 1, FETCH, nginx: 1 × FETCH: closed (EOF)
`

func TestBenchPage(t *testing.T) {
	if got := smallBench().markdown(); got != smallBenchPage {
		t.Errorf("got\n%s\nwant\n%s", got, smallBenchPage)
	}
	path := filepath.Join(t.TempDir(), "page.md")
	rigtest.WriteFile(t, path, "before\n"+pageBegin+"\nold\n"+pageEnd+"\nbehind\n")
	for range 2 { // the second time replaces the first
		if err := errors.Join(mayUpdatePage(path), updatePage(path, "new\n")); err != nil {
			t.Fatal(err)
		}
	}
	if got := rigtest.ReadFile(t, path); got != "before\n"+pageBegin+"\n\nnew\n\n"+pageEnd+"\nbehind\n" {
		t.Errorf("the page is %q", got)
	}
	rigtest.WriteFile(t, path, pageEnd+pageBegin)
	rigtest.CheckError(t, mayUpdatePage(path), "no lines")
}

const poolBenchTable = `### Backend connections from the pool

| load | figure | imapproxy-pool | imapproxy | nginx | up-imapproxy | direct |
|---|---|---|---|---|---|---|
| logins | a second | 6000 | - | 2000 | - | - |
| logins | backend logins a session | 0.000 | - | 1.000 | - | - |
| logins | backend logins after a user's first | 0 | - | 1998 | - | - |

`

// TestBenchPool wants the pool's rows in a table of their own, and its figures held against the target; no login at all
// is a finding.
func TestBenchPool(t *testing.T) {
	row := poolRow("logins", "", atLeast(perSecond, proxyNginx, 2.2), atMost(laterLogins, "", 0))
	row.figures = []figure{figureRate(), figureLogins(), figureLaterLogins(2)}
	m := measurement{row: row, Name: row.name, Rounds: map[string][][]float64{}}
	done := func(n uint64, perSecond float64, logins uint64) *load.Result {
		return &load.Result{Operations: []load.Operation{{Count: n, PerSecond: perSecond}}, Logins: logins}
	}
	m.take(proxyPool, 0, done(6000, 6000, 2))
	m.take(proxyNginx, 0, done(2000, 2000, 2000))
	if got := m.line(done(6000, 6000, 0)); got != "6000 a second, 0.000 backend logins a session, 0 "+laterLogins {
		t.Errorf("in words %q", got)
	}
	r := &result{Rows: []measurement{m}}
	got := r.markdown()
	if !strings.Contains(got, poolBenchTable) || strings.Contains(got, "All medians") {
		t.Errorf("got\n%s\nwant\n%s", got, poolBenchTable)
	}
	if want := "| logins | a second ≥ 2.20 × nginx | 6000 | 2000 | 3.00 | met |\n" +
		"| logins | " + laterLogins + " ≤ 0 | 0 | - | - | met |\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
	if name := poolRow("", slowSuffix).instance(proxyNginx); name != "nginx-slow" {
		t.Errorf("the row runs on %q", name)
	}
}

// TestTargetOfAnother wants a target that is not for the row's own proxy to be held against the figures of its own.
func TestTargetOfAnother(t *testing.T) {
	row := loginRows()[0]
	m := measurement{row: row, Name: "login", Rounds: map[string][][]float64{
		proxyOwn: {{1, 9, 0}, {1, 9, 0}}, proxyCompat: {{30, 2, 0}, {10, 2, 0}}, proxyNginx: {{10, 2, 0}, {10, 2, 0}}}}
	all := m.verdicts()
	want := verdict{"login: imapproxy-compat", "a second ≥ 1.20 × nginx", "20", "10", "2.00 (1.00 to 3.00)", "met"}
	if len(all) != 4 || all[0].met != "NOT MET" || all[2] != want {
		t.Errorf("got %+v, want the third to be %+v", all, want)
	}
}

// TestPlan wants the time of make bench to stay within 40 minutes, and within its own limit.
func TestPlan(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b := &run{opts: o, result: newResult(o)}
	if got := b.plan(); got < 10*time.Minute || got > 40*time.Minute || got > o.limit {
		t.Errorf("make bench takes %v by its own plan", got)
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
		have   bool
	}{{nil, 0, false}, {[]float64{3}, 3, true}, {[]float64{9, 1, 2}, 2, true}, {[]float64{4, 1, 2, 9}, 3, true}} {
		if got, have := median(tt.values); got != tt.want || have != tt.have {
			t.Errorf("%v: %v, %v", tt.values, got, have)
		}
	}
}

func TestMiddle(t *testing.T) {
	run := func(ratio, sessions float64) []load.ScaleFigure {
		return []load.ScaleFigure{
			{Name: "ratio", Value: ratio, Unit: "times", Limit: "at most 2", Met: ratio <= 2},
			{Name: "sessions", Value: sessions, Limit: "9", Met: sessions >= 9},
		}
	}
	got := middle([][]load.ScaleFigure{run(5, 9), run(1, 8), run(1.5, 9), nil})
	if len(got) != 2 || got[0].Value != 1.5 || got[1].Value != 8 || got[1].Met {
		t.Errorf("got %+v, want the middle ratio and the worst count", got)
	}
	if middle(nil) != nil {
		t.Error("nothing has a middle")
	}
}

// TestRounds wants a round that was not measured to be left out, and the others to meet their like.
func TestRounds(t *testing.T) {
	m := smallBench().Rows[0]
	m.Rounds[proxyOwn][1] = nil
	if v, have := m.median(proxyOwn, 0); v != 0.2 || !have { // of 0.3 and 0.1
		t.Errorf("median %v, %v", v, have)
	}
	if got := m.spread(m.row.targets[1]); got != " (0.20 to 0.60)" {
		t.Errorf("spread %q", got)
	}
	m.take(proxyHAProxy, 2, &load.Result{Operations: []load.Operation{{Count: 1}}, Bytes: 2e9, Seconds: 1})
	if rounds := m.Rounds[proxyHAProxy]; len(rounds) != 3 || rounds[0] != nil || rounds[2][1] != 2 {
		t.Errorf("rounds %v", rounds)
	}
}

// TestBenchRuns goes through all rows with the fast backend in the proxies' place, one of which can't be had.
func TestBenchRuns(t *testing.T) {
	rigtest.NotQuick(t)
	to := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort})
	o, err := parse([]string{"--rounds", "1", "--duration", "200ms", "--idle-sessions", "5", "--scale-sessions", "400",
		"--rows", "idle,FETCH,NOOP,scale"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	started, stopped := 0, 0
	start := func(_ context.Context, name string) (*rig.Proxy, error) {
		if name == proxyHAProxy {
			return nil, errors.New("not installed")
		}
		started++
		return &rig.Proxy{Name: name, Version: "1", Addr: rigtest.Addr(to[0]), Outside: rigtest.Addr(to[1]),
			Stop: func() error { stopped++; return nil }}, nil
	}
	b := &run{opts: o, start: start, stderr: io.Discard, result: newResult(o)}
	rigtest.CheckError(t, b.run(t.Context()), "not everything was measured: haproxy: not installed")
	if started == 0 || started != stopped {
		t.Errorf("%d proxies were started, %d stopped", started, stopped)
	}
	if len(b.result.Errors) > 0 || len(b.result.Scale) == 0 || b.result.Missing[proxyHAProxy] != "not installed" {
		t.Errorf("found %+v", *b.result)
	}
	for _, row := range b.result.Rows {
		for _, name := range row.row.proxies {
			if n := len(row.Rounds[name]); n != 1 && name != proxyHAProxy {
				t.Errorf("%s, %s: %d rounds", row.Name, name, n)
			}
		}
	}
	text := b.result.text()
	for _, want := range []string{"NOOP, 1 session", "Not measured: haproxy: not installed", "not measured\n",
		"sessions open at once"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

// TestBenchLimit wants what does not fit into the time to be named.
func TestBenchLimit(t *testing.T) {
	to := rigtest.Start(t, rig.NewFastBackend, rig.BackendOptions{Listen: rigtest.AnyPort, TLSListen: rigtest.AnyPort})
	o, err := parse([]string{"--rounds", "5", "--duration", "100ms", "--limit", "200ms", "--rows", "1 session,SCALE"},
		io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	start := func(_ context.Context, name string) (*rig.Proxy, error) {
		return &rig.Proxy{Name: name, Addr: rigtest.Addr(to[0]), Outside: rigtest.Addr(to[1]),
			Stop: func() error { return nil }}, nil
	}
	b := &run{opts: o, start: start, stderr: io.Discard, result: newResult(o)}
	rigtest.CheckError(t, b.run(t.Context()), "the rest: no time left of 200ms")
	if len(b.result.Rows) != 2 || !strings.Contains(b.result.text(), "Not measured: the rest: no time left") {
		t.Errorf("found %s", b.result.text())
	}
}

// TestBenchSite starts every proxy of the benchmark as the benchmark does, and puts load through both of its listeners.
func TestBenchSite(t *testing.T) {
	needServers(t, "nginx", "haproxy")
	if err := rig.RaiseOpenFileLimit(); err != nil {
		t.Fatal(err)
	}
	site, err := newEnvironment(rigtest.OwnProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := site.close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{proxyOwn, proxyCompat, proxyOwn + rsaSuffix, proxyNginx, proxyNginx64, proxyHAProxy,
		proxyDirect} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is idle; the others come first
			benchOnSite(t, site, name)
		})
	}
	t.Run(proxyUp, func(t *testing.T) {
		needServers(t, "imapproxyd")
		rigtest.NeedRoot(t)
		benchOnSite(t, site, proxyUp+slowSuffix)
	})
	t.Run(proxyPool, func(t *testing.T) {
		if n := benchOnSite(t, site, proxyPool+slowSuffix); n > 8 {
			t.Errorf("%d logins at the backend, want few: the pool has the others", n)
		}
	})
}

// benchOnSite puts the loads of the benchmark on one of its proxies, and gives the logins that its backend saw in short
// sessions of two users.
func benchOnSite(t *testing.T, site *environment, name string) (logins uint64) {
	p, err := site.start(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}()
	cpu := 0.0
	for i, row := range []row{
		{mode: "login", tls: "off", sessions: 2, users: 2}, {mode: "login", tls: "implicit", sessions: 2},
		{mode: "fetch", tls: "off", sessions: 2, message: 2}, {mode: "idle", tls: "implicit", sessions: 5},
	} {
		if row.tls != "off" && !p.Outside.IsValid() { // up-imapproxy has no TLS
			continue
		}
		r, err := loadOnSite(t, row, name, p)
		if err != nil || len(r.Errors) > 0 || r.First().Count == 0 {
			t.Errorf("%s %s: %v, %+v", row.mode, row.tls, err, r)
			continue
		}
		cpu += r.CPUSeconds
		if i == 0 {
			logins = r.Logins
		}
	}
	if (p.PID != 0) != (cpu > 0) || logins == 0 {
		t.Errorf("pid %d, CPU of %v s, %d logins at the backend", p.PID, cpu, logins)
	}
	return logins
}

// loadOnSite runs a row's load, and again for longer when a busy machine did nothing within a short time.
func loadOnSite(t *testing.T, row row, name string, p *rig.Proxy) (r *load.Result, err error) {
	t.Helper()
	for _, duration := range []time.Duration{300 * time.Millisecond, 3 * time.Second, 20 * time.Second} {
		o, err := row.options(p, duration)
		if err != nil {
			t.Fatal(err)
		}
		b := &run{stderr: io.Discard}
		if r, err = b.countedLoad(t.Context(), &o, name, p); err != nil || len(r.Errors) > 0 || r.First().Count > 0 {
			return r, err
		}
	}
	return r, nil
}

// needServers are those that make bench compares with.
func needServers(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := (rig.Peer{Name: "benchmark", Programs: []string{n},
			Packages: "run scripts/install-bench-programs"}).Program(); err != nil {
			t.Skipf("SKIPPED: %v", err)
		}
	}
}

// TestTargetsNameFigures wants every target to be of a figure that its row has.
func TestTargetsNameFigures(t *testing.T) {
	for _, row := range rows(1, 1) {
		for _, target := range row.targets {
			if row.index(target.figure) < 0 {
				t.Errorf("%s: no figure %q", row.name, target.figure)
			}
		}
	}
}

//go:build faultpoints

package imapproxy

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
)

// pointTest makes a session pass a fault point.
type pointTest struct {
	reach  func(p *pointRig) // the session's whole way there; the fuse is set already
	armed  func(p *pointRig) // in reach's place for what comes before the fuse is set
	script backendScript     // of the session's backend; nil is a mailbox
	tls    backend.TLSMode
	end    endReason // "" is panic; another one where the session had its reason before
	goesOn bool      // periodic work: no session ends
	pool   bool      // the backends' connections are pooled
}

// pointRig is a proxy with one session that must not notice, and one that
// passes the point.
type pointRig struct {
	*rig
	clock *fakeClock
	c     *testClient
}

func says(listener string, lines ...string) func(*pointRig) {
	return func(p *pointRig) {
		p.c = p.connect(listener)
		for _, l := range lines {
			_, _ = p.c.conn.Write([]byte(l + "\r\n"))
		}
	}
}

var logsIn = says("plain", "a LOGIN joe "+canary)

// inRelay is a client that is logged in before the fuse is set.
func inRelay(p *pointRig) { p.c = p.login("plain", "joe") }

func thenSays(line string) func(*pointRig) { return func(p *pointRig) { p.c.write(line + "\r\n") } }

func thenWaits(timer string, d time.Duration) func(*pointRig) {
	return func(p *pointRig) {
		p.clock.awaitTimer(p.t, timer, d)
		p.clock.advance(d)
	}
}

// pointTests has every fault point of imapproxy and backend; TestFaultPoints
// compares it with the source.
var pointTests = map[string]pointTest{
	"server.admit":       {reach: says("plain"), goesOn: true},
	"session.open":       {reach: says("plain")},
	"session.greet":      {reach: says("plain")},
	"session.proxy":      {reach: func(p *pointRig) { p.putBehindBalancer(); p.c = p.connectRaw("plain") }},
	"session.tls":        {reach: func(p *pointRig) { p.c = p.connectRaw("tls") }},
	"dialogue.read":      {reach: says("plain")},
	"dialogue.parse":     {reach: says("plain", "a NOOP")},
	"dialogue.handler":   {reach: says("plain", "a NOOP")},
	"dialogue.literal":   {reach: says("plain", "a LOGIN {3}")},
	"starttls.handshake": {reach: says("starttls", "a STARTTLS")},
	"sasl.step":          {reach: says("plain", "a AUTHENTICATE LOGIN")},
	"watch.read":         {reach: logsIn},

	"connect.authenticate": {reach: logsIn},
	"connect.route":        {reach: logsIn},
	"connect.dial":         {reach: logsIn},
	"dial.connect":         {reach: logsIn},
	"dial.header":          {reach: logsIn},
	"dial.tls":             {reach: logsIn, tls: backend.TLSImplicit},
	"dial.starttls":        {reach: logsIn, tls: backend.TLSStartTLS},
	"dial.capability":      {reach: logsIn, script: func(c *backendConn) { c.send("* OK hello"); c.untilLogout() }},
	"backend.read":         {reach: logsIn},
	"login.begin":          {reach: logsIn},
	"login.send":           {reach: logsIn},
	"login.await":          {reach: logsIn},
	"login.verdict":        {reach: logsIn},

	"relay.begin":        {reach: logsIn},
	"relay.up.start":     {reach: logsIn},
	"relay.up.read":      {armed: inRelay, reach: thenSays("a NOOP")},
	"relay.down.read":    {armed: inRelay, reach: thenSays("a NOOP")},
	"relay.up.write":     {armed: inRelay, reach: thenSays("a NOOP")},
	"relay.up.written":   {armed: inRelay, reach: thenSays("a NOOP")},
	"relay.down.write":   {armed: inRelay, reach: thenSays("a NOOP")},
	"relay.down.written": {armed: inRelay, reach: thenSays("a NOOP")},
	"relay.settle":       {armed: inRelay, reach: thenSays("a NOOP")},
	"relay.read.failed":  {armed: inRelay, reach: func(p *pointRig) { p.c.halfClose() }},
	"relay.answer":       {armed: inRelay, reach: thenSays("a STARTTLS")},
	"relay.sweep":        {armed: inRelay, reach: thenWaits(timerSweep, sweepEvery)},
	"relay.heartbeat": {armed: func(p *pointRig) {
		inRelay(p)
		p.c.send("i IDLE")
		p.c.expect(`\+ .*`)
	}, reach: thenWaits(timerSweep, sweepEvery)},

	"session.timer": {armed: func(p *pointRig) { p.c = p.dial("plain") },
		reach: func(p *pointRig) { p.clock.fire(timerLogin) }},
	"session.farewell": {armed: inRelay, reach: thenSays("a LOGOUT"), end: endLogout},
	"end.begin":        {armed: inRelay, reach: thenSays("a LOGOUT"), end: endLogout},
	"end.drain":        {armed: inRelay, reach: func(p *pointRig) { p.c.halfClose() }, end: endClientClosed},

	"pool.reset":  {pool: true, armed: inRelay, reach: thenSays("a LOGOUT"), end: endLogout},
	"pool.upkeep": {reach: thenWaits(timerPools, poolsEvery), goesOn: true},

	"leak.scan": {reach: thenWaits(timerSweep, sweepEvery), goesOn: true},
	"census":    {reach: thenWaits(timerCensus, censusEvery), goesOn: true},
}

// putBehindBalancer has the listeners of a new generation expect a PROXY header,
// which a client that is not trusted may do without.
func (p *pointRig) putBehindBalancer() {
	next := *p.settings
	next.Listeners = map[string]*Listener{}
	for name, l := range p.settings.Listeners {
		behind := *l
		behind.Proxy = ProxyHeader{Required: true, Ignore: true}
		next.Listeners[name] = &behind
	}
	p.server.Reload(&next)
}

// TestFaultPoints panics at each fault point in turn. Only that session ends,
// with everything it held; another one does not notice; periodic
// work goes on.
func TestFaultPoints(t *testing.T) {
	stalled.run(t)
	names := sourcePoints(t)
	if len(names) < 30 {
		t.Errorf("%d fault points, want 30 at least", len(names))
	}
	tests := maps.Clone(pointTests)
	maps.Copy(tests, loopPoints)
	for name := range tests {
		if !slices.Contains(names, name) {
			t.Errorf("%s: no such point in the source", name)
		}
	}
	for _, name := range names {
		if slices.Contains(slices.Collect(maps.Values(poolPanics)), name) {
			continue // the pool's panic cells pass it
		}
		test, found := tests[name]
		if !found {
			t.Errorf("%s: no test makes a session pass it", name)
			continue
		}
		t.Run(name, func(t *testing.T) { runPoint(t, name, test) })
	}
}

// sourcePoints finds the names in the source of the client's and the backend's
// side.
func sourcePoints(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.go", "../backend/*.go", "../backend/*/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			for _, m := range regexp.MustCompile(`fault\.Point\("([^"]+)"\)`).FindAllSubmatch(text, -1) {
				names = append(names, string(m[1]))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// runPoint runs one.
func runPoint(t *testing.T, name string, test pointTest) {
	p := &pointRig{clock: newFakeClock()}
	special := test.script
	if test.pool {
		special = pooledMailbox(nil)
	}
	if special == nil {
		special = mailbox
	}
	pool := func(*rig) {}
	if test.pool {
		pool = withPool(nil)
	}
	p.rig = newRig(t, pool, withClock(p.clock), withLimits(func(l *Limits) { l.Heartbeat = time.Second }),
		withScript(func(c *backendConn) {
			if c.number == 0 {
				mailbox(c)
				return
			}
			special(c)
		}))
	joes := *p.target
	joes.TLS = test.tls
	p.settings.Router = byUser{p.target, &joes}
	p.address("plain")
	p.address("tls")
	p.address("starttls")
	other := p.beside(name)
	before := p.quiet()
	if test.armed != nil {
		test.armed(p)
		p.quiet()
	}
	f := arm(t, name)
	test.reach(p)
	p.await("the panic", func() bool { return f.has(name) })
	if test.goesOn {
		p.stillWorks(name)
	} else {
		p.ended(test, before)
	}
	other.send("b2 NOOP")
	other.expect("b2 OK .*")
	if n := p.server.Sessions(); n != 1 {
		t.Errorf("%d sessions are left, want the other one", n)
	}
	if places := counts(t, p.server.Metrics(), "imapproxy_panics_total", "place"); len(places) != 1 {
		t.Errorf("the metric counts panics at %v, want one", places)
	}
}

// beside is the session that must not notice. The sweep passes its point once
// for each relay, so that one is not in the relay.
func (p *pointRig) beside(name string) *testClient {
	var other *testClient
	if name == "relay.sweep" {
		other = p.dial("plain")
	} else {
		other = p.login("plain", "beside")
	}
	other.send("b1 NOOP")
	other.expect("b1 OK .*")
	return other
}

// held is what the process holds.
type held struct{ goroutines, files, conns int }

// quiet waits until every goroutine waits, so that the next one to pass a
// point is the one that is meant, and says what there is.
func (p *pointRig) quiet() held {
	now := func() held {
		return held{p.underWay(), openFiles(p.t), p.server.dialer.Registry.Count()}
	}
	passed := arm(p.t)
	last, since := -1, time.Now()
	p.await("all goroutines to wait", func() bool {
		if n := passed.count(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 20*time.Millisecond
	})
	disarm()
	return now()
}

// ended checks that the session is gone with all that it held.
func (p *pointRig) ended(test pointTest, before held) {
	p.t.Helper()
	_, _ = p.c.rest()
	p.c.close()
	want := test.end
	if want == "" {
		want = endPanic
	}
	p.endsWith(p.c, want)
	p.await("the backend's connection to be gone",
		func() bool { return p.server.dialer.Registry.Count() <= before.conns })
	p.await("the goroutines to be back", func() bool { return p.underWay() <= before.goroutines })
	p.await("the descriptors to be back", func() bool { return openFiles(p.t) <= before.files })
	for _, b := range p.backend.all() {
		if b.number > 0 {
			p.await("the backend to see the end", func() bool { return b.ended() != "" })
		}
	}
}

// stillWorks waits for the next round of periodic work.
func (p *pointRig) stillWorks(name string) {
	p.t.Helper()
	if name == "server.admit" {
		p.c.expectEOF()
		p.c = p.dial("plain")
		p.c.send("a LOGOUT")
		_, _ = p.c.rest()
		p.c.close()
		p.endsWith(p.c, endLogout)
		p.await("the session to be gone", func() bool { return p.server.Sessions() == 1 })
		return
	}
	if name == "loop.round" { // the session's event was not lost
		p.c.expect("a OK .*")
		p.c.close()
		p.await("the session to be gone", func() bool { return p.server.Sessions() == 1 })
	}
	again := arm(p.t)
	timer, every := timerSweep, sweepEvery
	switch name {
	case "census":
		timer, every = timerCensus, censusEvery
	case "pool.upkeep":
		timer, every = timerPools, poolsEvery
	}
	p.await("the next round", func() bool {
		p.clock.awaitTimer(p.t, timer, every)
		p.clock.advance(every)
		return again.passed(name)
	})
}

// byUser sends joe to a target of his own.
type byUser struct{ usual, joes *backend.Target }

// Route implements backend.Router.
func (b byUser) Route(_ context.Context, q backend.Query) (backend.Route, error) {
	target := b.usual
	if q.User == "joe" {
		target = b.joes
	}
	return backend.Route{Target: target, User: q.User}, nil
}

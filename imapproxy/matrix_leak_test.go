package imapproxy

import (
	"context"
	"flag"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"imapproxy/backend"
)

var matrixLeases = flag.Int("matrix.leases", 1000, "how many short leases the leak detector must not report")

// Limits of the leak tests, longer than any other.
const (
	leakReportAfter  = 10 * time.Minute
	leakReclaimAfter = 30 * time.Minute
)

func withLeakLimits() option {
	return withLimits(func(l *Limits) { l.LeakReport, l.LeakReclaim = leakReportAfter, leakReclaimAfter })
}

// leakLines returns the log's lines about leaks: reported, resolved, reclaimed.
func (r *rig) leakLines() (reported, resolved, reclaimed []logLine) {
	r.t.Helper()
	return r.log.lines(r.t, "backend connection looks leaked"),
		r.log.lines(r.t, "backend connection that looked leaked: resolved"),
		r.log.lines(r.t, "backend connection reclaimed")
}

// expectLeaks compares the log and the metrics with counts.
func (r *rig) expectLeaks(kind string, reported, resolved, reclaimed int) {
	r.t.Helper()
	a, b, c := r.leakLines()
	if len(a) != reported || len(b) != resolved || len(c) != reclaimed {
		r.t.Errorf("%d reported, %d resolved, %d reclaimed; want %d, %d, %d\n%s", len(a), len(b), len(c), reported,
			resolved, reclaimed, r.log.text())
	}
	for name, want := range map[string]int{"reported": reported, "resolved": resolved, "reclaimed": reclaimed} {
		if got := counts(r.t, r.server.Metrics(), "imapproxy_leaks_"+name+"_total", "kind"); got[kind] != want ||
			len(got) > 1 {
			r.t.Errorf("the metric of leaks %s has %v, want %s: %d", name, got, kind, want)
		}
	}
}

// expectReport checks what an operator needs: owner, phase, stack.
func (r *rig) expectReport(kind, owner, phase string) {
	r.t.Helper()
	lines, _, _ := r.leakLines()
	if len(lines) == 0 {
		r.t.Fatal("nothing is reported")
	}
	l := lines[0]
	if l.str("kind") != kind || l.str("session") != owner || l.str("phase") != phase || l.str("target") != "one" {
		r.t.Errorf("the report is %v, want %s of session %q in phase %q", l, kind, owner, phase)
	}
	if at := l.str("opened_at"); !strings.Contains(at, "Dialer).Dial:") {
		r.t.Errorf("it was opened at %q, want the dialler's caller", at)
	}
}

// TestLeakOrphan holds a connection whose session does not exist.
func TestLeakOrphan(t *testing.T) {
	for _, reclaim := range []bool{false, true} {
		r := newRig(t, withClock(newFakeClock()), withLeakLimits())
		var conn *backend.Conn
		var err error
		r.inLoop(func(ctx context.Context) {
			conn, err = r.server.dialer.Dial(ctx, r.target, backend.Origin{SessionID: "nobody", TTL: 1})
		})
		if err != nil {
			t.Fatal(err)
		}
		now := r.clock.Now()
		r.server.findLeaks(now)
		r.server.findLeaks(now.Add(time.Minute))
		r.expectLeaks(leakOrphan, 1, 0, 0)
		r.expectReport(leakOrphan, "nobody", "ready")
		if reclaim {
			r.server.findLeaks(now.Add(leakReclaimAfter))
			r.expectLeaks(leakOrphan, 1, 0, 1)
			r.restful()
			if got := r.backend.conn(0).ended(); got != "RST" {
				t.Errorf("the backend sees %s, want a reset", got)
			}
		}
		r.inLoop(func(ctx context.Context) { conn.End(ctx) })
		r.server.findLeaks(now.Add(leakReclaimAfter))
		r.server.findLeaks(now.Add(leakReclaimAfter))
		r.expectLeaks(leakOrphan, 1, 1, len(r.reclaimed()))
		if reclaim != (len(r.reclaimed()) == 1) {
			t.Errorf("%d reclaimed", len(r.reclaimed()))
		}
	}
}

func (r *rig) reclaimed() []logLine {
	_, _, lines := r.leakLines()
	return lines
}

// TestLeakOverdue looks at a backend's greeting that lasts longer than its own
// limit and the slack. The clock stands still, so the limit itself does not
// come.
func TestLeakOverdue(t *testing.T) {
	s := newStage(t, matrixCell{Phase: "backend_greeting", Reason: "leak"}, withLeakLimits())
	s.awaitingGreeting()
	now, bound := s.clock.Now(), s.target.Limits.Greeting+leakSlack
	s.server.findLeaks(now.Add(bound))
	s.expectLeaks(leakOverdue, 0, 0, 0)
	for range 3 {
		s.server.findLeaks(now.Add(bound + time.Second))
	}
	s.expectLeaks(leakOverdue, 1, 0, 0)
	s.expectReport(leakOverdue, s.ses.id, "greeting")
	s.end = s.resume()
	s.await("the end of the connection", func() bool { return s.server.dialer.Registry.Count() == 0 })
	s.server.findLeaks(now)
	s.server.findLeaks(now)
	s.expectLeaks(leakOverdue, 1, 1, 0)
	s.endsWith(s.c, endLogout)
}

// TestLeakNoAnswer waits for an answer for longer than leak_report, then for
// longer than leak_reclaim; IDLE is no such wait, nor is a client's own pause.
func TestLeakNoAnswer(t *testing.T) {
	for _, reclaim := range []bool{false, true} {
		s := newStage(t, matrixCell{Phase: "relay_idle", Reason: "leak"}, withLeakLimits(),
			withLimits(func(l *Limits) { l.Idle = 24 * time.Hour }))
		s.commandPending()
		now := s.clock.Now()
		s.server.findLeaks(now.Add(leakReportAfter))
		s.expectLeaks(leakSilent, 0, 0, 0)
		for range 3 {
			s.server.findLeaks(now.Add(leakReportAfter + time.Second))
		}
		s.expectLeaks(leakSilent, 1, 0, 0)
		s.expectReport(leakSilent, s.ses.id, backend.PhaseLease)
		if reclaim {
			s.server.findLeaks(now.Add(leakReclaimAfter))
			s.c.expectBye(`\[UNAVAILABLE\] The mail server does not answer; connect again`)
			s.endsWith(s.c, endLeak)
			s.restful()
		} else {
			s.b.send("w OK at last")
			s.c.expect("w OK at last")
			s.await("the ledger to know", func() bool { _, _, waits := s.ses.relay.waiting(); return !waits })
		}
		s.server.findLeaks(now.Add(leakReportAfter + time.Second))
		s.server.findLeaks(now.Add(leakReportAfter + time.Second))
		s.expectLeaks(leakSilent, 1, 1, len(s.reclaimed()))
		if reclaim != (len(s.reclaimed()) == 1) {
			t.Errorf("%d reclaimed", len(s.reclaimed()))
		}
	}
}

// TestLeakHalfClosed keeps a session whose client has closed its side for longer
// than the limit, which does not come since the clock stands still. The socket
// in CLOSE_WAIT is explained once, and counted as long as it is there.
func TestLeakHalfClosed(t *testing.T) {
	for _, reclaim := range []bool{false, true} {
		s := newStage(t, matrixCell{Phase: "half_closed_by_client", Reason: "leak"}, withLeakLimits())
		s.halfClosedByClient()
		now, limit := s.clock.Now(), s.settings.Limits.HalfClose+leakSlack
		s.closeWaitAt(now, 0)
		s.closeWaitAt(now.Add(limit), 0)
		s.server.findLeaks(now.Add(limit))
		s.expectLeaks(leakHalfClosed, 0, 0, 0)
		for range 3 {
			s.closeWaitAt(now.Add(limit+time.Second), 1)
			s.server.findLeaks(now.Add(limit + time.Second))
		}
		s.expectLeaks(leakHalfClosed, 1, 0, 0)
		s.expectReport(leakHalfClosed, s.ses.id, backend.PhaseLease)
		lines := s.log.lines(t, "a socket of ours is in CLOSE_WAIT past its limit")
		if len(lines) != 1 || lines[0].str("side") != "client" || lines[0].str("session") != s.ses.id {
			t.Errorf("the log explains the socket with %v, want one line", lines)
		}
		if reclaim {
			s.server.findLeaks(now.Add(leakReclaimAfter))
			s.c.expectBye(`\[UNAVAILABLE\] The mail server does not answer; connect again`)
			s.endsWith(s.c, endLeak)
			s.restful()
		} else {
			s.endsWith(s.c, s.resume())
		}
		s.await("the connection to be gone", func() bool { return s.server.dialer.Registry.Count() == 0 })
		s.server.findLeaks(now.Add(limit + time.Second))
		s.expectLeaks(leakHalfClosed, 1, 1, len(s.reclaimed()))
		if reclaim != (len(s.reclaimed()) == 1) {
			t.Errorf("%d reclaimed", len(s.reclaimed()))
		}
		s.closeWaitAt(now.Add(limit+time.Second), 0)
	}
}

// closeWaitAt looks for sockets in CLOSE_WAIT past their limit.
func (s *stage) closeWaitAt(now time.Time, want float64) {
	s.t.Helper()
	c, err := s.server.countSockets()
	if err != nil {
		s.t.Fatal(err)
	}
	s.server.watchCloseWait(c.known, now)
	if got := gauge(s.t, s.server, "imapproxy_close_wait_overdue_sockets"); got != want {
		s.t.Errorf("%v sockets are in CLOSE_WAIT past their limit, want %v", got, want)
	}
}

// TestLeakFalseAlarms looks at sessions that may rightly last for long: none
// is reported.
func TestLeakFalseAlarms(t *testing.T) {
	for _, phase := range []string{"relay_idle", "relay_literal_c2s", "idle_command"} {
		s := newStage(t, matrixCell{Phase: phase, Reason: "leak"}, withLeakLimits())
		s.phase.enter(s)
		s.server.findLeaks(s.clock.Now().Add(100 * 24 * time.Hour))
		s.expectLeaks(leakSilent, 0, 0, 0)
	}
}

// TestLeakShortLeases logs in and out again and again, while the detector looks
// at every moment: nothing is reported, and nothing is left.
func TestLeakShortLeases(t *testing.T) {
	notQuick(t)
	r := newRig(t, withLeakLimits())
	r.address("plain")
	stop := make(chan struct{})
	var looking, working sync.WaitGroup
	looks := 0
	looking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.server.findLeaks(time.Now())
				looks++
			}
		}
	})
	var left atomic.Int64
	left.Store(int64(*matrixLeases))
	for range 4 {
		working.Go(func() {
			for left.Add(-1) >= 0 {
				if err := r.shortLease(left.Load()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	working.Wait()
	close(stop)
	looking.Wait()
	r.restful()
	if looks < *matrixLeases/10 {
		t.Errorf("the detector has looked %d times only", looks)
	}
	if got := len(r.backend.logins()); got != *matrixLeases {
		t.Errorf("%d leases, want %d", got, *matrixLeases)
	}
	r.expectLeaks("", 0, 0, 0)
	r.expectCensus(0)
}

// shortLease logs in and leaves in one of several ways. A session ends after its
// client, so it waits for room first: the server takes a hundred.
func (r *rig) shortLease(n int64) error {
	for end := time.Now().Add(patience); r.server.Sessions() > r.settings.Limits.Sessions/2; time.Sleep(
		time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%d sessions do not end", r.server.Sessions())
		}
	}
	conn, err := net.Dial("tcp", r.addresses["plain"])
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	text := "a LOGIN joe " + canary + "\r\nb NOOP\r\n"
	if n%2 == 0 {
		text += "c LOGOUT\r\n"
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return err
	}
	var got strings.Builder
	buf := make([]byte, 512)
	for !strings.Contains(got.String(), "b OK") {
		k, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("%w, after %q", err, got.String())
		}
		got.Write(buf[:k])
	}
	if n%3 == 0 {
		return conn.(*net.TCPConn).SetLinger(0)
	}
	return nil
}

// TestCensus finds a socket that is not accounted for, and nothing else, in any
// phase.
func TestCensus(t *testing.T) {
	notQuick(t)
	for phase := range matrixPhases {
		t.Run(phase, func(t *testing.T) {
			s := newStage(t, matrixCell{Phase: phase, Reason: "census"})
			s.phase.enter(s)
			s.expectCensus(0)
			s.clock.release()
		})
	}
	r := newRig(t)
	c := r.login("plain", "joe")
	r.expectCensus(0)
	leaked, err := net.Dial("tcp", r.backend.address())
	if err != nil {
		t.Fatal(err)
	}
	r.expectCensus(1)
	if n := len(r.log.lines(t, "census: sockets that are not accounted for")); n != 1 {
		t.Errorf("%d lines about the census, want 1", n)
	}
	if err := leaked.Close(); err != nil {
		t.Fatal(err)
	}
	r.expectCensus(0)
	c.send("a NOOP")
	c.expect("a OK .*")
}

// expectCensus takes a census and looks at its metric. With the fake clock the
// recounts need their time passed.
func (r *rig) expectCensus(want float64) {
	r.t.Helper()
	ctx, over := context.WithCancel(r.t.Context())
	go func() { defer over(); r.server.takeCensus(r.clock.Now()) }()
	for end := time.Now().Add(patience); ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if c, fake := r.clock.(*fakeClock); fake {
			c.fire(timerRecount)
		}
		if time.Now().After(end) {
			r.t.Fatal("the census does not end")
		}
	}
	if got := gauge(r.t, r.server, "imapproxy_census_difference_sockets"); got != want {
		r.t.Errorf("the census has a difference of %v, want %v\n%s", got, want, r.log.text())
	}
}

// gauge reads a metric without labels.
func gauge(t testing.TB, s *Server, name string) float64 {
	t.Helper()
	families, err := s.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

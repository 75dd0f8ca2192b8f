package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// What scale runs, and what it wants to see.
const (
	scaleFew       = 100 // sessions present at the first measurement of logins
	ScaleBusy      = 200
	scaleMost      = 9000 // a login must cost the same with this many
	scaleLogins    = 16   // at once
	scaleBusyRatio = 1.15
	scaleLoginRise = 5.0 // %
	scaleLate      = 40  // clients that come when no descriptor is left
	scaleSilence   = 3 * time.Second
	scaleCPU       = 10.0 // % of a core, at the limit with nothing to do
)

// Names of the findings that compare many sessions with few.
const (
	ScaleRatio = "their ratio" // of the p99 of NOOP
	ScaleRise  = "rise"        // of the CPU time of a login, in %
)

// scaleRun is what the mode scale has opened.
type scaleRun struct {
	*run
	busy, idle []*Conn
}

// runScale opens few and then many sessions, most of them in IDLE, and measures how that affects busy ones and logins.
// With a --proxy-pid it goes on to the proxy's descriptor limit.
func runScale(ctx context.Context, r *run) error {
	if r.opts.Sessions < 2*ScaleBusy {
		return rig.WrongInput(fmt.Errorf("--sessions %d: scale wants %d or more", r.opts.Sessions, 2*ScaleBusy))
	}
	s := &scaleRun{run: r}
	defer func() {
		r.end(s.busy, (*Conn).logout)
		r.end(s.idle, leaveIdle)
	}()
	s.busy = r.open(ctx, scaleFew, nothing)
	fewLogins, err := s.logins(ctx)
	if err != nil {
		return err
	}
	s.busy = append(s.busy, r.open(ctx, ScaleBusy-len(s.busy), nothing)...)
	fewNOOPs, err := s.noops(ctx)
	if err != nil {
		return err
	}
	s.idle = r.openIdle(ctx, r.opts.Sessions-len(s.busy))
	manyNOOPs, err := s.noops(ctx)
	if err != nil {
		return err
	}
	manyLogins, err := s.logins(ctx)
	if err != nil {
		return err
	}
	s.compare(fewLogins, manyLogins, fewNOOPs, manyNOOPs)
	if len(r.opts.PIDs) == 0 || r.opts.BelowLimit {
		return nil
	}
	return s.limit(ctx)
}

// phase returns a measurement of its own within the run. Its errors are the run's.
func (s *scaleRun) phase(mode string) *run {
	part := *s.run
	m, _ := FindMode([]string{mode}) // one of ours
	part.opts.Sessions = scaleLogins
	part.result = &Result{}
	part.meter = newMeter(m.operations...)
	part.meter.errors = s.meter.errors
	return &part
}

func (s *scaleRun) logins(ctx context.Context) (*Result, error) {
	part := s.phase("login")
	err := runLogin(ctx, part)
	part.result.take(part.meter, len(s.opts.PIDs) > 0)
	return part.result, errors.Join(err, ctx.Err())
}

func (s *scaleRun) noops(ctx context.Context) (*Result, error) {
	if err := enough(s.busy); err != nil {
		return nil, err
	}
	part := s.phase("rtt")
	err := part.again(ctx, s.busy, nothing, noop)
	part.result.take(part.meter, len(s.opts.PIDs) > 0)
	// the last one is the run's
	s.result.Seconds, s.meter.times, s.meter.series = part.result.Seconds, part.meter.times, part.meter.series
	return part.result, errors.Join(err, ctx.Err())
}

func (s *scaleRun) addFinding(name string, value float64, unit, limit string, met bool) {
	s.result.Scale = append(s.result.Scale, ScaleFigure{name, value, unit, limit, met})
}

// openSessions returns the number of sessions that are open.
func (s *scaleRun) openSessions() (n int) {
	for _, conns := range [][]*Conn{s.busy, s.idle} {
		for _, c := range conns {
			if c != nil {
				n++
			}
		}
	}
	return n
}

func (s *scaleRun) compare(fewLogins, manyLogins, fewNOOPs, manyNOOPs *Result) {
	n := s.openSessions()
	s.addFinding("sessions open at once", float64(n), "", fmt.Sprintf("%d", s.opts.Sessions), n >= s.opts.Sessions)
	s.addFinding(fmt.Sprintf("NOOP on %d busy sessions only, p99", ScaleBusy), fewNOOPs.First().P99, "µs", "", true)
	s.addFinding("the same with all sessions present", manyNOOPs.First().P99, "µs", "", true)
	ratio := manyNOOPs.First().P99 / max(fewNOOPs.First().P99, 1e-3)
	s.addFinding(ScaleRatio, ratio, "times", fmt.Sprintf("at most %g", scaleBusyRatio), ratio > 0 &&
		ratio <= scaleBusyRatio)
	if !fewLogins.Costed {
		return
	}
	s.addFinding(fmt.Sprintf("CPU of a login, %d sessions present", scaleFew), fewLogins.CPUMicros(), "µs", "", true)
	s.addFinding("the same with all sessions present", manyLogins.CPUMicros(), "µs", "", true)
	rise := 100 * (manyLogins.CPUMicros()/max(fewLogins.CPUMicros(), 1e-3) - 1)
	s.addFinding(ScaleRise, rise, "%", fmt.Sprintf("at most %g %%", scaleLoginRise), manyLogins.First().Count > 0 &&
		rise <= scaleLoginRise)
}

// limit opens sessions until the proxy has no descriptor left, connects more clients, and looks at the old sessions and
// at what the proxy does meanwhile.
func (s *scaleRun) limit(ctx context.Context) error {
	most, err := rig.DescriptorLimit(s.opts.PIDs[0])
	if err != nil {
		return err
	}
	used, err := rig.UsageOf(s.opts.PIDs)
	if err != nil {
		return err
	}
	wanted := most - used.Descriptors + scaleLate
	if room := rig.OpenFileLimit() - s.openSessions() - spareFiles; wanted > room {
		s.addFinding(fmt.Sprintf("not run: to reach the proxy's limit of %d takes more clients; descriptors here",
			most), float64(room), "", fmt.Sprint(wanted), false)
		return nil
	}
	k := s.fill(ctx, wanted)
	defer k.close()
	k.connect()
	before, err := rig.CPUOf(s.opts.PIDs)
	if err != nil {
		return err
	}
	if err := rig.Sleep(ctx, scaleSilence); err != nil {
		return err
	}
	after, err := rig.CPUOf(s.opts.PIDs)
	if err != nil {
		return err
	}
	cpu := 100 * (after - before).Seconds() / scaleSilence.Seconds()
	s.addFinding(fmt.Sprintf("clients before login that got in too, of %d descriptors", most), float64(k.served), "",
		"", true)
	s.addFinding(fmt.Sprintf("clients then that got BYE (%d), wait (%d), were refused (%d)", k.bye, k.waiting,
		k.refused), float64(k.bye+k.waiting), "",
		fmt.Sprint(scaleLate), k.bye+k.waiting == scaleLate)
	s.addFinding("CPU at the limit, nothing to do", cpu, "% of a core", fmt.Sprintf("at most %g", scaleCPU),
		cpu <= scaleCPU)
	answered := s.oldAnswer()
	s.addFinding("old sessions that answer at the limit", float64(answered), "", fmt.Sprintf("%d", s.openSessions()),
		answered == s.openSessions())
	return ctx.Err()
}

// oldAnswer asks every old session, those in IDLE by DONE and IDLE anew. Those that fail are counted as errors.
func (s *scaleRun) oldAnswer() (answered int) {
	var mu sync.Mutex
	ask := func(conns []*Conn, f func(c *Conn) error) {
		inParallel(context.Background(), len(conns), func(i int) { // each is bounded by the limit of an answer
			if conns[i] != nil && !s.meter.failed(f(conns[i])) {
				mu.Lock()
				defer mu.Unlock()
				answered++
			}
		})
	}
	ask(s.busy, noop)
	ask(s.idle, func(c *Conn) error { return errors.Join(c.done(), c.idle()) })
	return answered
}

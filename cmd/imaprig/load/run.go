package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/imaprig/term"
)

const (
	openFailures  = 100                    // sessions that fail, and no more that do not, before the rest is not tried
	parallelOpens = 64                     // sessions that are opened or ended at once
	samplePeriod  = 250 * time.Millisecond // between two points of the rates over time
	errorPause    = 20 * time.Millisecond  // of a worker, after an error: a proxy that refuses must not make us spin
	maxPause      = time.Second            // it doubles up to this
)

// run is one load in progress.
type run struct {
	opts     Options
	target   *Target
	meter    *meter
	progress *term.Progress
	body     *rig.Body // of APPEND; nil in other modes
	result   *Result
}

// measure runs workers until the time is over, and takes down rates and costs. Each worker calls work again and again;
// one that ends with errDone does not come back.
func (r *run) measure(ctx context.Context, workers int, work func(ctx context.Context, worker int) error) error {
	before, err := rig.CPUOf(r.opts.PIDs)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Duration)
	defer cancel()
	var all sync.WaitGroup
	r.meter.on.Store(true)
	began := time.Now()
	for i := range workers {
		all.Go(func() { r.worker(ctx, i, work) })
	}
	r.watch(ctx, began)
	r.meter.on.Store(false)
	r.result.Seconds = time.Since(began).Seconds()
	after, err := rig.CPUOf(r.opts.PIDs)
	r.result.CPUSeconds = (after - before).Seconds()
	all.Wait() // what is under way ends within the limit of an answer
	return err
}

// errDone ends a worker that has nothing more to do.
var errDone = errors.New("this worker has ended")

func (r *run) worker(ctx context.Context, i int, work func(ctx context.Context, worker int) error) {
	pause := errorPause
	for ctx.Err() == nil {
		err := work(ctx, i)
		switch {
		case errors.Is(err, errDone):
			return
		case r.meter.failed(err):
			if rig.Sleep(ctx, pause) != nil {
				return
			}
			pause = min(2*pause, maxPause)
		default:
			pause = errorPause
		}
	}
}

// watch takes samples until ctx ends.
func (r *run) watch(ctx context.Context, began time.Time) {
	tick := time.NewTicker(samplePeriod)
	defer tick.Stop()
	last := r.meter.sample(0)
	for {
		select {
		case <-ctx.Done():
			r.meter.sample(time.Since(began))
			return
		case <-tick.C:
			s := r.meter.sample(time.Since(began))
			r.progress.Say("%s", r.rates(last, s))
			last = s
		}
	}
}

// rates returns those between two samples, in words.
func (r *run) rates(a, b sample) string {
	seconds := max(b.Seconds-a.Seconds, 1e-3)
	text := fmt.Sprintf("%.1f of %.1f s, %.0f %s/s", b.Seconds, r.opts.Duration.Seconds(),
		float64(b.Operations-a.Operations)/seconds, r.meter.names[0])
	if b.Bytes > 0 {
		text += fmt.Sprintf(", %s/s", amountText(float64(b.Bytes-a.Bytes)/seconds))
	}
	return fmt.Sprintf("%s, p99 %s%s", text, microsText(microseconds(r.meter.times[0].quantile(0.99))), r.errorsSoFar())
}

// inParallel calls f for 0 to n-1, openers at once, until ctx ends.
func inParallel(ctx context.Context, n int, f func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(parallelOpens, n) {
		all.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	all.Wait()
}

// open opens n sessions, and prepares each after the login. Those that fail are counted and missing; when most do, the
// rest is not tried.
func (r *run) open(ctx context.Context, n int, prepare func(c *Conn) error) []*Conn {
	conns := make([]*Conn, n)
	var opened, failed atomic.Int64
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	inParallel(ctx, n, func(i int) {
		c, err := r.session()
		if err == nil {
			if err = prepare(c); err != nil {
				c.Close()
			}
		}
		if r.meter.failed(err) {
			if k := failed.Add(1); k >= openFailures && k > opened.Load() {
				giveUp(errGivenUp)
			}
			return
		}
		conns[i] = c
		r.progress.Say("%d of %d sessions are open%s", opened.Add(1), n, r.errorsSoFar())
	})
	if context.Cause(ctx) == errGivenUp {
		r.meter.failed(&stepError{"open", "open: most sessions failed, the rest was not tried", errGivenUp})
	}
	var good []*Conn
	for _, c := range conns {
		if c != nil {
			good = append(good, c)
		}
	}
	return good
}

// errGivenUp ends the opening of sessions.
var errGivenUp = errors.New("most sessions failed")

// session connects and logs in.
func (r *run) session() (*Conn, error) {
	c, err := r.target.Dial()
	if err != nil {
		return nil, err
	}
	c.onBytes = r.meter.moved
	if err := c.login(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// end logs sessions out. Those that are nil have ended before.
func (r *run) end(conns []*Conn, leave func(c *Conn) error) {
	var ended atomic.Int64
	inParallel(context.Background(), len(conns), func(i int) { // each is bounded by the limit of an answer
		if conns[i] != nil {
			r.meter.failed(leave(conns[i]))
		}
		r.progress.Say("%d of %d sessions have ended%s", ended.Add(1), len(conns), r.errorsSoFar())
	})
}

func (r *run) errorsSoFar() string {
	switch n := r.meter.errors.sum(); n {
	case 0:
		return ""
	case 1:
		return ", 1 error"
	default:
		return fmt.Sprintf(", %d errors", n)
	}
}

// enough returns an error when no session is left to measure with.
func enough(conns []*Conn) error {
	if len(conns) == 0 {
		return errors.New("no session could be opened")
	}
	return nil
}

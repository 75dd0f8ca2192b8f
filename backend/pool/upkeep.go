package pool

import (
	"context"
	"time"
)

// Upkeep gives up what has lived or lain too long, has the others checked when
// that is due, and fills up the spare ones. The owner calls it now and then:
// that is how exact the clocks are.
func (p *Pool[K, R]) Upkeep() {
	stirring := p.stirring()
	p.mu.Lock()
	defer p.unlock()
	now := p.o.Now()
	for _, it := range p.idle.Keys() {
		if it.state == stateIdle {
			p.upkeep(it, now)
		}
		if it.state == stateIdle && stirring[it] {
			p.startCheck(it)
		}
	}
	p.openSpare()
}

// stirring asks of each idle item whether it needs a check. It may be lent or
// gone by the time of the answer.
func (p *Pool[K, R]) stirring() map[*item[K, R]]bool {
	if p.o.HasInput == nil {
		return nil
	}
	found := map[*item[K, R]]bool{}
	for it, r := range p.lying() {
		if p.o.HasInput(r) {
			found[it] = true
		}
	}
	return found
}

// lying returns what is idle now.
func (p *Pool[K, R]) lying() map[*item[K, R]]R {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle := map[*item[K, R]]R{}
	for _, it := range p.idle.Keys() {
		if it.state == stateIdle {
			idle[it] = it.r
		}
	}
	return idle
}

// startCheck has an item checked, unless enough are.
func (p *Pool[K, R]) startCheck(it *item[K, R]) {
	if p.counts[stateChecking] < p.o.MaxChecks {
		p.enter(it, stateChecking)
		p.checking = append(p.checking, it)
	}
}

func (p *Pool[K, R]) upkeep(it *item[K, R], now time.Time) {
	lain, limit, check := now.Sub(it.returned), p.o.IdleTimeout, p.o.KeepAlive
	if it.user == nil {
		limit, check = p.o.SpareLifetime, 0
	}
	switch {
	case !it.expires.IsZero() && !now.Before(it.expires):
		p.giveUp(it, WhyLifetime)
	case limit > 0 && lain >= limit:
		p.giveUp(it, WhyIdleTimeout)
	case check > 0 && now.Sub(it.used) >= check:
		p.startCheck(it)
	}
}

// openSpare counts how many spare ones have to be opened.
func (p *Pool[K, R]) openSpare() {
	if p.closed {
		return
	}
	for len(p.spare)+p.opening < p.o.Spare && p.total < p.o.MaxTotal && p.idle.Len()+p.opening < p.o.MaxIdle {
		it := p.add()
		p.opening++
		p.toOpen = append(p.toOpen, func(ctx context.Context) { p.open(ctx, it) })
	}
}

// open makes a spare resource.
func (p *Pool[K, R]) open(ctx context.Context, it *item[K, R]) {
	var r R
	made := false
	defer func() { // also after a panic
		p.mu.Lock()
		defer p.unlock()
		p.opening--
		if !made {
			p.remove(it)
			return
		}
		p.fill(it, r)
		if why := p.unfit(it); why != "" {
			p.remove(it)
			p.end(r, why)
			return
		}
		p.rest(it)
	}()
	var err error
	r, err = p.o.Open(ctx)
	made = err == nil
}

// check has an idle resource checked.
func (p *Pool[K, R]) check(ctx context.Context, it *item[K, R]) {
	good := false
	defer func() {
		p.mu.Lock()
		defer p.unlock()
		p.checked(it, good)
	}()
	good = p.o.Check(ctx, it.r) == nil
}

func (p *Pool[K, R]) checked(it *item[K, R], good bool) {
	if it.stale != "" { // given up meanwhile
		p.counts[stateChecking]--
		it.state = stateGone
		p.end(it.r, it.stale)
		return
	}
	p.enter(it, stateIdle)
	it.used = p.o.Now()
	if !good {
		p.giveUp(it, WhyCheckFailed)
	}
}

// work takes what is to be done aside.
func (p *Pool[K, R]) work() []func(context.Context) {
	work := p.toOpen
	p.toOpen = nil
	for _, it := range p.checking {
		work = append(work, func(ctx context.Context) { p.check(ctx, it) })
	}
	p.checking = nil
	for len(p.endings) > 0 && (p.hurried || p.ending < p.o.MaxEndings) {
		e := p.endings[0]
		p.endings = p.endings[1:]
		p.ending++
		work = append(work, func(ctx context.Context) { p.finish(ctx, e) })
	}
	return work
}

// finish ends one resource.
func (p *Pool[K, R]) finish(ctx context.Context, e ending[R]) {
	defer func() {
		p.mu.Lock()
		defer p.unlock()
		p.ending--
	}()
	p.o.End(ctx, e.r, e.why)
}

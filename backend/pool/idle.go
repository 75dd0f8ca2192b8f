package pool

import (
	"slices"
	"time"
)

// fill sets an item's resource and its lifetime.
func (p *Pool[K, R]) fill(it *item[K, R], r R) {
	it.r = r
	if life := p.o.MaxLifetime; life > 0 {
		it.expires = p.o.Now().Add(life - time.Duration(p.o.Random()*float64(life)/10))
	}
}

// unfit says why an item must not become idle, "" when it may.
func (p *Pool[K, R]) unfit(it *item[K, R]) string {
	switch {
	case p.closed:
		return WhyClosed
	case it.stale != "":
		return it.stale
	case !it.expires.IsZero() && !p.o.Now().Before(it.expires):
		return WhyLifetime
	}
	return ""
}

// rest makes an item idle. Past MaxIdle the least recently used one goes.
func (p *Pool[K, R]) rest(it *item[K, R]) {
	p.enter(it, stateIdle)
	it.returned = p.o.Now()
	it.used = it.returned
	if u := it.user; u != nil {
		delete(u.lent, it)
		u.idle = append(u.idle, it)
	} else {
		p.spare = append(p.spare, it)
	}
	p.idle.Add(it, struct{}{})
	if p.idle.Len() > p.o.MaxIdle {
		oldest, _, _ := p.idle.GetOldest()
		p.giveUp(oldest, WhyEvicted)
	}
}

// giveUp takes an idle item out of the pool and has its resource ended; if it
// is being checked, when that is over.
func (p *Pool[K, R]) giveUp(it *item[K, R], why string) {
	p.idle.Remove(it)
	if u := it.user; u != nil {
		u.idle = slices.DeleteFunc(u.idle, func(other *item[K, R]) bool { return other == it })
	} else {
		p.spare = slices.DeleteFunc(p.spare, func(other *item[K, R]) bool { return other == it })
	}
	if it.state == stateChecking {
		it.stale = why
		p.total--
		p.disown(it)
		return
	}
	p.remove(it)
	p.end(it.r, why)
}

// end has a resource ended.
func (p *Pool[K, R]) end(r R, why string) {
	p.o.Counters.gaveUp(why)
	p.endings = append(p.endings, ending[R]{r, why})
}

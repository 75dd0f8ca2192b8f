package pool

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// model is what a pool should do, told plainly: lists that are looked through
// from one end to the other.
type model struct {
	o       Options[string, int]
	now     time.Time
	things  []*thing // every resource and place, those under check or being opened too
	queue   []*asker
	endings []string // of resources, in order, not begun
	closed  bool
	clock   int // orders returns
}

type thing struct {
	key      string // "" is a spare one
	id       int    // the resource, 0 for none
	state    string // opening leased resetting idle checking lost opening-spare
	order    int    // of the return
	verified time.Time
	returned time.Time
	used     time.Time
	expires  time.Time
	stale    string
}

type asker struct {
	key  string
	age  time.Duration
	got  *thing
	err  error
	done bool
}

func userOf(key string) string { return key[:1] }

func (m *model) count(match func(*thing) bool) int {
	n := 0
	for _, t := range m.things {
		if match(t) {
			n++
		}
	}
	return n
}

func (m *model) total() int { return m.count(func(t *thing) bool { return t.state != "lost" }) }

func (m *model) of(user string) int {
	return m.count(func(t *thing) bool { return t.key != "" && userOf(t.key) == user && t.state != "lost" })
}

// lying gives what lies in the pool, the oldest first.
func (m *model) lying() []*thing {
	var l []*thing
	for _, t := range m.things {
		if t.state == "idle" || t.state == "checking" {
			l = append(l, t)
		}
	}
	slices.SortFunc(l, func(a, b *thing) int { return a.order - b.order })
	return l
}

func (m *model) oldest(match func(*thing) bool) *thing {
	for _, t := range m.lying() {
		if t.state == "idle" && match(t) {
			return t
		}
	}
	return nil
}

func (m *model) newest(match func(*thing) bool) *thing {
	l := m.lying()
	slices.Reverse(l)
	for _, t := range l {
		if t.state == "idle" && match(t) {
			return t
		}
	}
	return nil
}

func (m *model) forget(t *thing) {
	m.things = slices.DeleteFunc(m.things, func(o *thing) bool { return o == t })
}

func (m *model) giveUp(t *thing, why string) {
	if t.state == "checking" {
		t.state, t.stale = "lost", why
		return
	}
	m.forget(t)
	m.end(t, why)
}

func (m *model) end(t *thing, why string) {
	m.endings = append(m.endings, fmt.Sprintf("%d %s", t.id, why))
}

func (m *model) ask(key string, age time.Duration) *asker {
	a := &asker{key: key, age: age}
	switch {
	case m.closed:
		a.done, a.err = true, ErrClosed
	case m.try(a):
	case len(m.queue) >= m.o.MaxWaiting:
		a.done, a.err = true, ErrQueueFull
	default:
		m.queue = append(m.queue, a)
	}
	return a
}

func (m *model) serve() {
	var left []*asker
	for _, a := range m.queue {
		if !m.try(a) {
			left = append(left, a)
		}
	}
	m.queue = left
}

func (m *model) fresh(t *thing, age time.Duration) bool {
	return age < 0 || m.now.Sub(t.verified) < age
}

func (m *model) try(a *asker) bool {
	user := userOf(a.key)
	t := m.newest(func(t *thing) bool { return t.key == a.key && m.fresh(t, a.age) })
	if t != nil {
		t.state = "leased"
		a.got, a.done = t, true
		return true
	}
	if m.of(user) >= m.o.MaxPerUser {
		own := m.oldest(func(t *thing) bool { return t.key != "" && userOf(t.key) == user })
		if own == nil {
			return false
		}
		m.giveUp(own, WhyEvicted)
	}
	t = m.newest(func(t *thing) bool { return t.key == "" })
	if t == nil {
		if m.total() >= m.o.MaxTotal {
			any := m.oldest(func(*thing) bool { return true })
			if any == nil {
				return false
			}
			m.giveUp(any, WhyEvicted)
		}
		t = &thing{}
		m.things = append(m.things, t)
	}
	t.key, t.state = a.key, "opening"
	a.got, a.done = t, true
	return true
}

func (m *model) unfit(t *thing) string {
	switch {
	case m.closed:
		return WhyClosed
	case t.stale != "":
		return t.stale
	case !t.expires.IsZero() && !m.now.Before(t.expires):
		return WhyLifetime
	}
	return ""
}

func (m *model) back(t *thing, spare bool) {
	if why := m.unfit(t); why != "" {
		m.forget(t)
		m.end(t, why)
		return
	}
	if spare {
		t.key = ""
	}
	m.rest(t)
}

func (m *model) rest(t *thing) {
	m.clock++
	t.state, t.order, t.returned, t.used = "idle", m.clock, m.now, m.now
	if l := m.lying(); len(l) > m.o.MaxIdle {
		m.giveUp(l[0], WhyEvicted)
	}
}

func (m *model) fill(t *thing, id int) {
	t.id = id
	t.expires = m.now.Add(m.o.MaxLifetime)
}

func (m *model) verified(t *thing) {
	t.state, t.verified = "leased", m.now
	for _, o := range m.lying() {
		if o.key == t.key {
			o.verified = m.now
		}
	}
}

func (m *model) renew(t *thing, age time.Duration) *thing {
	next := m.newest(func(o *thing) bool { return o.key == t.key && m.fresh(o, age) })
	m.forget(t)
	if next != nil {
		next.state = "leased"
		return next
	}
	next = &thing{key: t.key, state: "opening", stale: t.stale}
	m.things = append(m.things, next)
	return next
}

func (m *model) drop(user, why string) {
	for _, t := range slices.Clone(m.things) {
		if t.key == "" || userOf(t.key) != user {
			continue
		}
		switch t.state {
		case "opening", "leased", "resetting":
			t.stale = why
		}
	}
	for _, t := range m.lying() {
		if t.key != "" && userOf(t.key) == user {
			m.giveUp(t, why)
		}
	}
}

func (m *model) close() {
	if m.closed {
		return
	}
	m.closed = true
	for _, a := range m.queue {
		a.done, a.err = true, ErrClosed
	}
	m.queue = nil
	for _, t := range m.lying() {
		m.giveUp(t, WhyClosed)
	}
}

// upkeep gives the things whose check begins, and how many are to be opened.
func (m *model) upkeep() (check []*thing, open []*thing) {
	for _, t := range m.lying() {
		if t.state == "idle" {
			if m.upkeepOf(t) {
				check = append(check, t)
			}
		}
	}
	spare := func() int {
		return m.count(func(t *thing) bool { return t.key == "" && (t.state == "idle" || t.state == "opening-spare") })
	}
	opening := func() int { return m.count(func(t *thing) bool { return t.state == "opening-spare" }) }
	for !m.closed && spare() < m.o.Spare && m.total() < m.o.MaxTotal && len(m.lying())+opening() < m.o.MaxIdle {
		t := &thing{state: "opening-spare"}
		m.things = append(m.things, t)
		open = append(open, t)
	}
	return check, open
}

func (m *model) upkeepOf(t *thing) (check bool) {
	limit, keep := m.o.IdleTimeout, m.o.KeepAlive
	if t.key == "" {
		limit, keep = m.o.SpareLifetime, 0
	}
	checking := m.count(func(t *thing) bool { return t.state == "checking" || t.state == "lost" })
	switch {
	case !t.expires.IsZero() && !m.now.Before(t.expires):
		m.giveUp(t, WhyLifetime)
	case m.now.Sub(t.returned) >= limit:
		m.giveUp(t, WhyIdleTimeout)
	case keep > 0 && m.now.Sub(t.used) >= keep && checking < m.o.MaxChecks:
		t.state = "checking"
		return true
	}
	return false
}

func (m *model) checked(t *thing, good bool) {
	switch {
	case t.state == "lost":
		m.forget(t)
		m.end(t, t.stale)
	case good:
		t.state, t.used = "idle", m.now
	default:
		t.state, t.used = "idle", m.now
		m.giveUp(t, WhyCheckFailed)
	}
}

// String tells where everything is, for comparison with Stats.
func (m *model) String() string {
	var b strings.Builder
	for _, s := range []string{"opening", "leased", "resetting"} {
		fmt.Fprintf(&b, "%s %d ", s, m.count(func(t *thing) bool {
			return t.state == s ||
				s == "opening" && t.state == "opening-spare"
		}))
	}
	users := map[string]bool{}
	for _, t := range m.things {
		if t.key != "" && t.state != "lost" {
			users[userOf(t.key)] = true
		}
	}
	fmt.Fprintf(&b, "idle %d spare %d checking %d waiting %d users %d",
		m.count(func(t *thing) bool { return t.state == "idle" && t.key != "" }),
		m.count(func(t *thing) bool { return t.state == "idle" && t.key == "" }),
		m.count(func(t *thing) bool { return t.state == "checking" || t.state == "lost" }), len(m.queue), len(users))
	return b.String()
}

package exits

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/rig"
)

// Look reads the socket table and the descriptors, once for all cells.
func (m *monitor) Look() error {
	m.gate.Lock()
	defer m.gate.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	entries, err := wire.ReadTable("/proc/self/net")
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(entries, func(e wire.TableEntry) bool {
		return e.State == wire.StateListen &&
			e.Local.Port() == m.backend
	}) {
		return errors.New("the socket table does not show the backend's listener, so what it shows can't be believed")
	}
	m.attribute(entries)
	for _, w := range m.watches {
		w.found = newCount(m.proxyPID != 0)
	}
	for _, e := range entries {
		m.countSocket(e)
	}
	if err := m.countDescriptors(); err != nil {
		return err
	}
	for _, w := range m.watches {
		w.note(now)
	}
	return nil
}

func newCount(proxyKnown bool) *count {
	c := &count{Backend: states{}, Upstream: states{}, Downstream: states{}, Client: states{}, ProxyFDs: -1}
	if proxyKnown {
		c.ProxyFDs = 0
	}
	return c
}

// link is a backend connection, known by the proxy's end of it.
type link struct {
	watch          *watch
	inProxy, there uint64 // inodes of its two sockets, 0 = not seen yet; there is the backend's
	seen           int    // number of the last look that saw it
}

// attribute finds connections that were not there before, and the inodes of their sockets.
func (m *monitor) attribute(entries []wire.TableEntry) {
	m.looks++
	for _, e := range entries {
		switch {
		case e.State == wire.StateListen || e.State == wire.StateTimeWait:
		case e.Local.Port() == m.backend:
			l := m.linkOf(e.Remote, e.Inode, func(l *link) *uint64 { return &l.there })
			if e.Inode != 0 {
				m.inJava[e.Inode] = l.watch
			}
		case e.Remote.Port() == m.backend:
			l := m.linkOf(e.Local, e.Inode, func(l *link) *uint64 { return &l.inProxy })
			if e.Inode != 0 {
				m.inProxy[e.Inode] = l.watch
			}
		case m.proxies[e.Local] && e.Inode != 0:
			if _, known := m.inProxy[e.Inode]; !known {
				m.inProxy[e.Inode] = m.clients[e.Remote]
			}
		}
	}
}

// linkOf finds the connection with this proxy's end, or takes it as a new one of the current cell. The port may have
// been used before: this shows in an inode other than the one known, and in that there was no such connection at the
// last look. The two files of the socket table are not read at one instant, so either end may be seen first.
func (m *monitor) linkOf(proxyEnd netip.AddrPort, inode uint64, end func(*link) *uint64) *link {
	l := m.links[proxyEnd]
	isNew := l == nil
	if !isNew && (inode == 0 || *end(l) != inode) {
		isNew = l.seen < m.looks-1 || inode != 0 && *end(l) != 0
	}
	if isNew {
		l = &link{watch: m.current}
		m.links[proxyEnd] = l
		if m.current != nil {
			m.current.reached++
		}
	}
	if inode != 0 {
		*end(l) = inode
	}
	l.seen = m.looks
	return l
}

// countSocket adds one to what is found of its cell.
func (m *monitor) countSocket(e wire.TableEntry) {
	add := func(w *watch, part func(*count) states) {
		if w != nil {
			part(w.found).add(e)
		}
	}
	switch {
	case e.State == wire.StateListen || e.State == wire.StateTimeWait:
	case e.Local.Port() == m.backend:
		add(m.links[e.Remote].watch, func(c *count) states { return c.Backend })
	case e.Remote.Port() == m.backend:
		add(m.links[e.Local].watch, func(c *count) states { return c.Upstream })
	case m.proxies[e.Local]:
		add(m.clients[e.Remote], func(c *count) states { return c.Downstream })
	case m.proxies[e.Remote]:
		add(m.clients[e.Local], func(c *count) states { return c.Client })
	}
}

func (m *monitor) countDescriptors() error {
	java, err := rig.HeldBy(m.javaPID)
	if err != nil {
		return err
	}
	if len(java) == 0 {
		return errors.New("the Java backend is gone")
	}
	for inode, n := range java {
		if w := m.inJava[inode]; w != nil {
			w.found.JavaFDs += n
		}
	}
	if m.proxyPID == 0 {
		return nil
	}
	held, err := rig.HeldBy(m.proxyPID)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		return errors.New("the proxy is gone: its process holds no socket any more")
	}
	for inode, n := range held {
		if w := m.inProxy[inode]; w != nil {
			w.found.ProxyFDs += n
		}
	}
	return nil
}

// note records what was found, where a count or a point of the chart is due.
func (w *watch) note(now time.Time) {
	if len(w.planned) == 0 {
		return
	}
	w.found.Seconds = now.Sub(w.ended).Seconds()
	for len(w.planned) > 0 && w.found.Seconds >= w.planned[0].Seconds() {
		w.found.Planned = w.planned[0].Seconds()
		w.result.Counts = append(w.result.Counts, *w.found)
		w.planned = w.planned[1:]
	}
	series := w.result.Series
	isLast := len(w.planned) == 0
	if n := len(series); n == 0 || isLast || w.found.Seconds-series[n-1].Seconds >= lookEvery.Seconds()/2 {
		w.result.Series = append(series, w.found.point())
	}
}

package exits

import (
	"errors"
	"fmt"
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
	entries, err := m.readTables()
	if err != nil {
		return err
	}
	m.attribute(entries)
	for _, w := range m.watches {
		w.found = m.newCount()
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

// readTables returns our sockets, and the backend's from where they are.
func (m *monitor) readTables() ([]wire.TableEntry, error) {
	entries, err := wire.ReadTable(ownNet)
	if err != nil || m.netDir == "" {
		return entries, err
	}
	there := entries
	if m.netDir != ownNet {
		if there, err = wire.ReadTable(m.netDir); err != nil {
			return nil, err
		}
	}
	if !slices.ContainsFunc(there, func(e wire.TableEntry) bool {
		return e.State == wire.StateListen && e.Local.Port() == m.backend.Port()
	}) {
		return nil, errors.New("the socket table does not show the backend's listener, so what it shows can't be " +
			"believed")
	}
	if m.netDir == ownNet {
		return entries, nil
	}
	for _, e := range there {
		if m.atBackend(e.Local) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

func (m *monitor) newCount() *count {
	c := &count{Upstream: states{}, Downstream: states{}, Client: states{}, ProxyFDs: -1, JavaFDs: -1}
	if m.netDir != "" {
		c.Backend = states{}
	}
	if m.proxyPID != 0 {
		c.ProxyFDs = 0
	}
	if m.javaPID != 0 {
		c.JavaFDs = 0
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
		case m.atBackend(e.Local):
			l := m.linkOf(e.Remote, e.Inode, func(l *link) *uint64 { return &l.there })
			if e.Inode != 0 {
				m.inJava[e.Inode] = l.watch
			}
		case m.atBackend(e.Remote):
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
		if m.direct() {
			l.watch = m.clients[proxyEnd]
		}
		m.links[proxyEnd] = l
		if l.watch != nil {
			l.watch.reached++
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
	case m.atBackend(e.Local):
		add(m.links[e.Remote].watch, func(c *count) states { return c.Backend })
	case m.atBackend(e.Remote) && m.direct():
		add(m.links[e.Local].watch, func(c *count) states { return c.Client })
	case m.atBackend(e.Remote):
		add(m.links[e.Local].watch, func(c *count) states { return c.Upstream })
	case m.proxies[e.Local]:
		add(m.clients[e.Remote], func(c *count) states { return c.Downstream })
	case m.proxies[e.Remote]:
		add(m.clients[e.Local], func(c *count) states { return c.Client })
	}
}

func (m *monitor) countDescriptors() error {
	return errors.Join(
		countHeld("the backend", m.javaPID, m.inJava, func(c *count) *int { return &c.JavaFDs }),
		countHeld("the proxy", m.proxyPID, m.inProxy, func(c *count) *int { return &c.ProxyFDs }))
}

// countHeld adds the descriptors that a process, and all that descend from it, hold of a cell's sockets.
func countHeld(who string, pid int, cells map[uint64]*watch, counter func(*count) *int) error {
	if pid == 0 {
		return nil
	}
	held, err := rig.HeldBy(pid)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		return fmt.Errorf("%s is gone: its process holds no socket any more", who)
	}
	for inode, n := range held {
		if w := cells[inode]; w != nil {
			*counter(w.found) += n
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

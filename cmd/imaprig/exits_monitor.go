package main

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"imapproxy/backend/socktab"
)

// monitor counts what the kernel shows, cell by cell. Cells share one backend port, so that any proxy with one address
// can be run; they are opened one after the other and counted all at once. A backend connection belongs to the cell
// that was being opened when it was first seen, and so do the inodes of its sockets, by which descriptors are found
// even after the kernel has dropped the connection.
type monitor struct {
	backend  uint16                  // port
	javaPID  int                     // holds the backend's sockets
	proxyPID int                     // 0 = not known
	proxies  map[netip.AddrPort]bool // where clients connect

	mu       sync.Mutex // protects what follows
	current  *watch     // the cell that is being opened
	watches  []*watch
	upstream map[netip.AddrPort]*watch // by the proxy's end of a backend connection
	clients  map[netip.AddrPort]*watch // by the client's end
	inProxy  map[uint64]*watch         // by inode
	inJava   map[uint64]*watch
	complete bool // no cell will be added
}

// watch is a cell under the monitor's eyes.
type watch struct {
	result  *cellResult
	reached int
	ended   time.Time       // of its sessions; zero before
	planned []time.Duration // counts still to come
	found   *count          // of the look that is under way
}

const lookEvery = time.Second // for the chart

func newMonitor(backend uint16, javaPID int, p *proxy) *monitor {
	return &monitor{
		backend: backend, javaPID: javaPID, proxyPID: p.pid, proxies: map[netip.AddrPort]bool{p.addr: true, p.outside: true},
		upstream: map[netip.AddrPort]*watch{}, clients: map[netip.AddrPort]*watch{},
		inProxy: map[uint64]*watch{}, inJava: map[uint64]*watch{},
	}
}

// Begin makes a cell the one to which new connections belong.
func (m *monitor) Begin(r *cellResult) (*watch, error) {
	if err := m.Look(); err != nil { // what is late belongs to the cell before
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.current = &watch{result: r}
	m.watches = append(m.watches, m.current)
	return m.current, nil
}

// Client notes a client's connection.
func (m *monitor) Client(w *watch, addr netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients[addr] = w
}

// Ended starts the counts of a cell.
func (m *monitor) Ended(w *watch, at time.Time, after []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.ended, w.planned = at, after
}

// Complete says that no cell is to come.
func (m *monitor) Complete() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.complete = true
}

// Run looks again and again until the last cell has all its counts, and calls tick after each look.
func (m *monitor) Run(ctx context.Context, tick func(now time.Time)) error {
	for {
		pause, over := m.next(time.Now())
		if over {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		if err := m.Look(); err != nil {
			return err
		}
		tick(time.Now())
	}
}

// next is how long to wait for the next count that is due, or for the chart.
func (m *monitor) next(now time.Time) (pause time.Duration, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pause, over = lookEvery, m.complete
	for _, w := range m.watches {
		if len(w.planned) > 0 {
			over = false
			pause = min(pause, w.ended.Add(w.planned[0]).Sub(now))
		}
	}
	return max(pause, 0), over
}

// Look reads the socket table and the descriptors, once for all cells.
func (m *monitor) Look() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	entries, err := socktab.Read("/proc/self/net")
	if err != nil {
		return err
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

// attribute finds connections that were not there before. The proxy's end is looked at first: an inode that is new
// there means a new connection, even if the port was in use before.
func (m *monitor) attribute(entries []socktab.Entry) {
	for _, e := range entries {
		if e.Remote.Port() != m.backend {
			continue
		}
		if _, known := m.inProxy[e.Inode]; known {
			continue
		}
		if _, known := m.upstream[e.Local]; !known || e.Inode != 0 {
			m.reach(e.Local)
		}
		if e.Inode != 0 {
			m.inProxy[e.Inode] = m.current
		}
	}
	for _, e := range entries {
		if e.Local.Port() != m.backend || e.State == socktab.Listen {
			continue
		}
		if _, known := m.upstream[e.Remote]; !known {
			m.reach(e.Remote)
		}
		if _, known := m.inJava[e.Inode]; !known && e.Inode != 0 {
			m.inJava[e.Inode] = m.upstream[e.Remote]
		}
	}
}

// reach gives a connection to the current cell.
func (m *monitor) reach(proxyEnd netip.AddrPort) {
	m.upstream[proxyEnd] = m.current
	if m.current != nil {
		m.current.reached++
	}
}

// countSocket adds one to what is found of its cell.
func (m *monitor) countSocket(e socktab.Entry) {
	add := func(w *watch, part func(*count) states) {
		if w != nil && e.State != socktab.TimeWait && e.State != socktab.Listen {
			part(w.found).add(e)
		}
	}
	switch {
	case e.Local.Port() == m.backend:
		add(m.upstream[e.Remote], func(c *count) states { return c.Backend })
	case e.Remote.Port() == m.backend:
		add(m.upstream[e.Local], func(c *count) states { return c.Upstream })
	case m.proxies[e.Local]:
		w := m.clients[e.Remote]
		if e.Inode != 0 && w != nil {
			m.inProxy[e.Inode] = w
		}
		add(w, func(c *count) states { return c.Downstream })
	case m.proxies[e.Remote]:
		add(m.clients[e.Local], func(c *count) states { return c.Client })
	}
}

func (m *monitor) countDescriptors() error {
	java, err := heldBy(m.javaPID)
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
	held, err := heldBy(m.proxyPID)
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

// note keeps what was found, where a count or a point of the chart is due.
func (w *watch) note(now time.Time) {
	if w.ended.IsZero() || len(w.planned) == 0 {
		return
	}
	w.found.Seconds = now.Sub(w.ended).Seconds()
	w.result.Series = append(w.result.Series, w.found.point())
	for len(w.planned) > 0 && w.found.Seconds >= w.planned[0].Seconds() {
		w.found.Planned = w.planned[0].Seconds()
		w.result.Counts = append(w.result.Counts, *w.found)
		w.planned = w.planned[1:]
	}
}

// Attributed is how many of the descriptors that Java holds belong to a cell, by the last look.
func (m *monitor) Attributed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, w := range m.watches {
		if w.found != nil {
			n += w.found.JavaFDs
		}
	}
	return n
}

// Reached is how many backend connections of a cell were seen.
func (m *monitor) Reached(w *watch) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return w.reached
}

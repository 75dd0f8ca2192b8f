package exits

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"imapproxy/cmd/imaprig/rig"
)

// monitor counts what the kernel shows, cell by cell. Cells share one backend port, so that any proxy with one address
// can be run; they are opened one after the other and counted all at once. A backend connection belongs to the cell
// that was being opened when it was first seen, and so do the inodes of its sockets, by which descriptors are found
// even after the kernel has dropped the connection.
type monitor struct {
	backend  netip.AddrPort
	anyAddr  bool                    // who connects to the backend may use another address of it
	netDir   string                  // where the kernel shows its sockets, "" = nowhere
	javaPID  int                     // holds the backend's sockets; 0 = not known
	proxyPID int                     // 0 = not known
	proxies  map[netip.AddrPort]bool // where clients connect; none when they connect to the backend
	outside  netip.AddrPort          // where they do so from the namespace, then

	gate sync.RWMutex // held for reading while a client connects and is noted, so that no look comes between

	mu       sync.Mutex // protects what follows; taken after gate
	looks    int        // so far
	current  *watch     // the cell that is being opened
	watches  []*watch
	links    map[netip.AddrPort]*link  // by the proxy's end
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

// newMonitor returns one of a backend and a proxy, which we have configured or not.
func newMonitor(b backendFacts, p *rig.Proxy, configured bool) *monitor {
	m := &monitor{
		backend: b.addr, netDir: b.netDir, javaPID: b.pid, proxyPID: p.PID, proxies: map[netip.AddrPort]bool{},
		links: map[netip.AddrPort]*link{}, clients: map[netip.AddrPort]*watch{},
		inProxy: map[uint64]*watch{}, inJava: map[uint64]*watch{},
	}
	if isDirect(p) {
		m.outside = p.Outside
		return m
	}
	m.anyAddr = !configured
	m.proxies[p.Addr], m.proxies[p.Outside] = true, true
	return m
}

// atBackend reports whether this is the backend's end of a connection.
func (m *monitor) atBackend(a netip.AddrPort) bool {
	return a == m.backend || a == m.outside || m.anyAddr && a.Port() == m.backend.Port() && !m.proxies[a]
}

// seesBackend reports whether connections to the backend show at one of their ends.
func (m *monitor) seesBackend() bool { return m.netDir != "" || m.direct() || m.proxyPID != 0 }

// direct reports whether clients connect to the backend.
func (m *monitor) direct() bool { return len(m.proxies) == 0 }

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

// Connect calls a client's connect, and records its address.
func (m *monitor) Connect(w *watch, c *client, dial func() error) error {
	m.gate.RLock()
	defer m.gate.RUnlock()
	if err := dial(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clients[c.addr()] = w
	return nil
}

// Ended starts the counts of a cell.
func (m *monitor) Ended(w *watch, at time.Time, after []time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.ended, w.planned = at, after
}

// Complete records that no further cell will begin.
func (m *monitor) Complete() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.complete = true
}

// Run calls Look at intervals until the last cell has all its counts, and calls tick after each look.
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

// next returns how long to wait for the next count that is due, or for the chart.
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

// Attributed returns how many of the descriptors that Java holds belong to a cell, by the last look.
func (m *monitor) Attributed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, w := range m.watches {
		if w.found != nil {
			n += max(0, w.found.JavaFDs)
		}
	}
	return n
}

// Reached returns how many backend connections of a cell were seen.
func (m *monitor) Reached(w *watch) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return w.reached
}

package exits

import (
	"slices"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// tableRow is a socket that a look reads: local, remote, state, inode.
type tableRow struct {
	local, remote string
	state         wire.State
	inode         uint64
}

func (m *monitor) see(rows ...tableRow) {
	var entries []wire.TableEntry
	for _, r := range rows {
		entries = append(entries, wire.TableEntry{Local: rigtest.Addr(r.local), Remote: rigtest.Addr(r.remote),
			State: r.state, Inode: r.inode})
	}
	m.attribute(entries)
	for _, w := range m.watches {
		w.found = m.newCount()
	}
	for _, e := range entries {
		m.countSocket(e)
	}
}

func (m *monitor) nextCell() *watch {
	m.current = &watch{result: &cellResult{}}
	m.watches = append(m.watches, m.current)
	return m.current
}

func lookMonitor() *monitor {
	facts := backendFacts{addr: rigtest.Addr(backendEnd), netDir: ownNet, pid: 1}
	return newMonitor(facts, &rig.Proxy{Addr: rigtest.Addr(proxyListener)}, true)
}

const (
	backendEnd, proxyEnd     = "127.0.0.1:1430", "127.0.0.1:40001"
	proxyListener, clientEnd = "127.0.0.1:1143", "127.0.0.1:50001"
)

func TestAttribute(t *testing.T) {
	listener := tableRow{backendEnd, "0.0.0.0:0", wire.StateListen, 1}
	proxySide := func(inode uint64) tableRow { return tableRow{proxyEnd, backendEnd, wire.StateEstablished, inode} }
	javaSide := func(state wire.State, inode uint64) tableRow { return tableRow{backendEnd, proxyEnd, state, inode} }
	tests := []struct {
		name          string
		first, second []tableRow // looks of two cells
		one, two      int        // connections that each reached
		java, proxy   [2]uint64  // an inode that belongs to each, 0 = none
	}{
		{"each its own", []tableRow{listener, proxySide(10), javaSide(wire.StateEstablished, 11)},
			[]tableRow{proxySide(10), javaSide(wire.StateEstablished, 11),
				{"127.0.0.1:40002", backendEnd, wire.StateEstablished, 20}}, 1, 1, [2]uint64{11, 0}, [2]uint64{10, 20}},
		{"accepted late", []tableRow{proxySide(10), javaSide(wire.StateEstablished, 0)},
			[]tableRow{proxySide(10), javaSide(wire.StateEstablished, 11)}, 1, 0, [2]uint64{11, 0}, [2]uint64{10, 0}},
		{"left in CLOSE_WAIT", []tableRow{proxySide(10), javaSide(wire.StateEstablished, 11)},
			[]tableRow{javaSide(wire.StateCloseWait, 11)}, 1, 0, [2]uint64{11, 0}, [2]uint64{10, 0}},
		{"orphan of the proxy", []tableRow{proxySide(10), javaSide(wire.StateEstablished, 11)},
			[]tableRow{{proxyEnd, backendEnd, wire.StateFinWait2, 0},
				javaSide(wire.StateCloseWait, 11)}, 1, 0, [2]uint64{11, 0}, [2]uint64{10, 0}},
		{"port used again", []tableRow{proxySide(10), javaSide(wire.StateEstablished, 11)},
			[]tableRow{proxySide(20), javaSide(wire.StateEstablished, 21)}, 1, 1, [2]uint64{11, 21}, [2]uint64{10, 20}},
		{"port used again, the proxy's end not read yet",
			[]tableRow{proxySide(10), javaSide(wire.StateEstablished, 11)},
			[]tableRow{javaSide(wire.StateEstablished, 21)}, 1, 1, [2]uint64{11, 21}, [2]uint64{10, 0}},
		{"TIME_WAIT says nothing", nil, []tableRow{{backendEnd, proxyEnd, wire.StateTimeWait, 0}}, 0, 0, [2]uint64{},
			[2]uint64{}},
		{"in the accept queue", nil, []tableRow{javaSide(wire.StateCloseWait, 0)}, 0, 1, [2]uint64{}, [2]uint64{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := lookMonitor()
			one := m.nextCell()
			m.see(tt.first...)
			two := m.nextCell()
			m.see(tt.second...)
			if one.reached != tt.one || two.reached != tt.two {
				t.Errorf("reached %d and %d, want %d and %d", one.reached, two.reached, tt.one, tt.two)
			}
			for i, w := range []*watch{one, two} {
				if n := tt.java[i]; n != 0 && m.inJava[n] != w {
					t.Errorf("Java's inode %d is not of cell %d", n, i+1)
				}
				if n := tt.proxy[i]; n != 0 && m.inProxy[n] != w {
					t.Errorf("the proxy's inode %d is not of cell %d", n, i+1)
				}
			}
		})
	}
}

// TestAttributeAbsent uses a port again after looks in which nothing but TIME_WAIT was there; of the first connection
// only one end, or none, was seen alive.
func TestAttributeAbsent(t *testing.T) {
	for name, first := range map[string]tableRow{
		"the proxy's end was seen":   {proxyEnd, backendEnd, wire.StateEstablished, 10},
		"the backend's end was seen": {backendEnd, proxyEnd, wire.StateEstablished, 11},
		"an orphan was seen":         {proxyEnd, backendEnd, wire.StateFinWait2, 0},
	} {
		for how, second := range map[string]tableRow{
			"accepted": {backendEnd, proxyEnd, wire.StateEstablished, 21},
			"queued":   {backendEnd, proxyEnd, wire.StateEstablished, 0},
		} {
			t.Run(name+", then "+how, func(t *testing.T) {
				m := lookMonitor()
				one := m.nextCell()
				m.see(first)
				m.see(tableRow{backendEnd, proxyEnd, wire.StateTimeWait, 0})
				two := m.nextCell()
				m.see(second)
				if m.links[rigtest.Addr(proxyEnd)].watch != two || one.reached != 1 || two.reached != 1 {
					t.Errorf("the second connection went to the first cell; reached %d and %d, want 1 and 1",
						one.reached, two.reached)
				}
			})
		}
	}
}

func TestCountSockets(t *testing.T) {
	m := lookMonitor()
	w := m.nextCell()
	m.clients[rigtest.Addr(clientEnd)] = w
	m.see(
		tableRow{proxyEnd, backendEnd, wire.StateFinWait2, 0}, tableRow{backendEnd, proxyEnd, wire.StateCloseWait, 11},
		tableRow{proxyListener, clientEnd, wire.StateCloseWait, 12}, tableRow{clientEnd, proxyListener,
			wire.StateFinWait2, 13},
		tableRow{"127.0.0.1:50001", "127.0.0.1:99", wire.StateEstablished, 14}, // the client's port, to another server
		tableRow{proxyListener, "127.0.0.1:50002", wire.StateEstablished, 15},  // another server's client
		tableRow{"127.0.0.1:40009", backendEnd, wire.StateTimeWait, 0}, tableRow{proxyListener, "0.0.0.0:0",
			wire.StateListen, 16},
	)
	got := []string{w.found.Backend.List(), w.found.Upstream.List(), w.found.Downstream.List(), w.found.Client.List()}
	want := []string{"CLOSE_WAIT 1", "FIN_WAIT2 1", "CLOSE_WAIT 1", "FIN_WAIT2 1"}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %q, want %q", got, want)
			break
		}
	}
	if m.inProxy[12] != w || m.inProxy[15] != nil {
		t.Error("the proxy's sockets towards clients: 12 is the cell's, 15 is not")
	}
}

// TestLookBlind is a table in which nothing can be seen: no count may come of it.
func TestLookBlind(t *testing.T) {
	free, err := rig.FreeAddr(rigtest.Addr("127.0.0.1:0").Addr())
	if err != nil {
		t.Fatal(err)
	}
	m := newMonitor(backendFacts{addr: free, netDir: ownNet}, &rig.Proxy{}, true)
	rigtest.CheckError(t, m.Look(), "does not show the backend's listener")
}

// TestNote keeps a count for each planned time, and a point each second.
func TestNote(t *testing.T) {
	w := &watch{result: &cellResult{}}
	began := time.Now()
	look := func(after time.Duration, closeWait int) {
		c := at(0, closeWait, 0, 0, 0)
		w.found = &c
		w.note(began.Add(after))
	}
	look(time.Second, 9) // not ended yet
	w.ended, w.planned = began, []time.Duration{time.Second, 2 * time.Second, 10 * time.Second}
	look(100*time.Millisecond, 5)
	look(200*time.Millisecond, 5) // too soon for another point
	look(2*time.Second, 4)        // late: for two counts
	look(9*time.Second, 3)
	look(10*time.Second, 2)
	look(11*time.Second, 1) // all is done
	var counts, points []int
	for _, c := range w.result.Counts {
		counts = append(counts, int(c.Planned), c.Backend[wire.StateCloseWait].Sockets)
	}
	for _, p := range w.result.Series {
		points = append(points, p.CloseWait)
	}
	if want := []int{1, 4, 2, 4, 10, 2}; !slices.Equal(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
	if want := []int{5, 4, 3, 2}; !slices.Equal(points, want) {
		t.Errorf("points %v, want %v", points, want)
	}
}

// TestLookAtServer counts what clients that come without a proxy leave, and not what others do there; and what can be
// known of a server on another machine.
func TestLookAtServer(t *testing.T) {
	rows := []tableRow{
		{clientEnd, backendEnd, wire.StateFinWait2, 0}, {backendEnd, clientEnd, wire.StateCloseWait, 11},
		{backendEnd, "127.0.0.1:50009", wire.StateEstablished, 12}, // another's client
	}
	direct := newMonitor(backendFacts{addr: rigtest.Addr(backendEnd), netDir: ownNet, pid: 1}, &rig.Proxy{
		Name: proxyDirect}, true)
	w := direct.nextCell()
	direct.clients[rigtest.Addr(clientEnd)] = w
	direct.see(rows...)
	got := w.found.Backend.List() + ", " + w.found.Client.List()
	if got != "CLOSE_WAIT 1, FIN_WAIT2 1" || w.reached != 1 || direct.inJava[12] != nil {
		t.Errorf("got %s, %d reached; the other client's: %v", got, w.reached, direct.inJava[12])
	}
	far := newMonitor(backendFacts{addr: rigtest.Addr("192.0.2.1:143")}, &rig.Proxy{Addr: rigtest.Addr(proxyListener),
		PID: 7}, true)
	w = far.nextCell()
	far.see(tableRow{proxyEnd, "192.0.2.1:143", wire.StateEstablished, 10})
	if w.found.Backend != nil || w.found.JavaFDs != -1 || w.reached != 1 {
		t.Errorf("the backend's sockets %v and descriptors %d, want unknown; %d reached", w.found.Backend,
			w.found.JavaFDs, w.reached)
	}
	if got := backendSockets(nil, *w.found); got != 1 {
		t.Errorf("%d of the proxy's sockets linger, want 1", got)
	}
}

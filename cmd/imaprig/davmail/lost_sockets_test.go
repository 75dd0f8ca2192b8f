package davmail

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// afterLogout returns how many sockets DavMail holds after clients that said LOGOUT.
func (s *Server) afterLogout(t *testing.T) int {
	t.Helper()
	for i := range ofEach {
		c, err := connect(dialHere, s.Addr(), fmt.Sprintf("clean-%d", i))
		if err == nil {
			err = c.selectInbox()
		}
		for _, command := range []string{"FETCH 1:* BODY.PEEK[]", "LOGOUT"} {
			if err == nil {
				_, err = c.ask("OK", command)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = c.conn.Close()
	}
	held := 0
	rigtest.EventuallyStays(t, func() error {
		before := held
		if held = s.held(t); held != before {
			return fmt.Errorf("%d sockets, %d before", held, before)
		}
		return nil
	})
	return held
}

// held returns how many sockets DavMail holds.
func (s *Server) held(t *testing.T) int {
	t.Helper()
	held, err := rig.HeldBy(s.PID())
	if err != nil {
		t.Fatal(err)
	}
	return len(held)
}

// wantHeld waits until DavMail holds this many sockets.
func (s *Server) wantHeld(t *testing.T, want int) {
	t.Helper()
	rigtest.EventuallyStays(t, func() error {
		if held := s.held(t); held != want {
			return fmt.Errorf("DavMail holds %d sockets, want %d", held, want)
		}
		return nil
	})
}

// wantHanging waits until this many of its requests hang.
func (s *Server) wantHanging(t *testing.T, want int) {
	t.Helper()
	rigtest.Eventually(t, func() error {
		if h := s.Stats().Hanging; h != want {
			return fmt.Errorf("%d requests hang, want %d", h, want)
		}
		return nil
	})
}

// socketsOf returns the kernel's sockets of a server's port without listeners and those in TIME_WAIT.
func socketsOf(t *testing.T, port uint16, side rig.Side) []wire.TableEntry {
	t.Helper()
	all, err := wire.ReadTable("/proc/self/net")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(rig.SocketsOn(all, port, side), func(e wire.TableEntry) bool {
		return e.State == wire.StateListen || e.State == wire.StateTimeWait
	})
}

// loseDirectly loses clients where DavMail keeps their sockets: in IDLE, and while Exchange hangs. So this
// test sees what it is to see.
func loseDirectly(t *testing.T, s *Server, clean int) {
	defer s.Release() // what hangs would stop the next test
	var all []*lost
	for _, st := range states() {
		if st.name == "in-idle" || st.name == "unanswered" {
			some, err := st.openLost(s, "direct", closers, func(_ int, user string) (*client, error) {
				return connect(dialHere, s.Addr(), user)
			})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, some...)
		}
	}
	s.wantHanging(t, closers)
	inIdle := map[netip.AddrPort]bool{}
	for _, l := range all {
		inIdle[l.conn.LocalAddr().(*net.TCPAddr).AddrPort()] = l.state.name == "in-idle"
		if err := l.lose(); err != nil {
			t.Fatal(err)
		}
	}
	rigtest.EventuallyStays(t, func() error {
		found := map[string]int{}
		for _, e := range socketsOf(t, s.Port, rig.ServerSide) {
			found[fmt.Sprintf("idle %v, %v, Recv-Q %d", inIdle[e.Remote], e.State, e.RecvQ)]++
		}
		want := fmt.Sprint(map[string]int{
			fmt.Sprintf("idle true, %v, Recv-Q 0", wire.StateCloseWait):  closers,
			fmt.Sprintf("idle false, %v, Recv-Q 1", wire.StateCloseWait): closers,
		})
		if fmt.Sprint(found) != want {
			return fmt.Errorf("%v, want %v", found, want)
		}
		return nil
	})
	s.Release()
	for _, l := range all {
		s.Deliver(l.user, smallMessage) // DavMail writes to those in IDLE, and so sees that they are gone
	}
	s.wantHeld(t, clean)
}

// loseThroughProxy loses clients in every state. Nothing is left of them, except what hangs in DavMail for as long as
// Exchange does.
func loseThroughProxy(t *testing.T, s *Server, program string, clean int) {
	rigtest.NeedRoot(t)
	n := newNamespace(t)
	x := startProxy(t, program, s.Addr(), "", n.Outside())
	before := x.descriptors(t)
	host, err := n.NewClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := &net.Dialer{Timeout: talkLimit, KeepAlive: -1, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(host, 0))}
	var all []*lost
	defer func() {
		for _, l := range all {
			if l != nil {
				_, _ = l.conn.SetLinger(0), l.conn.Close() // no FIN, which would keep the namespace
			}
		}
	}()
	for _, st := range states() {
		some, err := st.openLost(s, "proxy", ofEach, func(number int, user string) (*client, error) {
			if number >= closers+resetters {
				return connect(func(addr string) (net.Conn, error) { return n.Dial(d, addr) }, x.away, user)
			}
			return connect(dialHere, x.here, user)
		})
		all = append(all, some...)
		if err != nil {
			t.Fatal(err)
		}
	}
	s.wantHanging(t, 2*ofEach)
	for _, err := range []error{n.Deafen(t.Context(), host), n.Mute(t.Context(), host)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range all {
		if err := l.lose(); err != nil {
			t.Error(err)
		}
	}
	x.wantNothingLeft(t, s, len(all), before)
	x.judge(t, all)
	s.wantHeld(t, clean+2*2*ofEach) // what hangs keeps a connection to Exchange too; a proxy can't end that
	s.Release()
	s.wantHeld(t, clean)
}

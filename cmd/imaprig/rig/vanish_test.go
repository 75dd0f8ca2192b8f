package rig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"imapproxy/cmd/imaprig/internal/rigtest"
)

const (
	ticks       = 50 * time.Millisecond // the kernel's are 10 ms at most
	noticeSlack = 20 * time.Second      // for a machine that is busy; by default a peer is gone after 120 s
)

// vanishConfig says who has which keep-alive, and a user_timeout or none. It takes the addresses of the listeners, the
// first of which is for clients that stay, of the near backend and of the far one, which vanishes.
const vanishConfig = `hostname = "rig.example"
auth = { type = "passthrough" }
route = { type = "map", file = "map" }
tcp = { keepalive_idle = "2s", keepalive_interval = "1s", keepalive_count = 3 }
listener = [
  { name = "here", address = %q, tls = "off" },
  { name = "tcp", address = %q, tls = "off", insecure = true },
  { name = "own", address = %q, tls = "off", insecure = true, keepalive_idle = "1s", keepalive_count = 2 },
  { name = "written", address = %q, tls = "off", insecure = true, keepalive_idle = "1s", keepalive_count = 1,
    user_timeout = "7s" },
]
target = [
  { name = "near", addresses = [%q], tls = "off" },
  { name = "far-tcp", addresses = [%[6]q], tls = "off", plain_login = true },
  { name = "far-own", addresses = [%[6]q], tls = "off", plain_login = true,
    keepalive_idle = "1s", keepalive_count = 2 },
  { name = "far-written", addresses = [%[6]q], tls = "off", plain_login = true,
    keepalive_idle = "1s", keepalive_count = 1, user_timeout = "7s" },
]
limits = { bye_timeout = "100ms" }
log = { file = "log", format = "json" }
`

// vanishing is a session one side of which vanishes. Its user's name is its own.
type vanishing struct {
	user     string
	listener int    // of vanishConfig
	reason   string // which the proxy gives
	after    time.Duration

	client *mailClient
	spoke  time.Time // before its last bytes: the kernel counts from a moment after it
}

// TestVanished measures how soon clients and backends that vanish are noticed: after idle + interval x count, unless
// user_timeout is written. All vanish together, and nothing is in flight.
func TestVanished(t *testing.T) {
	n := testNamespace(t)
	t.Cleanup(func() {
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	})
	far, server := vanishBackend(t, n)
	near := rigtest.Start(t, NewFastBackend, BackendOptions{Listen: rigtest.AnyPort})
	x := vanishProxy(t, n, near[0], server)
	sessions := []*vanishing{
		{user: "client-tcp", listener: 1, reason: "client_vanished", after: 5 * time.Second},
		{user: "client-own", listener: 2, reason: "client_vanished", after: 3 * time.Second},
		{user: "client-written", listener: 3, reason: "client_vanished", after: 7 * time.Second},
		{user: "far-tcp", reason: "backend_vanished", after: 5 * time.Second},
		{user: "far-own", reason: "backend_vanished", after: 3 * time.Second},
		{user: "far-written", reason: "backend_vanished", after: 7 * time.Second},
	}
	host, err := n.NewClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range sessions {
		v.open(t, n, x.Listen, host)
	}
	for _, who := range []netip.Addr{host, far} {
		if err := n.Deafen(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		if err := n.Mute(t.Context(), who); err != nil {
			t.Fatal(err)
		}
	}
	x.awaitEndings(t, sessions, time.Now())
}

// vanishBackend runs a fast backend that is in the namespace, at an address of its own.
func vanishBackend(t *testing.T, n *Namespace) (host netip.Addr, server string) {
	t.Helper()
	host, err := n.NewClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var b *FastBackend
	err = n.inside(func() (err error) {
		b, err = NewFastBackend(t.Context(), BackendOptions{Listen: netip.AddrPortFrom(host, 0).String()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rigtest.Serve(t, b.Run)
	t.Cleanup(func() { // before it closes them: a FIN that is not acknowledged would keep the namespace
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		for conn := range b.server.open {
			_ = conn.SetLinger(0)
		}
	})
	return host, b.listeners[0].Addr().String()
}

// vanishProxy starts our proxy with vanishConfig. Its first listener is on loopback.
func vanishProxy(t *testing.T, n *Namespace, near, far string) *PeerSetup {
	t.Helper()
	p := ImapproxyPeer()
	p.Programs = []string{rigtest.OwnProgram(t)}
	var setup *PeerSetup
	p.Prepare = func(s *PeerSetup) ([]string, error) {
		setup = s
		for range 2 {
			more, err := FreeAddr(n.Outside())
			if err != nil {
				return nil, err
			}
			s.Listen = append(s.Listen, more)
		}
		config := fmt.Sprintf(vanishConfig, s.Listen[0], s.Listen[1], s.Listen[2], s.Listen[3], near, far)
		const users = "far-tcp far-tcp\nfar-own far-own\nfar-written far-written\n* near\n"
		if err := s.WriteFile("map", users); err != nil {
			return nil, err
		}
		return []string{"serve", "--config", s.Path("imapproxy.toml")}, s.WriteFile("imapproxy.toml", config)
	}
	x, err := p.Start(t.Context(), netip.AddrPort{}, n.Outside())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Stop(); err != nil {
			t.Error(err)
		}
	})
	return setup
}

// open logs in and says something, by which everything is acknowledged.
func (v *vanishing) open(t *testing.T, n *Namespace, listen []netip.AddrPort, host netip.Addr) {
	t.Helper()
	dialer, dial := &net.Dialer{Timeout: clientLimit, KeepAlive: -1}, n.Dial // a probe would be a sign of life
	if v.listener > 0 {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(host, 0))
	} else {
		dial = func(d *net.Dialer, to string) (net.Conn, error) { return d.Dial("tcp", to) }
	}
	conn, err := dial(dialer, listen[v.listener].String())
	if err != nil {
		t.Fatal(err)
	}
	v.client = newMailClient(t, conn)
	t.Cleanup(func() { _ = v.client.conn.SetLinger(0) }) // no FIN, as the backend's
	v.client.wantLine("* OK")
	v.client.command("OK", "LOGIN "+v.user+" secret")
	v.spoke = time.Now()
	v.client.command("OK", "NOOP")
}

// awaitEndings polls the proxy's log until each session has ended, and wants it to be in time. gone is when everybody
// had vanished.
func (s *PeerSetup) awaitEndings(t *testing.T, sessions []*vanishing, gone time.Time) {
	t.Helper()
	waiting := map[string]*vanishing{}
	for _, v := range sessions {
		waiting[v.user] = v
	}
	tick := time.NewTicker(rigtest.PollEvery)
	defer tick.Stop()
	for len(waiting) > 0 {
		<-tick.C
		ended, now := s.endings(t), time.Now()
		for user, v := range waiting {
			reason, over := ended[user]
			switch {
			case over:
				v.judge(t, reason, now)
			case now.After(gone.Add(v.after + noticeSlack)):
				t.Errorf("%s: not noticed %v after it vanished, want %v", user, now.Sub(gone), v.after)
			default:
				continue
			}
			delete(waiting, user)
		}
	}
}

// judge compares an ending with the one that is expected.
func (v *vanishing) judge(t *testing.T, reason string, at time.Time) {
	t.Helper()
	took := at.Sub(v.spoke).Round(time.Millisecond)
	t.Logf("%s: %s, %v after it spoke last", v.user, reason, took)
	if reason != v.reason || took < v.after-ticks {
		t.Errorf("%s: %s after %v, want %s after %v at the earliest", v.user, reason, took, v.reason, v.after)
	}
}

// endings are the reasons that the proxy's log gives, by users.
func (s *PeerSetup) endings(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(s.Path("log"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{}
	for line := range bytes.Lines(text) {
		var e struct{ Message, User, Reason string }
		if json.Unmarshal(line, &e) == nil && e.Message == "session ended" {
			reasons[e.User] = e.Reason
		}
	}
	return reasons
}

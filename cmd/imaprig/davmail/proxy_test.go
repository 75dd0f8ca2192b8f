package davmail

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"imapproxy/cmd/imaprig/internal/rigtest"
	"imapproxy/cmd/imaprig/rig"
)

// proxyConfig takes the address for clients that vanish, the one for others, of which one that does not read is not
// taken for gone, DavMail's, and more of its target.
const proxyConfig = `hostname = "rig.example"
auth = { type = "passthrough" }
route = { type = "fixed", target = "davmail" }
tcp = { keepalive_idle = "1s", keepalive_interval = "1s", keepalive_count = 3, user_timeout = "10s" }
listener = [
  { name = "away", address = %q, tls = "off", insecure = true },
  { name = "here", address = %q, tls = "off", user_timeout = "10m" },
]
limits = { login_timeout = "10m", half_close_timeout = "5s" }
log = { file = "log", format = "json" }
[[target]]
name = "davmail"
addresses = [%q]
tls = "off"
greeting_timeout = "60s"
login_timeout = "5m"
%s
`

// proxy is our proxy in front of DavMail.
type proxy struct {
	*rig.Proxy
	away, here string // where clients connect
	log        string
}

// startProxy starts it. Clients that vanish connect to this host, others to loopback.
func startProxy(t *testing.T, program, davmail, more string, host netip.Addr) *proxy {
	t.Helper()
	p := rig.ImapproxyPeer()
	p.Programs = []string{program}
	x := &proxy{}
	p.Prepare = func(s *rig.PeerSetup) ([]string, error) {
		listen, err := rig.FreeAddr(host)
		if err != nil {
			return nil, err
		}
		x.away, x.here, x.log = listen.String(), s.Listen[0].String(), s.Path("log")
		s.Listen = append(s.Listen, listen)
		config := fmt.Sprintf(proxyConfig, x.away, x.here, davmail, more)
		return []string{"serve", "--config", s.Path("imapproxy.toml")}, s.WriteFile("imapproxy.toml", config)
	}
	started, err := p.Start(t.Context(), netip.AddrPort{}, netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	x.Proxy = started
	t.Cleanup(func() {
		if err := started.Stop(); err != nil {
			t.Error(err)
		}
	})
	return x
}

// ended is what the log says of a session.
type ended struct {
	Message    string
	Client     string
	User       string
	Reason     string
	BackendEnd string `json:"backend_end"`
}

// endings returns what the log says of the sessions that have ended, by their clients' addresses.
func (x *proxy) endings(t *testing.T) map[string]ended {
	t.Helper()
	text, err := os.ReadFile(x.log)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]ended{}
	for line := range bytes.Lines(text) {
		var e ended
		if json.Unmarshal(line, &e) == nil && e.Message == "session ended" {
			all[e.Client] = e
		}
	}
	return all
}

// descriptors returns how many the proxy holds.
func (x *proxy) descriptors(t *testing.T) int {
	t.Helper()
	u, err := rig.UsageOf([]int{x.PID})
	if err != nil {
		t.Fatal(err)
	}
	return u.Descriptors
}

// wantNothingLeft waits until the log has this many endings and no socket of a session is left, neither the proxy's nor
// in the kernel's table DavMail's.
func (x *proxy) wantNothingLeft(t *testing.T, s *Server, sessions, descriptors int) {
	t.Helper()
	rigtest.EventuallyStays(t, func() error {
		endings := len(x.endings(t))
		if endings != sessions {
			return fmt.Errorf("%d sessions have ended, want %d", endings, sessions)
		}
		left := socketsOf(t, s.Port, rig.ServerSide)
		for _, addr := range []string{x.here, x.away} {
			left = append(left, socketsOf(t, rigtest.Addr(addr).Port(), rig.ServerSide)...)
		}
		if held := x.descriptors(t); len(left) > 0 || held != descriptors {
			return fmt.Errorf("%d descriptors, want %d; %d sockets, want none: %v", held, descriptors, len(left),
				left[:min(len(left), 3)])
		}
		return nil
	})
}

// judge compares what the log says of each session with how it was lost.
func (x *proxy) judge(t *testing.T, all []*lost) {
	t.Helper()
	endings := x.endings(t)
	for _, l := range all {
		e := endings[l.conn.LocalAddr().String()]
		if e.Reason != l.wanted() || e.BackendEnd != l.state.ends {
			t.Errorf("%s %d: reason %q and backend_end %q, want %q and %q", l.state.name, l.number, e.Reason,
				e.BackendEnd, l.wanted(), l.state.ends)
		}
	}
}

// newNamespace makes a network namespace for clients that vanish.
func newNamespace(t *testing.T) *rig.Namespace {
	t.Helper()
	n, err := rig.NewNamespace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	})
	return n
}

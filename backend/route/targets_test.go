package route

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"imapproxy/backend"
)

// exampleTargets permits a private network, two names and one address of each
// special kind, and listens in the midst of them.
func exampleTargets(tb testing.TB) *Targets {
	tb.Helper()
	targets, err := NewTargets(TargetsOptions{
		Named: []*backend.Target{
			{Name: "imap1", Addresses: []string{"192.0.2.1:143"}},
			{Name: "imap2", Addresses: []string{"imap2.internal:993"}},
			{Name: "imap3", Addresses: []string{"192.0.2.3:143"}},
		},
		Template: &backend.Target{Name: "template", ForwardID: true, TLS: backend.TLSStartTLS},
		Allow: mustAllow(tb, "10.0.0.0/8:143", "10.9.0.0/16:1000-2000", "[2001:db8::/32]:143-993",
			"imap.example.org:143", "store-7.example.org:1143", "127.0.0.8/31:143", "169.254.10.1:143"),
		SelfAddresses: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:143"),
			netip.MustParseAddrPort("127.0.0.9:143")},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return targets
}

func TestResolve(t *testing.T) {
	targets := exampleTargets(t)
	for in, want := range map[string]string{
		"imap1":                     "192.0.2.1:143",
		"imap2":                     "imap2.internal:993",
		"10.1.2.3":                  "10.1.2.3:143",
		"10.1.2.3:143":              "10.1.2.3:143",
		"10.1.2.3:00143":            "10.1.2.3:143",
		"::ffff:10.1.2.3":           "10.1.2.3:143",
		"[::ffff:10.1.2.3]:143":     "10.1.2.3:143",
		"10.9.1.1:1000":             "10.9.1.1:1000",
		"10.9.1.1:2000":             "10.9.1.1:2000",
		"2001:DB8::0:1":             "[2001:db8::1]:143",
		"[2001:db8::1]":             "[2001:db8::1]:143",
		"[2001:db8::1]:993":         "[2001:db8::1]:993",
		"imap.example.org":          "imap.example.org:143",
		"IMAP.Example.ORG.:143":     "imap.example.org:143",
		"store-7.example.org:1143":  "store-7.example.org:1143",
		"store-7.example.org.:1143": "store-7.example.org:1143",
		"127.0.0.8":                 "127.0.0.8:143",
		"169.254.10.1:143":          "169.254.10.1:143",
	} {
		got, err := targets.Resolve(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if !slices.Equal(got.Addresses, []string{want}) {
			t.Errorf("%s: got %v, want %s", in, got.Addresses, want)
		}
	}
}

// Route answers as an attacker would want them (SSRF by routing).
var hostileServers = []string{
	"127.0.0.1:22", "127.0.0.1:143", "127.0.0.1", "127.1", "127.1:143", "2130706433", "0x7f000001:143", "0177.0.0.1",
	"[::1]", "[::1]:143", "::1", "[::ffff:127.0.0.1]:143", "::ffff:169.254.169.254", "localhost", "localhost:143",
	"169.254.169.254", "169.254.169.254:143", "169.254.169.254:80", "100.100.100.200:143", "[fd00:ec2::254]:143",
	"fe80::1", "[fe80::1%eth0]:143", "[fe80::1%25eth0]:143", "metadata.google.internal:143",
	"10.0.0.1:143", "10.0.0.1", "::ffff:10.0.0.1", "127.0.0.9:143", // own listeners, within the list
	"0.0.0.0:143", "[::]:143", "0.0.0.1:143", "224.0.0.1:143", "[ff02::1]:143", "255.255.255.255:143",
	"64:ff9b::7f00:1", "2002:7f00:1::1",
	"10.1.2.3\x00:143", "10.1.2.3:143\x00", "10.1.2.3:143\r\nX: y", "10.1.2.3 :143", " 10.1.2.3:143", "10.1.2.3:143 ",
	"10.1.2.3\t",
	"imap.example.org\x00.evil.test:143", "imap.example.org.evil.test:143", "evil.test", "imap.example.org..:143",
	"10.1.2.3:0", "10.1.2.3:65536", "10.1.2.3:65679", "10.1.2.3:-1", "10.1.2.3:+143", "10.1.2.3:1_43", "10.1.2.3:0x8f",
	"10.1.2.3:imap",
	"10.1.2.3:", "10.1.2.3:143:143", "10.1.2.3:144", "10.9.1.1:999", "10.9.1.1:2001", "11.0.0.1:143",
	"imap.example.org:144",
	"imap1:143", "imap1@10.1.2.3:143", "10.1.2.3/8:143", "10.1.2.3#:143", "http://10.1.2.3:143", "//10.1.2.3",
	"unix:/run/x",
	"[10.1.2.3]:143", "[2001:db8::1", "2001:db8::1]:143", "[2001:db8::1]143", "[2001:db8::1]:", "[2001:db8::1]:994",
	"[]:143", "[imap.example.org]:143",
	"", ":", ":143", ".", "-", "IMAP1", "imap.exämple.org", "\u202Eimap1", "\uFF11\uFF10.1.2.3:143",
	strings.Repeat("a", 300) + ":143", strings.Repeat("a.", 150) + "org", strings.Repeat("imap.", 60000),
}

func TestResolveRefusesHostileServers(t *testing.T) {
	targets := exampleTargets(t)
	if len(hostileServers) < 40 {
		t.Fatalf("only %d hostile servers", len(hostileServers))
	}
	for _, s := range hostileServers {
		got, err := targets.Resolve(s)
		if err == nil || got != nil {
			t.Errorf("%.60q was accepted: %+v", s, got)
			continue
		}
		if text := err.Error(); len(text) > 512 || strings.ContainsFunc(text,
			func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%.60q: the error is unfit for a log line: %.600q", s, text)
		}
	}
	if n := targets.unnamed.Len(); n != 0 {
		t.Errorf("%d refused addresses were kept", n)
	}
}

func TestResolveTarget(t *testing.T) {
	targets := exampleTargets(t)
	first, err := targets.Resolve("10.1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if first.Name != "10.1.2.3:143" || !first.ForwardID || first.TLS != backend.TLSStartTLS {
		t.Errorf("not a copy of the template: %+v", first)
	}
	if targets.template.Name != "template" || targets.template.Addresses != nil {
		t.Errorf("the template was changed: %+v", targets.template)
	}
	for i := range maxUnnamedTargets + 10 {
		if _, err := targets.Resolve(fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)); err != nil {
			t.Fatal(err)
		}
		if again, err := targets.Resolve("10.1.2.3"); err != nil || again != first {
			t.Fatalf("an address in use lost its target: %v", err)
		}
	}
	if n := targets.unnamed.Len(); n != maxUnnamedTargets {
		t.Errorf("%d targets are kept, want %d", n, maxUnnamedTargets)
	}
}

// Racers on the same fresh addresses, so that they meet between look and keep.
func TestResolveAtOnceGivesOneTarget(t *testing.T) {
	targets := exampleTargets(t)
	const addresses = 4000
	var got [4][addresses]*backend.Target
	var wg sync.WaitGroup
	for racer := range got {
		wg.Go(func() {
			for i := range addresses {
				got[racer][i], _ = targets.Resolve(fmt.Sprintf("10.2.%d.%d:143", i/250, i%250+1))
			}
		})
	}
	wg.Wait()
	for _, mine := range got {
		if i := slices.Index(mine[:], nil); i >= 0 || mine != got[0] {
			t.Fatalf("one address gave several targets, or none (first without: %d)", i)
		}
	}
}

func TestResolveSaysWhy(t *testing.T) {
	targets := exampleTargets(t)
	for in, want := range map[string]string{
		"10.1.2.3\x00:143":       "byte 0x00 at position 9",
		"10.1.2.3 :143":          "byte 0x20 at position 9",
		"imap.ex\xC3\xA4mple":    "byte 0xC3 at position 8",
		"[fe80::1%eth0]:143":     "zone needs a named target",
		"10.1.2.3:0":             "port \"0\" is not a number from 1 to 65535",
		"10.0.0.1:143":           "the proxy's own listener",
		"0.0.0.0:143":            "never a backend",
		"169.254.169.254:143":    "a cloud metadata address",
		"fe80::1":                "a link-local address",
		"11.0.0.1":               "11.0.0.1:143 is neither a target's name nor in the allow-list: add it",
		"evil.test":              "evil.test:143 is neither a target's name nor in the allow-list: add it",
		"imap1:143":              `write the target's name, "imap1", without a port`,
		"127.1":                  "its last label is a number",
		"10.1.2.3:143:143":       "write host:port or [IPv6]:port",
		"[2001:db8::1]143":       "[address]:port",
		strings.Repeat("a", 300): "host of 300 bytes: at most 255",
	} {
		if _, err := targets.Resolve(in); err == nil || !strings.HasPrefix(err.Error(), `backend "`) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", in, err, want)
		}
	}
}

func TestResolveDefaultPort(t *testing.T) {
	for mode, want := range map[backend.TLSMode]string{backend.TLSOff: "192.0.2.1:143",
		backend.TLSStartTLS: "192.0.2.1:143", backend.TLSImplicit: "192.0.2.1:993"} {
		targets, err := NewTargets(TargetsOptions{Template: &backend.Target{TLS: mode},
			Allow: mustAllow(t, "192.0.2.1:1-65535")})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := targets.Resolve("192.0.2.1"); err != nil || got.Addresses[0] != want {
			t.Errorf("mode %d: got %+v, %v, want %s", mode, got, err, want)
		}
	}
}

func TestResolveWithoutTemplateOrList(t *testing.T) {
	named := []*backend.Target{{Name: "imap1", Addresses: []string{"192.0.2.1:143"}}}
	for name, o := range map[string]TargetsOptions{
		"no template": {Named: named, Allow: mustAllow(t, "192.0.2.0/24:143")},
		"no list":     {Named: named, Template: &backend.Target{}},
		"zero entry":  {Named: named, Template: &backend.Target{}, Allow: make([]Allow, 1)},
	} {
		targets, err := NewTargets(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := targets.Resolve("192.0.2.2"); err == nil {
			t.Errorf("%s: an address was accepted", name)
		}
		if _, err := targets.Resolve("imap1:143"); err == nil ||
			!strings.Contains(err.Error(), `"imap1", without a port`) {
			t.Errorf("%s: a target's name with a port: %v", name, err)
		}
		if _, err := targets.Resolve("imap1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewTargetsRefuses(t *testing.T) {
	one := []string{"192.0.2.1:143"}
	_, err := NewTargets(TargetsOptions{
		Named: []*backend.Target{
			{Name: "", Addresses: one}, {Name: "a:143", Addresses: one}, {Name: "a@b", Addresses: one},
			{Name: "a b", Addresses: one},
			{Name: "twice", Addresses: one}, {Name: "twice", Addresses: one}, {Name: "nowhere"},
			{Name: "loop", Addresses: []string{"192.0.2.1:143", "192.0.2.9:143"}},
		},
		SelfAddresses: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.9:143")},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`target "":`, `target "a:143":`, `target "a@b":`, `target "a b":`,
		`"twice" is defined twice`,
		`"nowhere" has no address`, `"loop": 192.0.2.9:143 is this proxy's own listener`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 7 {
		t.Errorf("%d errors, want 7:\n%v", n, err)
	}
}

func TestSelfAddresses(t *testing.T) {
	contains := func(listener, address string) bool {
		s, err := newSelfAddresses([]netip.AddrPort{netip.MustParseAddrPort(listener)})
		if err != nil {
			t.Fatal(err)
		}
		return s.contains(netip.MustParseAddrPort(address))
	}
	for _, c := range []struct {
		listener, address string
		want              bool
	}{
		{"192.0.2.1:143", "192.0.2.1:143", true},
		{"192.0.2.1:143", "[::ffff:192.0.2.1]:143", true},
		{"[::ffff:192.0.2.1]:143", "192.0.2.1:143", true},
		{"192.0.2.1:143", "192.0.2.1:144", false},
		{"192.0.2.1:143", "192.0.2.2:143", false},
		{"0.0.0.0:143", "127.0.0.1:143", true},
		{"0.0.0.0:143", "127.9.9.9:143", true},
		{"0.0.0.0:143", "127.0.0.1:144", false},
		{"0.0.0.0:143", "[::1]:143", false},
		{"[::]:143", "127.0.0.1:143", true},
		{"[::]:143", "[::1]:143", true},
		{"[::]:143", "192.0.2.1:143", false},
	} {
		if got := contains(c.listener, c.address); got != c.want {
			t.Errorf("listener %s, address %s: %v", c.listener, c.address, got)
		}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		ip := netip.MustParsePrefix(a.String()).Addr()
		if s := netip.AddrPortFrom(ip, 143).String(); !contains("[::]:143", s) {
			t.Errorf("this machine's %s is not its own", s)
		}
	}
}

// Whatever is accepted is a target, or by net's own parsers inside the list.
func FuzzResolve(f *testing.F) {
	targets := exampleTargets(f)
	for _, s := range append([]string{"imap1", "10.1.2.3", "[2001:db8::1]:993", "IMAP.example.org.", "169.254.10.1",
		"10.9.3.4:1999"}, hostileServers[:len(hostileServers)-3]...) {
		f.Add(s)
	}
	_, ten, _ := net.ParseCIDR("10.0.0.0/8")
	_, nine, _ := net.ParseCIDR("10.9.0.0/16")
	_, doc, _ := net.ParseCIDR("2001:db8::/32")
	listed := func(host string, port string) bool {
		ip, hostport := net.ParseIP(host), net.JoinHostPort(host, port)
		var n int
		_, _ = fmt.Sscan(port, &n)
		switch {
		case slices.Contains([]string{"imap.example.org:143", "store-7.example.org:1143", "127.0.0.8:143",
			"169.254.10.1:143", "192.0.2.1:143", "192.0.2.3:143", "imap2.internal:993"}, hostport):
			return true
		case ip == nil || hostport == "10.0.0.1:143":
			return false
		}
		return ten.Contains(ip) && n == 143 || nine.Contains(ip) && 1000 <= n && n <= 2000 ||
			doc.Contains(ip) && 143 <= n && n <= 993
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := targets.Resolve(s)
		if err != nil {
			if got != nil || len(err.Error()) > 1024 {
				t.Fatalf("%q: got %v with an error of %d bytes", s, got, len(err.Error()))
			}
			return
		}
		if _, ok := targets.named[s]; ok {
			return
		}
		host, port, err := net.SplitHostPort(got.Addresses[0])
		if err != nil || !listed(host, port) {
			t.Fatalf("%q was accepted as %v (%v)", s, got.Addresses, err)
		}
		if again, err := targets.Resolve(got.Addresses[0]); err != nil || again != got {
			t.Fatalf("%q: %s gives another target: %v", s, got.Addresses[0], err)
		}
	})
}

func TestTargetsTellTheRemedy(t *testing.T) {
	targets, err := NewTargets(TargetsOptions{Template: &backend.Target{},
		Allow: mustAllow(t, "127.0.0.1:21143-21144")})
	if err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]string{
		"127.0.0.1:22":    "the allow-list holds this address with other ports",
		"127.0.0.2:21143": "the allow-list must hold it by a prefix inside that range",
		"10.0.0.1:143":    "add it there if it is a backend of yours",
	} {
		_, err := targets.Resolve(where)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, backend.ErrNotPermitted) {
			t.Errorf("%s: %v", where, err)
		}
	}
}

package backend

import (
	"bufio"
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

func TestProxyHeader(t *testing.T) {
	for _, c := range []struct {
		name, client, local string
		version             ProxyHeader
		src, dst            string // as the backend reads them; "" is none
		first               string // what the bytes begin with
	}{
		{"v1", "192.0.2.7:40001", "198.51.100.1:993", ProxyV1, "192.0.2.7:40001", "198.51.100.1:993",
			"PROXY TCP4 192.0.2.7 198.51.100.1 40001 993\r\n"},
		{"v1 IPv6", "[2001:db8::7]:40001", "[2001:db8::1]:993", ProxyV1, "[2001:db8::7]:40001", "[2001:db8::1]:993",
			"PROXY TCP6 2001:db8::7 2001:db8::1 40001 993\r\n"},
		{"v1 IPv4 in IPv6", "[::ffff:192.0.2.7]:40001", "[::ffff:198.51.100.1]:993", ProxyV1,
			"192.0.2.7:40001", "198.51.100.1:993", "PROXY TCP4 192.0.2.7 198.51.100.1 40001 993\r\n"},
		{"v1 nobody", "", "", ProxyV1, "", "", "PROXY UNKNOWN"},
		{"v2", "192.0.2.7:40001", "198.51.100.1:993", ProxyV2, "192.0.2.7:40001", "198.51.100.1:993",
			string(proxyproto.SIGV2) + "\x21\x11\x00\x0c"},
		{"v2 IPv6", "[2001:db8::7]:40001", "[2001:db8::1]:993", ProxyV2, "[2001:db8::7]:40001", "[2001:db8::1]:993",
			string(proxyproto.SIGV2) + "\x21\x21\x00\x24"},
		{"v2 both families", "192.0.2.7:40001", "[2001:db8::1]:993", ProxyV2, "192.0.2.7:40001", "[2001:db8::1]:993",
			string(proxyproto.SIGV2) + "\x21\x21\x00\x24"},
		{"v2 nobody", "", "", ProxyV2, "", "", string(proxyproto.SIGV2) + "\x20"},
		{"none", "192.0.2.7:40001", "198.51.100.1:993", ProxyNone, "", "", "X9 LOGOUT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startScripted(t, greets(), nil)
			target := testTarget(s.addr)
			target.Header = c.version
			o := testOrigin()
			o.Client, o.Local = netip.AddrPort{}, netip.AddrPort{}
			if c.client != "" {
				o.Client, o.Local = netip.MustParseAddrPort(c.client), netip.MustParseAddrPort(c.local)
			}
			d, _ := testDialer()
			conn, err := dialNow(context.Background(), d, target, o)
			if err != nil {
				t.Fatal(err)
			}
			endNow(conn)
			wire := s.only().wire.String()
			if !strings.HasPrefix(wire, c.first) {
				t.Errorf("the wire begins with %q", wire)
			}
			if c.version != ProxyNone {
				checkHeader(t, wire, c.src, c.dst)
			}
		})
	}
}

// checkHeader reads the header as a backend does, and what stands after it.
func checkHeader(t *testing.T, wire, src, dst string) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(wire))
	h, err := proxyproto.Read(r)
	if err != nil {
		t.Fatal(err)
	}
	if src != "" && (h.SourceAddr.String() != src || h.DestinationAddr.String() != dst) {
		t.Errorf("header %v to %v", h.SourceAddr, h.DestinationAddr)
	}
	if src == "" && h.Command.IsProxy() && h.TransportProtocol != proxyproto.UNSPEC {
		t.Errorf("header %+v for nobody", h)
	}
	if rest, _ := r.ReadString('\n'); rest != "X9 LOGOUT\r\n" {
		t.Errorf("after the header stands %q", rest)
	}
}

// In front of TLS the header goes in the clear, once.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	a := newAuthority(t)
	s := startScripted(t, play{
		"C: PROXY TCP4 192.0.2.7 198.51.100.1 40001 993", "TLS good", "S: * OK [CAPABILITY IMAP4rev1] hello",
	}, a.certificates())
	target := testTarget(s.addr)
	apply(t, target, "implicit v1", a)
	d, _ := testDialer()
	endNow(mustDial(t, d, target))
	v := s.only()
	if n := strings.Count(v.received(), "PROXY"); n != 2 || v.notes() != "LOGOUT" { // on the wire and as a line
		t.Errorf("%d times, %s", n, v.notes())
	}
}

package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"imapproxy/backend/timing"
)

// good is a backend without faults.
func good() play {
	return play{
		"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello",
		"C: X2 AUTHENTICATE PLAIN *",
		"S: X2 OK [CAPABILITY IMAP4rev1 IDLE] in",
	}
}

// greets is a backend without faults that only greets.
func greets() play {
	return play{"S: * OK [CAPABILITY IMAP4rev1] hello"}
}

// closedPort is an address that refuses connections.
func closedPort(tb testing.TB) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// silentPort is an address of 127.0.0.2 that leaves every connection attempt
// without an answer: its accept queue is full.
func silentPort(tb testing.TB) string {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		tb.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 2}}); err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.2:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		tb.Cleanup(func() { _ = c.Close() })
	}
	tb.Skip("this kernel's accept queue does not fill up")
	return ""
}

// mustDial dials a target that works.
func mustDial(tb testing.TB, d *Dialer, t *Target) *Conn {
	tb.Helper()
	c, err := dialNow(context.Background(), d, t, testOrigin())
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// wantKind compares the kind and phase of an error.
func wantKind(tb testing.TB, err error, phase string, kind Kind) {
	tb.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind || e.Phase != phase {
		tb.Errorf("got %v, want the kind %s in the phase %s", err, kind, phase)
	}
}

func TestDialRefusesALoop(t *testing.T) {
	s := startScripted(t, greets(), nil)
	d, _ := testDialer()
	for _, ttl := range []int{0, -1} {
		o := testOrigin()
		o.TTL = ttl
		_, err := dialNow(context.Background(), d, testTarget(s.addr), o)
		wantKind(t, err, "connect", KindLoop)
	}
	if n := len(s.visits()); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestDialRefusesBadAddresses(t *testing.T) {
	d, _ := testDialer()
	for _, addrs := range [][]string{nil, {"127.0.0.1"}, {"a:b:c"}, {""}} {
		_, err := dialNow(context.Background(), d, testTarget(addrs...), testOrigin())
		wantKind(t, err, "connect", KindConfig)
	}
}

func TestDialTriesTheNextAddress(t *testing.T) {
	for _, first := range []struct {
		name  string
		lines string // "" is a port without a listener
		ends  string
	}{
		{"refuses the connection", "", "[logout]"},
		{"greets with BYE", "S: * BYE full", "[logout logout]"},
		{"closes", "CLOSE", "[eof logout]"},
		{"talks nonsense", "S: 220 hello", "[cut logout]"},
	} {
		t.Run(first.name, func(t *testing.T) {
			before := socketCount(t)
			bad := closedPort(t)
			if first.lines != "" {
				bad = startScripted(t, play{first.lines}, nil).addr
			}
			s := startScripted(t, good(), nil)
			d, endings := testDialer()
			c, text, err := converse(d, testTarget(bad, s.addr))
			if err != nil || text != "in" || c.Addr != s.addr {
				t.Fatalf("%q, %v", text, err)
			}
			endNow(c)
			if got := fmt.Sprint(*endings); got != first.ends {
				t.Errorf("endings %s, want %s", got, first.ends)
			}
			gone(t, link{s.only().raw.RemoteAddr().String(), s.addr})
			noSocketsLeft(t, before+2) // the listeners
		})
	}
}

func TestDialTriesTheNextAddressAfterSilence(t *testing.T) {
	s := startScripted(t, greets(), nil)
	target := testTarget(silentPort(t), s.addr)
	target.Limits.Connect = short
	d, _ := testDialer()
	endNow(mustDial(t, d, target))
}

func TestDialSaysWhatFailedEverywhere(t *testing.T) {
	bye := startScripted(t, play{"S: * BYE full"}, nil)
	nothing := closedPort(t)
	d, _ := testDialer()
	_, err := dialNow(context.Background(), d, testTarget(bye.addr, nothing), testOrigin())
	wantKind(t, err, "greeting", KindRefusing)
	for _, part := range []string{bye.addr, "BYE full", nothing, "connection refused"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %v", part, err)
		}
	}
	checkText(t, err)
}

func TestDialResolves(t *testing.T) {
	loopback, other := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.3")
	mapped := netip.MustParseAddr("::ffff:127.0.0.1")
	s, port := besideSilence(t)
	for _, c := range []struct {
		name  string
		found []netip.Addr
		err   error
		kind  Kind
	}{
		{name: "one", found: []netip.Addr{loopback}},
		{name: "an IPv4 address in IPv6", found: []netip.Addr{mapped}},
		{name: "the first refuses", found: []netip.Addr{other, loopback}},
		{name: "the first is silent", found: []netip.Addr{netip.MustParseAddr("127.0.0.2"), loopback}},
		{name: "none", kind: kindDNS},
		{name: "an error", err: errors.New("the resolver is on fire"), kind: kindDNS},
		{name: "an error of the system's kind", err: &net.DNSError{Err: "no such host"}, kind: kindDNS},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := testDialer()
			d.Resolve = func(_ context.Context, network, host string) ([]netip.Addr, error) {
				if network != "ip" || host != "imap.example.org" {
					t.Errorf("asked for %s %s", network, host)
				}
				return c.found, c.err
			}
			target := testTarget("imap.example.org:" + port)
			target.Limits.Connect = time.Second
			conn, err := dialNow(context.Background(), d, target, testOrigin())
			if c.kind != "" {
				wantKind(t, err, "connect", c.kind)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			local := conn.raw.LocalAddr().String()
			endNow(conn)
			if v := s.visits(); conn.Addr != target.Addresses[0] ||
				v[len(v)-1].raw.RemoteAddr().String() != local {
				t.Errorf("connected to %s by %s", conn.raw.RemoteAddr(), conn.Addr)
			}
		})
	}
}

// besideSilence starts a backend on 127.0.0.1, on the port on which 127.0.0.2
// is silent.
func besideSilence(tb testing.TB) (*scripted, string) {
	tb.Helper()
	for range 50 {
		_, port, _ := net.SplitHostPort(silentPort(tb))
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			return startStepsOn(tb, ln, greets().steps(tb), nil), port
		}
	}
	tb.Fatal("no port is free on both addresses")
	return nil, ""
}

func TestDialResolvesBySystem(t *testing.T) {
	s := startScripted(t, greets(), nil)
	_, port, _ := net.SplitHostPort(s.addr)
	d, _ := testDialer()
	endNow(mustDial(t, d, testTarget("localhost:"+port)))
}

func TestDialLimitsTheLookup(t *testing.T) {
	d, _ := testDialer()
	d.Resolve = func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	target := testTarget("imap.example.org:143")
	target.Limits.Connect = short
	_, err := dialNow(context.Background(), d, target, testOrigin())
	wantKind(t, err, "connect", KindTimeout)
}

func TestDialLimitsTheConnect(t *testing.T) {
	before := socketCount(t)
	target := testTarget(silentPort(t))
	held := socketCount(t) - before
	target.Limits.Connect = short
	d, _ := testDialer()
	_, err := dialNow(context.Background(), d, target, testOrigin())
	wantKind(t, err, "connect", KindTimeout)
	noSocketsLeft(t, before+held)
}

func TestDialVerifiesByTheHostsName(t *testing.T) {
	a := newAuthority(t)
	certs := a.certificates()
	for _, c := range []struct {
		host, cert string
		kind       Kind
	}{
		{"imap.example.org", "named", ""},
		{"imap.example.org", "other-name", KindTLS},
		{"imap.example.org", "good", KindTLS}, // which is for the address
	} {
		s := startScripted(t, play{"TLS " + c.cert, "S: * OK [CAPABILITY IMAP4rev1] hello"}, certs)
		_, port, _ := net.SplitHostPort(s.addr)
		d, _ := testDialer()
		d.Resolve = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		target := testTarget(c.host + ":" + port)
		target.TLS, target.TLSConfig = TLSImplicit, &tls.Config{RootCAs: a.pool()}
		conn, err := dialNow(context.Background(), d, target, testOrigin())
		if c.kind != "" {
			wantKind(t, err, "tls", c.kind)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if state := conn.TLS(); state == nil || state.ServerName != c.host {
			t.Errorf("TLS state %v", state)
		}
		if target.TLSConfig.ServerName != "" {
			t.Error("the target was changed")
		}
		endNow(conn)
	}
}

// A target without a TLS configuration verifies by the system's authorities.
func TestDialVerifiesWithoutConfiguration(t *testing.T) {
	s := startScripted(t, play{"TLS good"}, newAuthority(t).certificates())
	target := testTarget(s.addr)
	target.TLS = TLSImplicit
	d, _ := testDialer()
	_, err := dialNow(context.Background(), d, target, testOrigin())
	wantKind(t, err, "tls", KindTLS)
}

// steadyClock goes on by a second each time it is asked.
type steadyClock struct {
	timing.System
	mu  sync.Mutex
	now time.Time
}

func (c *steadyClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(time.Second)
	return c.now
}

// Limits.Login holds for STARTTLS, CAPABILITY and the login together.
func TestPhasesShareTheLoginLimit(t *testing.T) {
	a := newAuthority(t)
	s := startScripted(t, play{
		"S: * OK [CAPABILITY STARTTLS] hello", "C: X3 STARTTLS", "S: X3 OK", "TLS good",
		"C: X3 CAPABILITY", "S: * CAPABILITY AUTH=PLAIN SASL-IR", "S: X3 OK",
		"C: X2 *", "S: X2 OK", "C: X3 CAPABILITY", "S: * CAPABILITY IMAP4rev1", "S: X3 OK",
	}, a.certificates())
	clock := &steadyClock{now: time.Now()}
	target := testTarget(s.addr)
	apply(t, target, "starttls", a)
	target.Limits.Login = time.Minute
	c, _, err := converse(&Dialer{Clock: clock}, target)
	if err != nil {
		t.Fatal(err)
	}
	if least := 4 * time.Second; c.spent < least {
		t.Errorf("four phases have spent %v, %v at least", c.spent, least)
	}
	clock.now = time.Now()
	spent := c.spent
	inLoop(t.Context(), func(ctx context.Context) {
		_ = c.duringLogin(ctx, "more", func() error {
			name, at := c.raw.Limit()
			if left := at.Sub(clock.now); name != "more" || left != time.Minute-spent {
				t.Errorf("%s has %v left, want %v", name, left, time.Minute-spent)
			}
			return nil
		})
	})
	endNow(c)
}

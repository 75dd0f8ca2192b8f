package imapproxy

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"imapproxy/auth"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// behindBalancer makes every listener of a rig expect a PROXY header.
func behindBalancer(r *rig, p ProxyHeader) *rig {
	p.Required = true
	for _, l := range r.settings.Listeners {
		l.Proxy = p
	}
	return r
}

// TestProxied logs in after each kind of header, on each kind of listener:
// what the header says is what the authenticator, the backend and the log are
// told.
func TestProxied(t *testing.T) {
	for name, header := range map[string]string{"v1": v1Header, "v2": v2Header} {
		for _, listener := range []string{"insecure", "starttls", "tls"} {
			t.Run(name+" "+listener, func(t *testing.T) {
				r := behindBalancer(newRig(t), ProxyHeader{Trusted: loopback})
				c := r.connectRaw(listener)
				c.write(header)
				if listener == "tls" {
					c.handshake(clientTLS("imap"))
				}
				c.expect(`\* OK .*`)
				if listener == "starttls" {
					c.send("s STARTTLS")
					c.expect("s OK .*")
					c.handshake(clientTLS("imap"))
				}
				c.send("a LOGIN joe %s", canary)
				c.expect("a OK .*")
				asked := r.fakeAuth().last.Load()
				if asked.Client != address("192.0.2.7:4711") || asked.Local != address("198.51.100.1:993") {
					t.Errorf("the login is of %v at %v", asked.Client, asked.Local)
				}
				c.close()
				r.restful()
				if l := r.log.ends(t, 4711, 0); len(l) != 1 || l[0].str("client") != "192.0.2.7:4711" ||
					l[0].str("reason") != string(endClientClosed) {
					t.Errorf("the log says %v", l)
				}
			})
		}
	}
}

// TestHeaderSplit sends a header in two pieces, cut at every byte, and the
// first command along with the second.
func TestHeaderSplit(t *testing.T) {
	r := behindBalancer(newRig(t), ProxyHeader{Trusted: loopback})
	for _, header := range []string{v1Header, v2Header} {
		for cut := 1; cut < len(header); cut++ {
			c := r.connectRaw("plain")
			c.write(header[:cut])
			r.await("the first piece to arrive", func() bool { return unacknowledged(t, c) == 0 })
			c.write(header[cut:] + "a LOGOUT\r\n")
			c.expect(`\* OK .*`)
			c.expect(`\* BYE .*`)
			c.expect("a OK .*")
			c.expectEOF()
		}
	}
}

// TestNoHeaderNoWord: on a listener that requires a header no client without a
// good one, or from elsewhere, reads a byte.
func TestNoHeaderNoWord(t *testing.T) {
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, test := range []struct {
		name    string
		says    string
		trusted []netip.Prefix
	}{
		{"untrusted v1", v1Header, elsewhere},
		{"untrusted v2", v2Header, elsewhere},
		{"untrusted, silent", "", elsewhere},
		{"nobody is trusted", v1Header, nil},
		{"IMAP", "a LOGIN joe secret\r\n", loopback},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaa", loopback},
		{"too long", "PROXY UNKNOWN " + strings.Repeat("x", 200) + "\r\n", loopback},
		{"cut v1", v1Header[:20], loopback},
		{"cut v2", v2Header[:20], loopback},
	} {
		for _, listener := range []string{"plain", "tls"} {
			t.Run(test.name+" "+listener, func(t *testing.T) {
				r := behindBalancer(newRig(t), ProxyHeader{Trusted: test.trusted})
				c := r.connectRaw(listener)
				c.deadline()
				_, _ = io.WriteString(c.raw, test.says) // it may be closed already
				reason := endProxyHeader
				if strings.HasPrefix(test.name, "cut") {
					c.halfClose()
					reason = endClientClosed
				}
				if s, _ := c.rest(); s != "" {
					t.Errorf("the client reads %q", s)
				}
				c.close()
				r.endsWith(c, reason)
			})
		}
	}
}

// TestHeaderLimit closes on a peer that says nothing, within 5 seconds.
func TestHeaderLimit(t *testing.T) {
	if proxyHeaderLimit > 5*time.Second {
		t.Fatalf("the limit is %v", proxyHeaderLimit)
	}
	for _, says := range []string{"", "P", v1Header[:30], v2Header[:20]} {
		clock := newFakeClock()
		r := behindBalancer(newRig(t, withClock(clock)), ProxyHeader{Trusted: loopback})
		c := r.connectRaw("plain")
		c.write(says)
		clock.awaitTimer(t, timerProxyHeader, proxyHeaderLimit)
		clock.advance(proxyHeaderLimit)
		c.expectEOF()
		r.endsWith(c, endProxyHeader)
	}
}

// TestHeaderIgnored lets peers in that are not trusted, as themselves.
func TestHeaderIgnored(t *testing.T) {
	r := behindBalancer(newRig(t), ProxyHeader{Ignore: true})
	c := r.connectRaw("plain")
	c.write(v1Header)
	c.expect(`\* OK .*`)
	c.send("a LOGIN joe %s", canary)
	c.expect("a OK .*")
	if asked := r.fakeAuth().last.Load(); asked.Client.Port() != c.port || !asked.Client.Addr().IsLoopback() {
		t.Errorf("the login is of %v, want the socket's own", asked.Client)
	}
}

// TestHeaderNamesNobody keeps the socket's addresses: a health check.
func TestHeaderNamesNobody(t *testing.T) {
	r := behindBalancer(newRig(t), ProxyHeader{Trusted: loopback})
	for _, header := range []string{"PROXY UNKNOWN\r\n", v2Start + "\x20\x00\x00\x00"} {
		c := r.connectRaw("plain")
		c.write(header)
		c.expect(`\* OK .*`)
		c.send("a LOGOUT")
		c.expect(`\* BYE .*`)
		c.expect("a OK .*")
		c.expectEOF()
		r.endsWith(c, endLogout)
	}
}

// TestHeaderOnceOnly: a second header is a bad command, and without being
// required the first one is.
func TestHeaderOnceOnly(t *testing.T) {
	r := behindBalancer(newRig(t), ProxyHeader{Trusted: loopback})
	c := r.connectRaw("plain")
	c.write(v1Header + "PROXY TCP4 203.0.113.9 198.51.100.1 1 993\r\na NOOP\r\n")
	c.expect(`\* OK .*`)
	c.expect("PROXY BAD .*")
	c.expect("a OK .*")
	if got := r.server.List(); len(got) != 1 || got[0].Client != "192.0.2.7:4711" {
		t.Errorf("the sessions are %v", got)
	}
	plain := newRig(t)
	d := plain.dial("plain")
	d.write(v1Header)
	d.expect("PROXY BAD .*")
}

// TestTLSInFront: passwords are taken in clear from a trusted balancer that says
// it has ended the client's TLS, and from no other.
func TestTLSInFront(t *testing.T) {
	text := withTLVs(len(sslTLV), sslTLV)
	for _, test := range []struct {
		name, says string
		proxy      ProxyHeader
		secure     bool
	}{
		{"trusted", text, ProxyHeader{Trusted: loopback}, true},
		{"without TLS", v2Header, ProxyHeader{Trusted: loopback}, false},
		{"not trusted", text, ProxyHeader{Ignore: true}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := behindBalancer(newRig(t), test.proxy)
			r.settings.Listeners["starttls"].TLSOnly = true
			c := r.connectRaw("starttls")
			c.write(test.says)
			greeting := c.line()
			if strings.Contains(greeting, "LOGINDISABLED") == test.secure ||
				strings.Contains(greeting, "STARTTLS") == test.secure {
				t.Errorf("the greeting is %q", greeting)
			}
			c.send("a LOGIN joe %s", canary)
			if !test.secure {
				c.expect(`a NO \[PRIVACYREQUIRED\] .*`)
				return
			}
			c.expect("a OK .*")
			if asked := r.fakeAuth().last.Load(); !asked.TLSInFront || asked.TLS != nil {
				t.Errorf("the login is %+v", asked)
			}
			if l := r.server.List(); len(l) != 1 || l[0].TLS != "balancer" {
				t.Errorf("the sessions are %+v", l)
			}
		})
	}
	r := behindBalancer(newRig(t), ProxyHeader{Trusted: loopback})
	c := r.connectRaw("starttls")
	c.write(text)
	c.expect(`\* OK .*`)
	c.send("a STARTTLS")
	c.expect("a BAD .*")
}

// TestUnixBalancer: who may use the socket is believed where unix: is trusted.
func TestUnixBalancer(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		r := behindBalancer(newUnixRig(t), ProxyHeader{TrustedUnix: trusted, Trusted: loopback})
		c := r.connectRaw("plain")
		c.write(v1Header)
		if !trusted {
			c.expectEOF()
			r.endsWith(c, endProxyHeader)
			continue
		}
		c.expect(`\* OK .*LOGINDISABLED.*`)
		if l := r.server.List(); len(l) != 1 || l[0].Client != "192.0.2.7:4711" {
			t.Errorf("the sessions are %+v", l)
		}
	}
}

// TestHeaderMakesNobodyLocal: a header that names a loopback address gives no
// leave to send passwords in clear, nor does a balancer on this machine.
func TestHeaderMakesNobodyLocal(t *testing.T) {
	r := behindBalancer(newRig(t), ProxyHeader{Trusted: loopback})
	c := r.connectRaw("starttls")
	c.write(v1Header)
	c.expect(`\* OK .*LOGINDISABLED.*`)
	far := client{remote: true, proxied: &auth.Proxied{Client: address("127.0.0.1:1")}, believed: true}
	if far.isLocal() {
		t.Error("a peer elsewhere is local because a header says so")
	}
}

package backendcheck

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend"
)

const everything = "IMAP4rev1 AUTH=PLAIN SASL-IR ID IDLE X-ONE X-TWO"

// outcomeOf checks one target and returns the result as text: "ok FACTS", or each problem as
// "KEY: TEXT; REMEDY", a warning with "warning " before it.
func outcomeOf(t *testing.T, c Checker) string {
	t.Helper()
	if c.Silence == 0 {
		c.Silence = time.Millisecond // whoever is slow has to be found out about all the same
	}
	var lines []string
	for _, r := range c.Run(context.Background()) {
		if !r.Failed() {
			lines = append(lines, "ok "+strings.Join(r.Facts, ", "))
		}
		for _, p := range r.Problems {
			line := p.Key + ": " + p.Text + "; " + p.Remedy
			if p.Warning {
				line = "warning " + line
			}
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestGood(t *testing.T) {
	cert, pool := certificate(t)
	words := "greeting \"ready?[31m\", IMAP4rev1 AUTH=PLAIN SASL-IR ID IDLE and 2 more capabilities"
	secure := "ok TLS 1.3, certificate of example.com until 2084-01-29, " + words
	plain := imap{capabilities: everything}
	upgraded := serve(t, func(_ int, c net.Conn) {
		imap{capabilities: everything + " STARTTLS", tls: cert}.talk(c)
	})
	implicit := serve(t, func(_ int, c net.Conn) { plain.talk(tls.Server(c, cert)) })
	clear := serve(t, func(_ int, c net.Conn) { plain.talk(c) })
	for _, test := range []struct {
		target *backend.Target
		want   string
	}{
		{targetAt(implicit.addr, backend.TLSImplicit, pool), secure},
		{targetAt(upgraded.addr, backend.TLSStartTLS, pool), strings.Replace(secure, "and 2", "and 3", 1)},
		{targetAt(clear.addr, backend.TLSOff, nil), "ok no TLS, " + words},
	} {
		if got := outcomeOf(t, Checker{Targets: []*backend.Target{test.target}, Silence: patience}); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
	if n := clear.connections() + implicit.connections() + upgraded.connections(); n != 3 {
		t.Errorf("%d connections, want one for each", n)
	}
}

// TestWrongWay: a server that says nothing, or not what it should, is tried in other ways.
// The greeting's limit is an hour, so that none of these waits for it.
func TestWrongWay(t *testing.T) {
	cert, pool := certificate(t)
	plain := imap{capabilities: everything}
	implicit := func(_ int, c net.Conn) { plain.talk(tls.Server(c, cert)) }
	const tlsFirst = `tls: the server expects TLS from the first byte; write tls = "implicit"`
	headerFirst := func(_ int, c net.Conn) {
		in := bufio.NewReader(c)
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second)) // as Dovecot's haproxy_timeout
		start, err := in.Peek(5)
		if err != nil || !bytes.HasPrefix(start, []byte("\r\n\r\n\x00")) {
			return
		}
		_, _ = in.Discard(16) // v2 without addresses
		_, _ = io.WriteString(c, "* OK ready\r\n")
		plain.commands(c, in)
	}
	silentHTTP := func(_ int, c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	}
	for _, test := range []struct {
		name   string
		mode   backend.TLSMode
		header backend.ProxyHeader
		talk   func(int, net.Conn)
		want   string
	}{
		{"STARTTLS at an implicit port", backend.TLSStartTLS, 0, implicit, tlsFirst},
		{"no TLS at an implicit port", backend.TLSOff, 0, implicit, tlsFirst},
		{"an implicit port without a greeting", backend.TLSStartTLS, 0, func(_ int, c net.Conn) {
			_ = tls.Server(c, cert).Handshake()
		}, tlsFirst},
		{"HTTP", backend.TLSStartTLS, 0, silentHTTP,
			"addresses: the server speaks HTTP, not IMAP; name the port of IMAP, as 143 or 993"},
		{"implicit at a STARTTLS port", backend.TLSImplicit, 0, func(_ int, c net.Conn) { plain.talk(c) },
			`tls: the server begins without TLS; write tls = "starttls", or the port for TLS from the first byte, ` +
				`as 993`},
		{"no header", backend.TLSOff, 0, headerFirst,
			`proxy_header: the server expects the PROXY protocol; write proxy_header = "v2"`},
		{"header v1 at a server without", backend.TLSOff, backend.ProxyV1, func(_ int, c net.Conn) { plain.talk(c) },
			`proxy_header: the server does not expect the PROXY protocol; write proxy_header = "off"`},
		{"header v2 at a server without", backend.TLSImplicit, backend.ProxyV2, implicit,
			`proxy_header: the server does not expect the PROXY protocol; write proxy_header = "off"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := targetAt(serve(t, test.talk).addr, test.mode, pool)
			target.Header = test.header
			if got := outcomeOf(t, Checker{Targets: []*backend.Target{target}}); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestSlowGreeting: a server that greets late is good, and none of the ways that were tried
// meanwhile is believed, also where the server takes a header that it does not need.
func TestSlowGreeting(t *testing.T) {
	var others sync.WaitGroup
	others.Add(2)
	s := serve(t, func(n int, c net.Conn) {
		in := bufio.NewReader(c)
		if n == 1 {
			others.Wait()
		} else {
			defer others.Done()
			if start, _ := in.Peek(1); string(start) == "\r" {
				_, _ = in.Discard(16)
			}
		}
		_, _ = io.WriteString(c, "* OK ready\r\n")
		imap{capabilities: everything}.commands(c, in)
	})
	got := outcomeOf(t, Checker{Targets: []*backend.Target{targetAt(s.addr, backend.TLSOff, nil)}})
	if !strings.HasPrefix(got, `ok no TLS, greeting "ready"`) {
		t.Error(got)
	}
}

// TestSilence: a server that says nothing whatever is tried is found within the limits.
func TestSilence(t *testing.T) {
	s := serve(t, func(_ int, c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	target := targetAt(s.addr, backend.TLSStartTLS, nil)
	target.Limits.Greeting, target.Limits.TLS = 100*time.Millisecond, 100*time.Millisecond
	got := outcomeOf(t, Checker{Targets: []*backend.Target{target}})
	if !strings.HasPrefix(got, "tls: no answer within 100ms; write tls") {
		t.Error(got)
	}
}

// TestWarnings: what is wrong where logins work, and what keeps every login away.
func TestWarnings(t *testing.T) {
	const bye = "warning logout_timeout: it did not close the connection within 100ms after LOGOUT, and was reset; " +
		"see docs/close-wait.md"
	for _, test := range []struct {
		server imap
		want   string // a problem
	}{
		{imap{capabilities: everything, stays: true}, bye},
		{imap{capabilities: "IMAP4"}, "warning addresses: it does not offer IMAP4rev1; name the port of an IMAP " +
			"server"},
		{imap{capabilities: everything, answers: map[string]string{"CAPABILITY": "TAG BAD what"}},
			"warning addresses: it does not answer CAPABILITY as it should; logins may work all the same; try one"},
		{imap{capabilities: "IMAP4rev1 LOGINDISABLED"},
			`tls: the backend offers neither AUTH=PLAIN nor LOGIN without TLS; write tls = "starttls"`},
	} {
		s := serve(t, func(_ int, c net.Conn) { test.server.talk(c) })
		target := targetAt(s.addr, backend.TLSOff, nil)
		if test.server.stays {
			target.Limits.Logout = 100 * time.Millisecond
		}
		got := outcomeOf(t, Checker{Targets: []*backend.Target{target}, Silence: patience})
		good := strings.HasPrefix(test.want, "warning")
		if strings.HasPrefix(got, "ok") != good || !strings.HasSuffix(got, test.want) {
			t.Errorf("got %s\nwant %s", got, test.want)
		}
	}
}

func TestMasterLogin(t *testing.T) {
	for _, test := range []struct {
		answer, user, want string
		logins             int
	}{
		{"TAG OK in", "alice", `, the master login for "alice" works`, 2},
		{"TAG NO [AUTHENTICATIONFAILED] no", "alice", `master_user: the master login for "alice": master user ` +
			`"boss" is ` +
			"refused: [AUTHENTICATIONFAILED] no; write the backend's master user, and its password into " +
			"master_password_file", 2},
		{"TAG OK in", "", ", the master login was not tried (--user NAME says for whom)", 1},
	} {
		s := serve(t, func(_ int, c net.Conn) {
			imap{capabilities: everything, answers: map[string]string{"AUTHENTICATE": test.answer}}.talk(c)
		})
		target := targetAt(s.addr, backend.TLSOff, nil)
		target.Master = backend.Credentials{AuthID: "boss", Secret: "c4nary"}
		got := outcomeOf(t, Checker{Targets: []*backend.Target{target}, Silence: patience,
			LoginAs: func(*backend.Target) string { return test.user }})
		if !strings.HasSuffix(got, test.want) || strings.Contains(got, "c4nary") || s.connections() != test.logins {
			t.Errorf("%d connections, %s\nwant %d, %s", s.connections(), got, test.logins, test.want)
		}
	}
}

// TestNames: each address of a name is checked; one that can't be reached is a warning where
// another is good.
func TestNames(t *testing.T) {
	s := serve(t, func(_ int, c net.Conn) { imap{capabilities: everything}.talk(c) })
	_, port, _ := net.SplitHostPort(s.addr)
	target := targetAt("imap.example.org:"+port, backend.TLSOff, nil)
	found := []netip.Addr{netip.MustParseAddr("127.0.0.3"), netip.MustParseAddr("::ffff:127.0.0.1")}
	c := Checker{Targets: []*backend.Target{target}, Silence: patience,
		Resolve: func(context.Context, string, string) ([]netip.Addr, error) { return found, nil }}
	got := c.Run(context.Background())
	if len(got) != 2 || got[0].Failed() || len(got[0].Problems) != 1 || len(got[1].Problems) != 0 ||
		got[0].Address != "imap.example.org:"+port+" (127.0.0.3)" {
		t.Errorf("%+v", got)
	}
	found = found[:1]
	if got := c.Run(context.Background()); len(got) != 1 || !got[0].Failed() {
		t.Errorf("%+v", got)
	}
}

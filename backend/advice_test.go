package backend

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/backend/login"
)

// TestAdvice: what the operator reads of each way in which a target can be wrong, the whole text
// after the target's name and address; "DAY" stands for a date.
func TestAdvice(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	certs := a.certificates()
	certs["own"] = stranger.certificates()["own"]
	const none = "closed"
	const greeting = "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS] hi"
	const loginPort, plainAnswer = "name the port of IMAP, as 143 or 993", `write tls = "starttls", or the port ` +
		`for TLS from the first byte, as 993`
	for _, test := range []struct {
		target string // see apply
		play   play
		key    string
		want   string
	}{
		{"", play{none}, "addresses", "connect: connection refused: nothing listens there; start the server, or name " +
			"the address and port at which it listens"},
		{"implicit", play{none}, "addresses", "connect: connection refused: nothing listens there; start the server, " +
			"or name the address and port at which it listens"},
		{"implicit", play{greeting}, "tls", "tls: the server begins without TLS; " + plainAnswer},
		{"implicit", play{"S: * BYE full"}, "tls", "tls: the server begins without TLS; " + plainAnswer},
		{"implicit", play{"S: 220 mx ESMTP"}, "addresses", "tls: the server speaks SMTP, not IMAP; " + loginPort},
		{"implicit", play{"S: +OK ready"}, "addresses", "tls: the server speaks POP3, not IMAP; " + loginPort},
		{"implicit", play{"S: HTTP/1.1 400 Bad"}, "addresses", "tls: the server speaks HTTP, not IMAP; " + loginPort},
		{"implicit", play{"S: strange words"}, "tls", "tls: the server does not speak TLS; " + loginPort},
		{"", play{"S: 220 mx ESMTP"}, "addresses", "greeting: protocol: the server speaks SMTP, not IMAP; " +
			loginPort},
		{"", play{"S: +OK ready"}, "addresses", "greeting: protocol: the server speaks POP3, not IMAP; " + loginPort},
		{"", play{`S: "IMPLEMENTATION" "x"`}, "addresses",
			"greeting: protocol: the server speaks ManageSieve, not IMAP; " + loginPort},
		{"", play{"S: HTTP/1.1 400 Bad"}, "addresses", "greeting: protocol: the server speaks HTTP, not IMAP; " +
			loginPort},
		{"", play{"S: strange words"}, "addresses", "greeting: protocol: not an IMAP response"},
		{"", play{`S- "\x15\x03\x03 \x02\x01\n"`}, "tls", "greeting: protocol: the server expects TLS from the " +
			`first byte; write tls = "implicit"`},
		{"starttls short=greeting", play{"MUTE"}, "tls", "greeting: timeout: no answer within 300ms; write tls = " +
			`"implicit" if the port is for TLS from the first byte, as 993 is`},
		{"implicit short=greeting", play{"TLS good", "MUTE"}, "addresses", "greeting: timeout: no answer within 300ms"},
		{"implicit short=tls", play{"MUTE"}, "tls_timeout", "tls: timeout: no answer within 300ms"},
		{"", play{"CLOSE"}, "proxy_header", "greeting: closed: the backend closed the connection; write " +
			`proxy_header = "v2" if the backend expects the PROXY protocol`},
		{"v1", play{"C: PROXY*", "RST"}, "addresses", "greeting: closed: the backend reset the connection"},
		{"v1", play{"C: PROXY*", "CLOSE"}, "addresses", "greeting: closed: the backend closed the connection"},
		{"starttls", play{"S: * OK [CAPABILITY IMAP4rev1] hi"}, "tls", "starttls: config: STARTTLS is not offered; " +
			`write tls = "implicit" and the port for it, as 993`},
		{"starttls", play{greeting, "C: *", "S: X3 NO [UNAVAILABLE] no"}, "addresses",
			"starttls: refusing: NO [UNAVAILABLE] no"},
		{"", play{"S: * BYE [UNAVAILABLE] full"}, "addresses", "greeting: refusing: BYE [UNAVAILABLE] full"},
		{"", play{"S: * OK hi", "C: *", "S: X3 OK what"}, "addresses",
			"capability: protocol: an answer that does not fit the command"},
		{"implicit", play{"TLS self-signed"}, "ca", "tls: its certificate is signed by an unknown authority, " +
			`"CN=test authority"; set target.ca to the CA's file`},
		{"implicit", play{"TLS own"}, "ca", `tls: its certificate, of "CN=test authority", is self-signed: an ` +
			"unknown authority; set target.ca to a file with this certificate"},
		{"implicit", play{"TLS expired"}, "addresses", "tls: its certificate expired on DAY; renew it on the backend"},
		{"implicit", play{"TLS not-yet"}, "addresses", "tls: its certificate is valid from DAY on; check the clocks " +
			"of both machines"},
		{"implicit", play{"TLS other-name"}, "server_name", "tls: its certificate is for imap.example.net, and not " +
			"for 127.0.0.1; set target.server_name to one of its names"},
		{"implicit name=x.example", play{"TLS good"}, "server_name", "tls: its certificate is for 127.0.0.1, and not " +
			"for x.example; set target.server_name to one of its names"},
		{"implicit", play{"TLS nameless"}, "server_name", `tls: its certificate, of "CN=imap.example.org", has no ` +
			`name ` +
			"that counts; renew it on the backend with a subjectAltName"},
		{"implicit", play{"TLS old"}, "tls_min", "tls: it speaks only older versions of TLS than target.tls_min; let " +
			"it speak TLS 1.2 or newer"},
		{"", play{"S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi"}, "tls", "login: config: the backend offers " +
			"neither " +
			`AUTH=PLAIN nor LOGIN without TLS; write tls = "starttls"`},
		{"master", play{"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi", "C: *", "S: X2 NO no"}, "master_user",
			`login: credentials: master user "master" is refused: no; write the backend's master user, and its ` +
				`password ` +
				"into master_password_file"},
	} {
		addr := closedPort(t)
		if test.play[0] != none {
			addr = startScripted(t, test.play, certs).addr
		}
		target := testTarget(addr)
		apply(t, target, test.target, a)
		d, _ := testDialer()
		c, _, err := converse(d, target)
		if err == nil {
			t.Errorf("%s %q: no error", test.target, test.play)
			endNow(c)
			continue
		}
		checkText(t, err)
		want := "target test at " + addr + ": " + test.want
		if got := withoutDays(err.Error()); got != want {
			t.Errorf("%s %q:\ngot  %s\nwant %s", test.target, test.play, got, want)
		}
		if got := AdviceOf(err); got.Key != test.key {
			t.Errorf("%s %q: about the key %s, want %s", test.target, test.play, got.Key, test.key)
		}
	}
}

// withoutDays returns a text with "DAY" for today's date and those near it.
func withoutDays(text string) string {
	for n := -1; n <= 3; n++ {
		text = strings.ReplaceAll(text, day(time.Now().Add(time.Duration(n)*24*time.Hour)), "DAY")
	}
	return text
}

// TestAdviceOnNames: a name without an address, and a socket that is not there.
func TestAdviceOnNames(t *testing.T) {
	d, _ := testDialer()
	d.Resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: "imap.example.org", IsNotFound: true}
	}
	for addr, want := range map[string]string{
		"imap.example.org:143": `connect: dns: the name has no address: "imap.example.org" is not known; write a ` +
			"name that this machine can resolve, or an address",
		"unix:" + t.TempDir() + "/none": "connect: there is no such socket; start the server, or name its socket",
	} {
		_, err := dialNow(context.Background(), d, testTarget(addr), testOrigin())
		if err == nil || err.Error() != "target test at "+addr+": "+want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestMayLogIn asks without a login.
func TestMayLogIn(t *testing.T) {
	for line, want := range map[string]error{
		"IMAP4rev1 AUTH=PLAIN":               nil,
		"IMAP4rev1":                          nil,
		"IMAP4rev1 LOGINDISABLED":            errNoMethod,
		"IMAP4rev1 LOGINDISABLED AUTH=LOGIN": nil,
	} {
		s := startScripted(t, play{"S: * OK [CAPABILITY " + line + "] hi there"}, nil)
		d, _ := testDialer()
		greeting := ""
		d.Greeted = func(_ *Conn, text string) { greeting = text }
		c := mustDial(t, d, testTarget(s.addr))
		if err := c.MayLogIn(); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", line, err, want)
		}
		endNow(c)
		if s.only().notes() != "LOGOUT" || greeting != "hi there" {
			t.Errorf("%s: the backend saw %s; the greeting is %q", line, s.only().notes(), greeting)
		}
	}
}

// TestAdviceOnPermission: a Unix socket has an owner; a TCP connection is refused by a
// firewall of this machine.
func TestAdviceOnPermission(t *testing.T) {
	for network, want := range map[string]string{
		"unix": fmt.Sprintf("the user with the number %d may not use it", os.Geteuid()),
		"tcp":  "operation not permitted",
	} {
		err := &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.EPERM)}
		if got := AdviceOf(advise(testTarget("x"), "connect", err)); got.Text != want {
			t.Errorf("%s: %q, want %q", network, got.Text, want)
		}
	}
}

// TestAdviceOnMechanism: a master login that the target's mechanism excludes is not the
// backend's fault.
func TestAdviceOnMechanism(t *testing.T) {
	for mechanism, want := range map[login.Mechanism]string{
		login.MechanismLiterals: "a master login needs AUTH=PLAIN, which target.mechanism excludes",
		login.MechanismLogin:    "a master login needs AUTH=PLAIN, which target.mechanism excludes",
		login.MechanismAuto:     "a master login needs AUTH=PLAIN, which the backend does not offer",
	} {
		target := testTarget("x")
		target.Mechanism = mechanism
		_, err := Credentials{User: "joe", AuthID: "boss"}.methods(target, &capabilities{})
		if got := AdviceOf(advise(target, phaseLogin, err)); got.Text != want {
			t.Errorf("%v: %q, want %q", mechanism, got.Text, want)
		}
	}
}

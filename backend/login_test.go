package backend

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"imapproxy/backend/login"
	"imapproxy/backend/wire"
)

// everyByte holds each byte that may stand in a credential.
func everyByte() string {
	var b strings.Builder
	for i := 0x20; i <= 0xff; i++ {
		if i != 0x7f {
			b.WriteByte(byte(i))
		}
	}
	return b.String()
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// What a backend gets of a login, byte by byte.
func TestLoginBytes(t *testing.T) {
	user, secret := everyByte(), reversed(everyByte())
	b64 := func(fields ...string) string {
		return base64.StdEncoding.EncodeToString([]byte(strings.Join(fields, "\x00")))
	}
	for _, c := range []struct {
		name, offered, answers string
		cred, master           Credentials
		want                   string
	}{
		{"literals", "IMAP4rev1", "C: X2 *\nS: +\nC: *\nS: +\nC: *", Credentials{User: user, Secret: secret},
			Credentials{},
			fmt.Sprintf("X2 LOGIN {%d}\r\n%s {%d}\r\n%s\r\n", len(user), user, len(secret), secret)},
		{"PLAIN", "AUTH=PLAIN", "C: *\nS: +\nC: *", Credentials{User: user, Secret: secret}, Credentials{},
			"X2 AUTHENTICATE PLAIN\r\n" + b64("", user, secret) + "\r\n"},
		{"PLAIN at once", "auth=plain sasl-ir", "C: *", Credentials{User: user, Secret: secret}, Credentials{},
			"X2 AUTHENTICATE PLAIN " + b64("", user, secret) + "\r\n"},
		{"authenticated as the user", "AUTH=PLAIN SASL-IR", "C: *", Credentials{User: "u", AuthID: "u", Secret: "s"},
			Credentials{},
			"X2 AUTHENTICATE PLAIN " + b64("", "u", "s") + "\r\n"},
		{"authenticated as the user, by literals", "IMAP4rev1", "C: *\nS: +\nC: *\nS: +\nC: *",
			Credentials{User: "u", AuthID: "u", Secret: "s"}, Credentials{}, "X2 LOGIN {1}\r\nu {1}\r\ns\r\n"},
		{"authenticated as another", "AUTH=PLAIN SASL-IR", "C: *", Credentials{User: "u", AuthID: "admin", Secret: "s"},
			Credentials{},
			"X2 AUTHENTICATE PLAIN " + b64("u", "admin", "s") + "\r\n"},
		{"the target's master", "AUTH=PLAIN SASL-IR", "C: *", Credentials{User: "u", AuthID: "x", Secret: "s"},
			Credentials{AuthID: "master", Secret: "m"}, "X2 AUTHENTICATE PLAIN " + b64("u", "master", "m") + "\r\n"},
		{"a token", "AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER", "C: *\nS: +\nC: *",
			Credentials{User: "u", Secret: "tok", Token: "XOAUTH2"}, Credentials{},
			"X2 AUTHENTICATE XOAUTH2\r\n" + b64("user=u\x01auth=Bearer tok\x01\x01") + "\r\n"},
		{"a token at once, by the other mechanism", "AUTH=PLAIN SASL-IR AUTH=OAUTHBEARER", "C: *",
			Credentials{User: "u,v=w", Secret: "tok", Token: "XOAUTH2"}, Credentials{},
			"X2 AUTHENTICATE OAUTHBEARER " + b64("n,a=u=2Cv=3Dw,\x01auth=Bearer tok\x01\x01") + "\r\n"},
		{"a token as a password", "AUTH=PLAIN SASL-IR", "C: *", Credentials{User: "u", Secret: "tok", Token: "XOAUTH2"},
			Credentials{},
			"X2 AUTHENTICATE PLAIN " + b64("", "u", "tok") + "\r\n"},
		{"a password where tokens are taken", "AUTH=PLAIN SASL-IR AUTH=XOAUTH2", "C: *",
			Credentials{User: "u", Secret: "s"}, Credentials{},
			"X2 AUTHENTICATE PLAIN " + b64("", "u", "s") + "\r\n"},
		{"the target's master instead of a token", "AUTH=PLAIN SASL-IR AUTH=XOAUTH2", "C: *",
			Credentials{User: "u", Secret: "tok", Token: "XOAUTH2"},
			Credentials{AuthID: "master", Secret: "m"}, "X2 AUTHENTICATE PLAIN " + b64("u", "master", "m") + "\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := append(play{"S: * OK [CAPABILITY " + c.offered + "] hello"}, strings.Split(c.answers, "\n")...)
			s := startScripted(t, append(p, "S: X2 OK [CAPABILITY IMAP4rev1] in"), nil)
			target := testTarget(s.addr)
			target.Master = c.master
			d, _ := testDialer()
			conn := mustDial(t, d, target)
			_, err := logInNow(context.Background(), conn, c.cred, testOrigin())
			endNow(conn)
			if got := strings.TrimSuffix(s.only().got.String(), "X9 LOGOUT\r\n"); got != c.want || err != nil {
				t.Errorf("%v\n got %q\nwant %q", err, got, c.want)
			}
			if conn.hidden != nil {
				t.Error("the connection keeps the password")
			}
		})
	}
}

// TestTokenWithLiterals: a backend that was not asked what it offers is asked for a
// token, which would go as a password otherwise; for a password it is not.
func TestTokenWithLiterals(t *testing.T) {
	const token = "X2 AUTHENTICATE XOAUTH2 dXNlcj11AWF1dGg9QmVhcmVyIHRvawEB\r\n" // user=u, auth=Bearer tok
	for _, c := range []struct {
		greeting, offered string // offered is the answer to CAPABILITY, "" where nothing is asked
		token, want       string
	}{
		{"hello", "AUTH=XOAUTH2 SASL-IR", xoauth2, "X3 CAPABILITY\r\n" + token},
		{"[CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hello", "", xoauth2, token},
		{"hello", "", "", "X2 LOGIN {1}\r\nu {3}\r\ntok\r\n"},
	} {
		p := play{"S: * OK " + c.greeting}
		if c.offered != "" {
			p = append(p, "C: X3 CAPABILITY", "S: * CAPABILITY IMAP4rev1 "+c.offered, "S: X3 OK asked")
		}
		if c.token == "" {
			p = append(p, "C: *", "S: +", "C: *", "S: +")
		}
		s := startScripted(t, append(p, "C: *", "S: X2 OK in"), nil)
		target := testTarget(s.addr)
		target.Mechanism = login.MechanismLiterals
		d, _ := testDialer()
		conn := mustDial(t, d, target)
		cred := Credentials{User: "u", Secret: "tok", Token: c.token}
		_, err := logInNow(context.Background(), conn, cred, testOrigin())
		endNow(conn)
		if got := strings.TrimSuffix(s.only().got.String(), "X9 LOGOUT\r\n"); got != c.want || err != nil {
			t.Errorf("%v\n got %q\nwant %q", err, got, c.want)
		}
	}
}

// Credentials that could be taken for others are not sent.
func TestLoginRefusesUnfitCredentials(t *testing.T) {
	cases := []Credentials{
		{User: "", Secret: canary}, {User: "", AuthID: "master", Secret: canary}, {User: "u", Secret: ""},
	}
	for i := range 0x21 {
		b := string(rune(i))
		if i == 0x20 {
			b = "\x7f"
		}
		cases = append(cases, Credentials{User: "u" + b + "v", Secret: canary},
			Credentials{User: "u", AuthID: "a" + b, Secret: canary}, Credentials{User: "u", Secret: b + canary})
	}
	s := startScripted(t, greets(), nil)
	d, _ := testDialer()
	c := mustDial(t, d, testTarget(s.addr))
	for _, cred := range cases {
		_, err := logInNow(context.Background(), c, cred, testOrigin())
		wantKind(t, err, "login", KindConfig)
		checkText(t, err)
	}
	if e := endNow(c); e != EndLogout {
		t.Errorf("ended by %s", e)
	}
	if got := s.only().got.String(); got != "X9 LOGOUT\r\n" {
		t.Errorf("the backend got %q", got)
	}
}

func TestMayTell(t *testing.T) {
	for _, c := range []struct {
		remote string
		target Target
		may    bool
	}{
		{"127.0.0.1:143", Target{}, true},
		{"127.9.9.9:143", Target{}, true},
		{"[::1]:143", Target{}, true},
		{"[::ffff:127.0.0.1]:143", Target{}, true},
		{"192.0.2.1:143", Target{}, false},
		{"[2001:db8::1]:143", Target{}, false},
		{"[::ffff:192.0.2.1]:143", Target{}, false},
		{"0.0.0.0:143", Target{}, false},
		{"localhost:143", Target{}, false},
		{"", Target{}, false},
		{"unix:/run/imap.sock", Target{}, true},
		{"192.0.2.1:143", Target{PlainLogin: true}, true},
		{"192.0.2.1:143", Target{TLS: TLSStartTLS}, true},
		{"192.0.2.1:993", Target{TLS: TLSImplicit}, true},
	} {
		remote, _ := netip.ParseAddrPort(c.remote)
		err := c.target.mayTell(remote, strings.HasPrefix(c.remote, wire.UnixPrefix))
		if (err == nil) != c.may {
			t.Errorf("%s, %+v: %v", c.remote, c.target, err)
		}
		if err != nil && kindOf("login", err) != KindConfig {
			t.Errorf("%v is of the kind %s", err, kindOf("login", err))
		}
	}
}

// TestOneReason: an error is one line of the log, also where two things are wrong.
func TestOneReason(t *testing.T) {
	c := &Conn{Addr: "one", Target: &Target{}} // it leads to no address of this machine
	_, err := c.logIn(context.Background(), Credentials{}, testOrigin())
	if err == nil || strings.Contains(err.Error(), "is empty") ||
		!strings.Contains(err.Error(), "set tls, or plain_login") {
		t.Errorf("got %v", err)
	}
}

// Also of a password that is longer than what is shown, nothing is shown.
func TestLongPasswordsAreWithheld(t *testing.T) {
	s := startScripted(t, play{
		"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello", "C: *",
		"S: X2 NO wrong: " + strings.Repeat(canary, 100),
	}, nil)
	d, _ := testDialer()
	c := mustDial(t, d, testTarget(s.addr))
	cred := Credentials{User: "u", Secret: strings.Repeat(canary, 100)}
	_, err := logInNow(context.Background(), c, cred, testOrigin())
	var refused *Refused
	if !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	checkText(t, err)
	endNow(c)
}

// A password that a usual code happens to hold does not change the verdict.
func TestShortPasswordsDoNotChangeTheVerdict(t *testing.T) {
	s := startScripted(t, play{
		"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello", "C: *", "S: X2 NO [UNAVAILABLE] A problem",
	}, nil)
	d, _ := testDialer()
	c := mustDial(t, d, testTarget(s.addr))
	_, err := logInNow(context.Background(), c, Credentials{User: "u", Secret: "A"}, testOrigin())
	wantKind(t, err, "login", KindRefusing)
	endNow(c)
}

func TestCapabilities(t *testing.T) {
	for _, c := range []struct{ given, want string }{
		{"IMAP4rev1 IDLE", "IMAP4rev1 IDLE"},
		{"IMAP4rev1 starttls STARTTLS LOGINDISABLED SASL-IR sasl-ir AUTH=PLAIN auth=login AUTH=", "IMAP4rev1"},
		{"COMPRESS=DEFLATE compress=x COMPRESSX", "COMPRESSX"},
		{"LOGIN-REFERRALS MAILBOX-REFERRALS UNAUTHENTICATE Unauthenticate LITERAL+", "LITERAL+"},
		{"  A \t B  ", "A B"},
		{"A\rB\x00C\x7fD[E\u00e9F]G", "A B C D E F G"},
		{"", ""},
	} {
		var caps capabilities
		caps.set(c.given, &lists{})
		if got := caps.forClient(nil); got != c.want || !caps.known() {
			t.Errorf("%q: got %q, want %q", c.given, got, c.want)
		}
	}
}

// Where the list comes from after the login.
func TestCapabilitiesAfterTheLogin(t *testing.T) {
	for _, c := range []struct{ name, lines, want string }{
		{"in the code", "S: X2 OK [CAPABILITY A COMPRESS=DEFLATE] in", "A"},
		{"in the code, lower case", "S: X2 OK [capability A] in", "A"},
		{"untagged", "S: * CAPABILITY A AUTH=PLAIN\nS: X2 OK in", "A"},
		{"in an untagged code", "S: * OK [CAPABILITY A]\nS: X2 OK in", "A"},
		{"asked", "S: X2 OK in\nC: X3 CAPABILITY\nS: * CAPABILITY A STARTTLS\nS: X3 OK", "A"},
		{"not that of the greeting", "S: X2 OK [ALERT] in\nC: X3 CAPABILITY\nS: * CAPABILITY\nS: X3 OK", ""},
		{"the last one", "S: * CAPABILITY A\nS: X2 OK [CAPABILITY B] in", "B"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startScripted(t, append(good()[:2:2], strings.Split(c.lines, "\n")...), nil)
			d, _ := testDialer()
			conn, _, err := converse(d, testTarget(s.addr))
			if err != nil {
				t.Fatal(err)
			}
			endNow(conn)
			if got := conn.Capabilities(); got != c.want || s.only().notes() != "LOGOUT" {
				t.Errorf("got %q; %s", got, s.only().notes())
			}
		})
	}
}

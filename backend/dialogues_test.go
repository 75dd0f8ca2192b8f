package backend

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"imapproxy/backend/login"
	"imapproxy/backend/timing"
	"imapproxy/scripts/dialogue"
)

// The password of all these tests, which no error may repeat and no backend
// may be told but where a dialogue says so.
const canary = "canary-Kx7-swordfish"

const (
	roomy = 10 * time.Second
	short = 300 * time.Millisecond
)

// testOrigin is the client of these tests.
func testOrigin() Origin {
	return Origin{
		Client:    netip.MustParseAddrPort("192.0.2.7:40001"),
		Local:     netip.MustParseAddrPort("198.51.100.1:993"),
		SessionID: "s1", TTL: 6,
	}
}

// testTarget is a target with roomy limits, on the addresses.
func testTarget(addrs ...string) *Target {
	return &Target{
		Name: "test", Addresses: addrs,
		Limits: Limits{Connect: roomy, TLS: roomy, Greeting: roomy, Login: roomy, Logout: roomy},
	}
}

// testDialer notes how connections ended.
func testDialer() (*Dialer, *[]Ending) {
	var endings []Ending
	d := &Dialer{Clock: timing.System{}}
	d.Ended = func(_ *Conn, e Ending) { endings = append(endings, e) }
	return d, &endings
}

// told tells whether a backend has got the canary, in the clear or as a part
// of a base64 word.
func told(received string) bool {
	if strings.Contains(received, canary) {
		return true
	}
	for _, w := range strings.Fields(received) {
		for from := range min(len(w), 4) {
			word := w[from:]
			b, _ := base64.StdEncoding.DecodeString(word[:len(word)/4*4])
			if strings.Contains(string(b), canary) {
				return true
			}
		}
	}
	return false
}

// apply sets up a target: starttls, implicit, id, master, plain, login, literals, pool, v1, v2, name=HOST for the
// server name, trust-all, and short=PHASE for a short limit.
func apply(tb testing.TB, t *Target, words string, a *authority) {
	tb.Helper()
	t.TLSConfig = &tls.Config{RootCAs: a.pool()}
	for _, w := range strings.Fields(words) {
		word, arg, _ := strings.Cut(w, "=")
		switch word {
		case "starttls":
			t.TLS = TLSStartTLS
		case "implicit":
			t.TLS = TLSImplicit
		case "id":
			t.ForwardID = true
		case "master":
			t.Master = Credentials{AuthID: "master", Secret: canary}
		case "plain":
			t.Mechanism = login.MechanismPlain
		case "login":
			t.Mechanism = login.MechanismLogin
		case "literals":
			t.Mechanism = login.MechanismLiterals
		case "pool":
			t.Pool = &PoolOptions{}
		case "v1":
			t.Header = ProxyV1
		case "v2":
			t.Header = ProxyV2
		case "name":
			t.TLSConfig.ServerName = arg
		case "trust-all":
			t.TLSConfig.InsecureSkipVerify = true
		case "short":
			for name, limit := range map[string]*time.Duration{
				"tls": &t.Limits.TLS, "greeting": &t.Limits.Greeting, "login": &t.Limits.Login,
				"logout": &t.Limits.Logout,
			} {
				if name == arg {
					*limit = short
				}
			}
		default:
			tb.Fatalf("no such word for a target: %s", w)
		}
	}
}

// outcome is a dial, a login and an ending in a line: "ok TEXT" or "PHASE
// KIND" or "refused CODE"; whether the backend got the password; how
// the connection ended; what the backend saw of that; and what the user must read.
func outcome(text string, err error, s *scripted, endings []Ending, alerts []string) string {
	var failed *Error
	var refused *Refused
	what := "ok " + text
	switch {
	case errors.As(err, &failed):
		what = failed.Phase + " " + string(failed.Kind)
	case errors.As(err, &refused):
		what = "refused " + refused.Code
	case err != nil:
		what = "neither an *Error nor a *Refused: " + err.Error()
	}
	v := s.only()
	secret := "untold"
	if told(v.received()) {
		secret = "told"
	}
	line := fmt.Sprintf("%s; %s; %v; %s", strings.TrimSpace(what), secret, endings, v.notes())
	if len(alerts) > 0 {
		line += "; alerts: " + strings.Join(alerts, " | ")
	}
	return line
}

// alertsOf returns what was said before the login failed.
func alertsOf(err error) []string {
	var refused *Refused
	var failed *Error
	switch {
	case errors.As(err, &failed): // it may have a *Refused in it
		return failed.Alerts
	case errors.As(err, &refused):
		return refused.Alerts
	}
	return nil
}

// converse dials and logs in; nil when there is no connection to end.
func converse(d *Dialer, t *Target) (*Conn, string, error) {
	o := testOrigin()
	c, err := dialNow(context.Background(), d, t, o)
	if err != nil {
		return nil, "", err
	}
	text, err := logInNow(context.Background(), c, Credentials{User: "user@example.org", Secret: canary}, o)
	return c, text, err
}

func TestDialogues(t *testing.T) {
	a := newAuthority(t)
	certs := a.certificates()
	var ended []link
	format.Run(t, "testdata/dialogues/*.txt", 9, func(t *testing.T, d *dialogue.Dialogue) {
		ended = append(ended, playDialogue(t, d, a, certs))
	})
	gone(t, ended...)
}

// playDialogue returns the connection, which both sides have closed.
func playDialogue(t *testing.T, d *dialogue.Dialogue, a *authority, certs map[string]*tls.Config) link {
	end := len(d.Steps) - 1
	if d.Steps[end].Verb != "=" {
		t.Fatal("the dialogue ends without an outcome")
	}
	want := d.Steps[end].Text
	before := socketCount(t)
	s := startSteps(t, d.Steps[:end], certs)
	target := testTarget(s.addr)
	apply(t, target, d.Header("target"), a)
	dialer, endings := testDialer()
	begun := time.Now()
	conn, text, err := converse(dialer, target)
	alerts := alertsOf(err)
	if conn != nil {
		if err == nil {
			alerts = conn.TakeAlerts()
		}
		endNow(conn)
		if e := endNow(conn); e != endNone {
			t.Errorf("the second End gave %q", e)
		}
	}
	if took := time.Since(begun); took > roomy/2 {
		t.Errorf("took %s: something waited for its whole limit", took)
	}
	if got := outcome(text, err, s, *endings, alerts); !matches(want, got) {
		t.Errorf("\n got %s\nwant %s\n err %v", got, want, err)
	}
	checkText(t, err)
	if n := dialer.Registry.Count(); n != 0 {
		t.Errorf("%d connections left in the registry", n)
	}
	l := link{s.only().raw.RemoteAddr().String(), s.addr}
	s.stop()
	noSocketsLeft(t, before)
	return l
}

// checkText looks at the words of an error: no secret, one line, bounded.
func checkText(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	text := fmt.Sprintf("%v %+v %s", err, err, err)
	if told(text) {
		t.Errorf("the error repeats the password: %s", text)
	}
	if bad := strings.IndexFunc(err.Error(), func(r rune) bool {
		return r < 0x20 || r == 0x7f ||
			r == '\u202e'
	}); bad >= 0 {
		t.Errorf("a control byte in the error: %q", err)
	}
	if len(err.Error()) > 2048 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

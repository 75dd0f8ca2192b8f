package backend

import (
	"crypto/tls"
	"testing"

	"imapproxy/backend/login"
)

// TestUntrustedAnswer takes no words and no alert from a connection that anyone on
// the way may have written to, but a code.
func TestUntrustedAnswer(t *testing.T) {
	starttls := &Target{TLS: TLSStartTLS, Texts: login.TextsAll} // and not under TLS yet
	noVerify := &Target{TLS: TLSImplicit, Texts: login.TextsAll, TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	for _, test := range []struct {
		name    string
		conn    *Conn
		trusted bool
	}{
		{"before STARTTLS", &Conn{Target: starttls}, false},
		{"verify = false", &Conn{Target: noVerify, conn: tls.Client(nil, &tls.Config{})}, false},
		{"verified", &Conn{Target: starttls, conn: tls.Client(nil, &tls.Config{})}, true},
		{"tls = off", &Conn{Target: &Target{Texts: login.TextsAll}}, true},
	} {
		alert := test.conn.answered(answer{word: "NO", code: "ALERT", text: "call this number"})
		limit := test.conn.answered(answer{word: "NO", code: "LIMIT", text: "call this number"})
		if (alert.Code == codeAlert) != test.trusted || alert.Trusted != test.trusted ||
			(limit.Texts == login.TextsAll) != test.trusted || limit.Code != "LIMIT" {
			t.Errorf("%s: got %+v, %+v", test.name, alert, limit)
		}
	}
}

// TestQuoted writes quoted strings of what they allow (RFC 9051 section 9), and
// nothing else.
func TestQuoted(t *testing.T) {
	for _, test := range []struct{ s, want string }{
		{"joe", `"joe"`}, {"", `""`}, {`a"b\c`, `"a\"b\\c"`}, {"{5}", `"{5}"`}, {" ", `" "`}, {"\x7f", "\"\x7f\""},
		{"a\rb", ""}, {"a\nb", ""}, {"a\x00b", ""}, {"\u00fc", ""}, {"a\xff", ""},
	} {
		if got, ok := quoted(test.s); got != test.want || ok != (test.want != "") {
			t.Errorf("%q: got %s, %v", test.s, got, ok)
		}
	}
}

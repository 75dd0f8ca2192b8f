package imapproxy

import (
	"crypto/tls"
	"strings"
	"testing"
)

// TestALPN offers application protocols: imap, none, imap among others, and
// only others, which is a browser that was led here (RFC 7301, CVE-2021-3618).
func TestALPN(t *testing.T) {
	for _, test := range []struct {
		name    string
		offered []string
		chosen  string
		refused bool
	}{
		{"imap", []string{"imap"}, "imap", false},
		{"none", nil, "", false},
		{"imap among others", []string{"h2", "http/1.1", "imap"}, "imap", false},
		{"http", []string{"http/1.1"}, "", true},
		{"others", []string{"h2", "smtp", "imaps"}, "", true},
	} {
		for _, listener := range []string{"tls", "starttls"} {
			t.Run(test.name+" "+listener, func(t *testing.T) {
				tryALPN(t, listener, test.offered, test.chosen,
					test.refused)
			})
		}
	}
}

func tryALPN(t *testing.T, listener string, offered []string, chosen string, refused bool) {
	r := newRig(t)
	c := r.connectRaw(listener)
	if listener == "starttls" {
		c.expect(`\* OK .*`)
		c.send("a STARTTLS")
		c.expect("a OK .*")
	}
	err := c.tryHandshake(clientTLS(offered...))
	if refused {
		if err == nil || !strings.Contains(err.Error(), "no application protocol") {
			t.Errorf("the handshake gives %v, want the alert no_application_protocol", err)
		}
		c.close()
		r.endsWith(c, endClientTLS)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := c.conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != chosen {
		t.Errorf("negotiated %q, want %q", got, chosen)
	}
	if listener == "tls" {
		c.expect(`\* OK .*`)
	}
	c.send("b LOGIN joe %s", canary)
	c.expect("b OK .*")
	c.close()
	r.endsWith(c, endClientClosed)
}

// TestEndOfTLS distinguishes an end in order, by close_notify, from only a FIN, which
// anybody on the way could have sent.
func TestEndOfTLS(t *testing.T) {
	for _, phase := range []string{"before login", "in the relay"} {
		t.Run(phase, func(t *testing.T) {
			r := newRig(t)
			begin := func() *testClient {
				if phase == "before login" {
					return r.dial("tls")
				}
				return r.login("tls", "joe")
			}
			orderly, half, cut := begin(), begin(), begin()
			orderly.close()
			r.endsWith(orderly, endClientClosed)
			half.halfClose()
			half.expectEOF()
			r.endsWith(half, endClientClosed)
			if err := cut.raw.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			_, _ = cut.rest()
			r.endsWith(cut, endClientAborted)
		})
	}
}

// TestHandshakes that do not come to an end.
func TestHandshakes(t *testing.T) {
	r := newRig(t)
	silent := r.connectRaw("tls")
	silent.close()
	r.endsWith(silent, endClientClosed)

	reset := r.connectRaw("tls")
	reset.reset()
	r.endsWith(reset, endClientAborted)

	half := r.connectRaw("tls")
	half.write("\x16\x03\x01\x02\x00\x01")
	half.close()
	r.endsWith(half, endClientClosed)

	plain := r.connectRaw("tls")
	plain.write("a LOGIN joe " + canary + "\r\n")
	if got, _ := plain.rest(); strings.Contains(got, "a ") || strings.Contains(got, "* ") {
		t.Errorf("plain text on a TLS listener is answered: %q", got)
	}
	plain.close()
	r.endsWith(plain, endClientTLS)

	old := r.connectRaw("tls")
	cfg := clientTLS("imap")
	cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if err := old.tryHandshake(cfg); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	old.close()
	r.endsWith(old, endClientTLS)
}

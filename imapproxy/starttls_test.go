package imapproxy

import (
	"crypto/tls"
	"errors"
	"os"
	"strings"
	"testing"
)

// TestBytesBehindSTARTTLS sends a command along with STARTTLS: in one write,
// with the write cut at each byte, and after the OK in the place of the
// handshake. It is never answered, in the clear or in TLS (CVE-2011-0411).
func TestBytesBehindSTARTTLS(t *testing.T) {
	const injected = "A STARTTLS\r\nB NOOP\r\n"
	r := newRig(t)
	for round := range 100 {
		c := r.dial("starttls")
		cut := round % len(injected)
		c.write(injected[:cut])
		c.write(injected[cut:])
		neverAnswered(t, r, c)
	}
}

func TestLiteralBehindSTARTTLS(t *testing.T) {
	for _, behind := range []string{"B LOGIN {3+}\r\njoe {1+}\r\nx\r\n", "\r\n", "\x00", " ", "\x16\x03\x01"} {
		r := newRig(t)
		c := r.dial("starttls")
		c.write("A STARTTLS\r\n" + behind)
		neverAnswered(t, r, c)
	}
}

func TestCommandInsteadOfHandshake(t *testing.T) {
	r := newRig(t)
	c := r.dial("starttls")
	c.send("A STARTTLS")
	c.expect("A OK Begin TLS")
	c.send("B NOOP")
	if got, _ := c.rest(); strings.Contains(got, "B ") {
		t.Errorf("answered: %q", got)
	}
	c.close()
	r.endsWith(c, endClientTLS)
}

// neverAnswered tries to go on in TLS, as an attacker's victim would, and
// looks at all that was said.
func neverAnswered(t *testing.T, r *rig, c *testClient) {
	t.Helper()
	got, err := c.rest() // the close; an OK before it when only STARTTLS had arrived
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the connection stays open after %q", got)
	}
	if strings.HasPrefix(got, "A OK") {
		err := tls.Client(c.raw, clientTLS("imap")).Handshake()
		if err == nil {
			t.Errorf("a handshake after injected bytes")
		}
	}
	if strings.Contains(got, "B ") || strings.Contains(c.said.String(), "B ") {
		t.Errorf("the injected command is answered: %q", got)
	}
	c.close()
	l := r.endOf(c)
	if reason := endReason(l.str("reason")); reason != endClientProtocol && reason != endClientTLS {
		t.Errorf("the reason is %q", reason)
	}
	if n := r.fakeAuth().asked.Load(); n != 0 {
		t.Errorf("%d logins were tried", n)
	}
}

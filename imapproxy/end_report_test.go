package imapproxy

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEndLine checks every field of the one line that a session leaves.
func TestEndLine(t *testing.T) {
	clock := newFakeClock()
	r := newRig(t, withClock(clock))
	c := r.dial("starttls")
	c.send("a STARTTLS")
	c.expect("a OK .*")
	c.handshake(clientTLS("imap"))
	c.send("b AUTHENTICATE PLAIN %s", coded("\x00joe\x00"+canary))
	c.expect("b OK .*")
	c.send("c UID FETCH 1 BODY[]")
	c.expect("c OK .*")
	clock.advance(90 * time.Second)
	c.send("d LOGOUT")
	c.expect(`\* BYE .*`)
	c.expect("d OK .*")
	c.expectEOF()
	l := r.endsWith(c, endLogout)
	got := map[string]any{}
	maps.Copy(got, l)
	delete(got, "session")
	want := map[string]any{
		"level": "info", "message": "session ended", "reason": "logout", "phase": "relay",
		"client": c.raw.LocalAddr().String(), "listener": "starttls", "tls": "TLS 1.3",
		"user": "joe", "mechanism": "PLAIN", "backend": r.backend.address(), "backend_end": "logout",
		"last_command": "LOGOUT", "duration_ms": 90000.0,
		"bytes_in":  float64(len("c UID FETCH 1 BODY[]\r\nd LOGOUT\r\n")),
		"bytes_out": float64(len("c OK UID completed\r\n* BYE see you\r\nd OK LOGOUT completed\r\n")),
	}
	if !maps.Equal(got, want) {
		t.Errorf("the end line has\n%v\nwant\n%v", got, want)
	}
	if id := l.str("session"); len(id) != 16 {
		t.Errorf("the session's id is %q", id)
	}
}

// TestHostileNames logs what a client chose in bounded fields, escaped.
func TestHostileNames(t *testing.T) {
	r := newRig(t, withLimits(func(l *Limits) { l.FailedLogins = 99 }))
	for _, name := range []string{strings.Repeat("n", 400), "a\x1b[31mb", "a\u202eb", `a","reason":"logout`, "a\xffb"} {
		c := r.dial("plain")
		c.send("a LOGIN %s wrong", quote(name))
		c.expect("a NO .*")
		c.close()
		l := r.endsWith(c, endClientClosed)
		if user := l.str("user"); len(user) > 256 || user == "" {
			t.Errorf("the log has %d bytes of a name", len(user))
		}
	}
	for line := range strings.Lines(r.log.text()) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(c rune) bool { return c < 0x20 || c == 0x7f }) {
			t.Errorf("a control byte in %q", line)
		}
	}
}

// TestReasons holds the closed set: each reason has a text for the client or
// is one that needs none.
func TestReasons(t *testing.T) {
	docs, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	silent := []endReason{endLogout, endClientClosed, endClientAborted, endClientVanished, endClientTLS, endProxyHeader,
		endLoginFailed}
	for _, reason := range []endReason{endLogout, endClientClosed, endClientAborted, endClientVanished,
		endClientProtocol,
		endClientTLS, endClientCertificate, endProxyHeader, endTooManyFailures, endLoginFailed, endBackendClosed,
		endBackendAborted, endBackendVanished, endBackendProtocol, endLoginTimeout,
		endIdleTimeout, endHalfClose, endKicked, endShutdown, endOverload, endLeak, endPanic} {
		if (reason.byeText() == "") != slices.Contains(silent, reason) {
			t.Errorf("%s says %q to the client", reason, reason.byeText())
		}
		if !strings.Contains(string(docs), "\n| `"+string(reason)+"` | ") {
			t.Errorf("docs/metrics.md has no row for %s", reason)
		}
	}
}

// TestMayAuthenticate says where a password may be sent.
func TestMayAuthenticate(t *testing.T) {
	r := newRig(t)
	for listener, may := range map[string]bool{"plain": true, "starttls": true, "far-plain": false,
		"far-starttls": false,
		"far-insecure": true, "far-tls": true} {
		c := r.dial(listener)
		if got := !strings.Contains(c.said.String(), "LOGINDISABLED"); got != may {
			t.Errorf("%s: the greeting says %v", listener, got)
		}
		c.send("a LOGIN joe %s", canary)
		if got := strings.HasPrefix(c.line(), "a OK"); got != may {
			t.Errorf("%s: a login is taken: %v", listener, got)
		}
	}
}

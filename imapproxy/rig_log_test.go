package imapproxy

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// logBook keeps what a server logs.
type logBook struct {
	mu  sync.Mutex // protects buf
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// logLine is one line, by its fields.
type logLine map[string]any

func (l logLine) str(key string) string {
	s, _ := l[key].(string)
	return s
}

func (l logLine) num(key string) int64 {
	n, isNumber := l[key].(float64)
	if !isNumber {
		return -1
	}
	return int64(n)
}

// size is how much has been logged so far, in bytes.
func (b *logBook) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Len()
}

// lines returns the lines with a message.
func (b *logBook) lines(t testing.TB, message string) []logLine {
	t.Helper()
	return linesOf(t, b.text(), message)
}

// linesOf returns the lines of a text with a message.
func linesOf(t testing.TB, text, message string) []logLine {
	t.Helper()
	var found []logLine
	for line := range strings.Lines(text) {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("the log line %q is not JSON: %v", line, err)
		}
		if l.str("message") == message {
			found = append(found, l)
		}
	}
	return found
}

// ends returns the end lines of the sessions of one client port, out of what was
// logged after the first since bytes: the kernel may give a port to one client
// after the other.
func (b *logBook) ends(t testing.TB, port uint16, since int) []logLine {
	t.Helper()
	var found []logLine
	for _, l := range linesOf(t, b.text()[since:], "session ended") {
		ap, err := netip.ParseAddrPort(l.str("client"))
		if err == nil && ap.Port() == port || port == 0 && l.str("client") == "unix:" {
			found = append(found, l)
		}
	}
	return found
}

// endOf waits for the end line of a client's session, and for the session to
// be gone; there must be one.
func (r *rig) endOf(c *testClient) logLine {
	r.t.Helper()
	var found []logLine
	r.await("the session's end line", func() bool {
		found = r.log.ends(r.t, c.port, c.logged)
		return len(found) > 0
	})
	if len(found) != 1 {
		r.t.Fatalf("%d end lines for one session, want 1\n%s", len(found), r.log.text())
	}
	return found[0]
}

// endsWith checks the reason of a client's session.
func (r *rig) endsWith(c *testClient, reason endReason) logLine {
	r.t.Helper()
	l := r.endOf(c)
	if l.str("reason") != string(reason) {
		r.t.Errorf("the session's reason is %q, want %q\n%v", l.str("reason"), reason, l)
	}
	return l
}

// checkSecrets looks for the canary, plain or encoded.
func checkSecrets(t testing.TB, text string) {
	t.Helper()
	for _, s := range disguises(canary) {
		if strings.Contains(text, s) {
			t.Errorf("the log holds the password (as %q):\n%s", s, text)
		}
	}
}

// disguises are the ways in which a secret could stand in a text: as it is,
// in hexadecimal, and in base64 with any number of bytes in front.
func disguises(secret string) []string {
	all := []string{secret, hex.EncodeToString([]byte(secret))}
	for offset := range 3 {
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", offset) + secret))
		all = append(all, strings.TrimRight(coded, "=")[4:20])
	}
	return all
}

// stacks returns the beginning of what all goroutines do.
func stacks() string {
	buf := make([]byte, 8<<10)
	return string(buf[:runtime.Stack(buf, true)])
}

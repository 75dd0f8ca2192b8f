package imapproxy

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"imapproxy/backend"
)

// TestCrowd lets many clients come at once and leave at random points of a
// session, each in one of the ways there are. Every session leaves one line,
// and nothing else stays.
func TestCrowd(t *testing.T) {
	notQuick(t)
	const crowd = 300
	r := newRig(t, withLimits(func(l *Limits) { l.Sessions = 2 * crowd }))
	address := r.address("plain")
	const script = "a CAPABILITY\r\nb LOGIN {3+}\r\njoe " +
		canary + "\r\nc NOOP\r\nd APPEND x {20+}\r\n12345678901234567890\r\n" +
		"e FETCH 5000\r\ng LOGOUT\r\n"
	var clients sync.WaitGroup
	for seed := range uint64(crowd) {
		clients.Go(func() { leaveSomewhere(t, address, script, rand.New(rand.NewPCG(seed, 7))) })
	}
	clients.Wait()
	r.restful()
	r.await("an end line for each", func() bool { return len(r.log.lines(t, "session ended")) >= crowd })
	reasons := map[string]int{}
	for _, l := range r.log.lines(t, "session ended") {
		reasons[l.str("reason")]++
	}
	for reason := range reasons {
		switch endReason(reason) {
		case endLogout, endClientClosed, endClientAborted:
		default:
			t.Errorf("a session ended with %q", reason)
		}
	}
	if sum := len(r.log.lines(t, "session ended")); sum != crowd || len(reasons) != 3 {
		t.Errorf("%d end lines for %d sessions: %v", sum, crowd, reasons)
	}
}

// leaveSomewhere sends the script in pieces and waits for the end, or sends
// a part of it and leaves.
func leaveSomewhere(t *testing.T, address, script string, chance *rand.Rand) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	whole := chance.IntN(4) == 0
	part := script
	if !whole {
		part = script[:chance.IntN(len(script))]
	}
	for len(part) > 0 {
		n := 1 + chance.IntN(len(part))
		if _, err := io.WriteString(conn, part[:n]); err != nil {
			return
		}
		part = part[n:]
	}
	switch way := chance.IntN(3); {
	case whole:
		_, _ = io.Copy(io.Discard, conn)
	case way == 0:
		_ = conn.(*net.TCPConn).SetLinger(0)
	case way == 1:
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	}
}

// TestForwardedID tells the backend whom it serves. Nothing that the client
// claims of itself gets there, but for a shorter way through proxies.
func TestForwardedID(t *testing.T) {
	script := func(c *backendConn) {
		c.send("* OK [CAPABILITY IMAP4rev1 ID AUTH=PLAIN SASL-IR] hello")
		if line, _ := c.line(); strings.HasPrefix(line, "X1 ID ") {
			c.send("X1 OK")
		}
		if tag, _, good := c.readLogin(); good {
			c.send("%s OK [CAPABILITY IMAP4rev1] Logged in", tag)
			c.untilLogout()
		}
	}
	r := newRig(t, withScript(script), withTarget(func(t *backend.Target) { t.ForwardID = true }))
	c := r.dial("plain")
	c.send(`a ID ("x-originating-ip" "6.6.6.6" "x-originating-port" "666" "x-session-id" "forged" ` +
		`"name" "mua" "x-proxy-ttl" "3")`)
	c.expect(`\* ID .*`)
	c.expect("a OK .*")
	c.send("b LOGIN joe %s", canary)
	c.expect("b OK .*")
	c.close()
	l := r.endsWith(c, endClientClosed)
	r.restful()
	got, _, _ := strings.Cut(r.backend.conn(0).everything(), "\r\n")
	local := c.raw.LocalAddr().(*net.TCPAddr)
	remote := c.raw.RemoteAddr().(*net.TCPAddr)
	want := sprintf(
		`X1 ID ("x-originating-ip" "127.0.0.1" "x-originating-port" "%d" "x-connected-ip" "127.0.0.1" `+
			`"x-connected-port" "%d" "x-session-id" "%s" "x-proxy-ttl" "2")`,
		local.Port, remote.Port, l.str("session"))
	if got != want {
		t.Errorf("the backend reads\n%s\nwant\n%s", got, want)
	}
}

package imapproxy

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/wire"
)

// newUnixRig has a listener and a backend on Unix sockets.
func newUnixRig(t *testing.T, options ...option) *rig {
	t.Helper()
	folder := t.TempDir()
	listen := func(name string) net.Listener {
		ln, err := net.Listen("unix", filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	onUnix := func(r *rig) {
		r.backendOn = listen("backend")
		r.target.Addresses = []string{wire.UnixPrefix + filepath.Join(folder, "backend")}
	}
	r := newRig(t, append([]option{onUnix}, options...)...)
	r.listen = func(name string) (net.Listener, string) {
		return listen(name), wire.UnixPrefix + filepath.Join(folder, name)
	}
	return r
}

// TestUnixSession goes through a session from a Unix socket to a Unix socket:
// the client counts as one of this machine, and is called unix:.
func TestUnixSession(t *testing.T) {
	r := newUnixRig(t)
	c := r.login("plain", "joe")
	if asked := r.fakeAuth().last.Load(); asked.Client.IsValid() {
		t.Errorf("the login is of %v", asked.Client)
	}
	c.send("f FETCH 200000")
	if lines := c.until("f"); len(strings.Join(lines, "")) < 200000 {
		t.Errorf("FETCH gives %d lines", len(lines))
	}
	sockets := r.server.Sockets()
	if len(sockets) != 2 || sockets[0].Peer != "unix:" || sockets[0].State != wire.StateEstablished ||
		sockets[1].Peer != r.target.Addresses[0] || sockets[1].State != wire.StateEstablished {
		t.Errorf("the sockets are %+v", sockets)
	}
	if l := r.server.List(); len(l) != 1 || l[0].Client != "unix:" {
		t.Errorf("the sessions are %+v", l)
	}
	if n, err := r.server.countSockets(); err != nil || len(n.known) != 2 || len(n.missing) != 0 ||
		len(n.unknown) != 0 {
		t.Errorf("the census finds %+v, %v", n, err)
	}
	c.send("l LOGOUT")
	c.until("l")
	c.expectEOF()
	l := r.endsWith(c, endLogout)
	if l.str("client") != "unix:" || l.str("backend") != r.target.Addresses[0] ||
		l.str("backend_end") != string(backend.EndLogout) {
		t.Errorf("the log says %v", l)
	}
	r.restful()
}

// TestUnixCensus finds sockets that are not accounted for, on both sides.
func TestUnixCensus(t *testing.T) {
	r := newUnixRig(t)
	r.login("plain", "joe")
	unknown := func() int {
		n, err := r.server.countSockets()
		if err != nil || len(n.missing) != 0 {
			t.Errorf("%d missing, %v", len(n.missing), err)
		}
		return len(n.unknown)
	}
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "other"))
	if err != nil || r.server.track(ln) == nil {
		t.Fatal(err)
	}
	defer func() { r.server.untrack(ln); _ = ln.Close() }()
	if n := unknown(); n != 0 {
		t.Errorf("%d unknown sockets", n)
	}
	for i, path := range []string{strings.TrimPrefix(r.target.Addresses[0], wire.UnixPrefix), ln.Addr().String()} {
		lost, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer lost.Close()
		if path == ln.Addr().String() {
			accepted, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
		}
		if n := unknown(); n != i+1 {
			t.Errorf("%d unknown sockets, want %d", n, i+1)
		}
	}
}

// TestUnixEndings ends sessions between Unix sockets in each way. Closing is all
// there is: the peer of a socket that is closed early reads the end.
func TestUnixEndings(t *testing.T) {
	deaf := func(c *backendConn) {
		if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
			_, _ = c.line() // LOGOUT
		}
	}
	for _, test := range []struct {
		name    string
		script  backendScript // nil is a mailbox
		does    func(r *rig, c *testClient)
		reason  endReason
		ending  backend.Ending
		reads   string // what the client reads before the end
		relayed string // what the backend reads
	}{
		{"client closes", nil, func(_ *rig, c *testClient) { c.close() }, endClientClosed, backend.EndLogout, "-",
			"X9 LOGOUT\r\n"},
		{"client half-closes", nil, func(_ *rig, c *testClient) { c.halfClose() }, endClientClosed, backend.EndLogout,
			"", "X9 LOGOUT\r\n"},
		{"client closes in IDLE", nil, func(_ *rig, c *testClient) { c.send("i IDLE"); c.expect(`\+ .*`); c.close() },
			endClientClosed, backend.EndLogout, "-", "i IDLE\r\nDONE\r\nX9 LOGOUT\r\n"},
		{"backend closes", nil, func(_ *rig, c *testClient) { c.send("c CLOSE") }, endBackendClosed, "eof",
			"* BYE [UNAVAILABLE] The mail server closed the connection; connect again\r\n", "c CLOSE\r\n"},
		{"backend closes mid-literal", func(c *backendConn) {
			if c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
				_, _ = c.line()
				c.send("* 1 FETCH (BODY[] {100}\r\nabc")
				c.close()
			}
		}, func(_ *rig, c *testClient) { c.send("f FETCH") }, endBackendClosed, "eof", "", "f FETCH\r\n"},
		{"kick", nil, func(r *rig, _ *testClient) { r.server.Kick(func(SessionInfo) bool { return true }) }, endKicked,
			backend.EndLogout,
			"* BYE [UNAVAILABLE] Disconnected by an administrator\r\n", "X9 LOGOUT\r\n"},
		{"drain", nil, func(r *rig, _ *testClient) { r.drainBeside(context.Background()) }, endShutdown,
			backend.EndLogout,
			"* BYE [UNAVAILABLE] The server is shutting down; connect again\r\n", "X9 LOGOUT\r\n"},
		{"backend never closes", deaf, func(_ *rig, c *testClient) { c.close() }, endClientClosed, backend.EndReset,
			"-", "X9 LOGOUT\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := []option{withTarget(func(t *backend.Target) { t.Limits.Logout = 200 * time.Millisecond })}
			if test.script != nil {
				options = append(options, withScript(test.script))
			}
			r := newUnixRig(t, options...)
			c := r.login("plain", "joe")
			test.does(r, c)
			if test.reads != "-" {
				if got, err := c.rest(); err != nil || test.reads != "" && got != test.reads {
					t.Errorf("the client reads %q and %v, want %q", got, err, test.reads)
				}
				c.close()
			}
			if l := r.endsWith(c, test.reason); l.str("backend_end") != string(test.ending) {
				t.Errorf("the log says %v, want the ending %s", l, test.ending)
			}
			r.restful()
			if got := r.backend.conn(0).relayed(); got != test.relayed {
				t.Errorf("the backend reads %q, want %q", got, test.relayed)
			}
		})
	}
}

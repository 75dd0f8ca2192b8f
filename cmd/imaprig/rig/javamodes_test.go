package rig

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/internal/rigtest"
)

const (
	testMessageSize   = 300_000
	testGreetingDelay = 3 * time.Second
	testLoginDelay    = 300 * time.Millisecond
)

// TestJavaModes proves that each mode does what its name says, by the kernel's view of its socket and by its counters.
func TestJavaModes(t *testing.T) {
	r := newRig(t, JavaOptions{MessageSize: testMessageSize, GreetingDelay: testGreetingDelay})
	t.Run("dialogue", r.testDialogue)
	t.Run("append", r.testAppend)
	for _, tt := range endings() {
		t.Run(tt.mode+"/"+tt.name, func(t *testing.T) { tt.run(t, r.begin(t, tt.mode)) })
	}
	t.Run("never-accepts", r.testNeverAccepts)
	t.Run("slow-greeting", r.testSlowGreeting)
	t.Run("server-closes-first", r.testServerClosesFirst)
	t.Run("bye-no-close", r.testByeNoClose)
	t.Run("server-rst", r.testServerRST)
	t.Run("login-delay", r.testLoginDelay)
	t.Run("control", r.testControl)
	t.Run("SIGTERM", r.testSIGTERM) // the last: it ends the backend
}

// ending is one way to end a session in one mode, and what the backend then holds.
type ending struct {
	mode, name string
	drive      func(c *mailClient) // from the greeting on; ends the connection
	recvQ      uint64              // of the socket in CLOSE_WAIT
	why        finding             // nothingFound: no socket is left
	open       int
	counts     JavaCounts
}

func (e ending) run(t *testing.T, r rig) {
	c := greet(t, r.Addr())
	client := c.local()
	e.drive(c)
	if e.why == nothingFound {
		r.wantGone(client)
	} else {
		r.wantCloseWait(client, e.recvQ, e.why)
	}
	r.wantCounts(e.open, e.counts)
	if got := r.stats().Modes[e.mode]; got != e.counts {
		t.Errorf("counted for the mode: %+v, want %+v", got, e.counts)
	}
}

func login(c *mailClient) {
	c.t.Helper()
	c.command("OK", "LOGIN user pass")
	c.command("OK", "SELECT INBOX")
}

func loginClose(c *mailClient) { c.t.Helper(); login(c); c.close() }
func loginReset(c *mailClient) { c.t.Helper(); login(c); c.reset() }

func loginLogout(c *mailClient) {
	c.t.Helper()
	login(c)
	logout(c)
}

func logout(c *mailClient) {
	c.t.Helper()
	if before := c.command("OK", "LOGOUT"); !strings.HasPrefix(before, "* BYE ") {
		c.t.Fatalf("LOGOUT brought %q, want BYE", before)
	}
	c.close()
}

// blindLogout sends it to a worker that does not read any more.
func blindLogout(c *mailClient) { c.t.Helper(); login(c); c.send("a LOGOUT\r\n"); c.close() }

// loginLogoutReset leaves as a proxy does that can't wait: the LOGOUT stays readable after the reset.
func loginLogoutReset(c *mailClient) { c.t.Helper(); login(c); c.send("a LOGOUT\r\n"); c.reset() }

// halfFetch reads the half of the message that a stuck worker has sent.
func halfFetch(c *mailClient) {
	c.t.Helper()
	login(c)
	c.send("f FETCH 1 BODY[]\r\n")
	c.wantLine(fmt.Sprintf("* 1 FETCH (BODY[] {%d}", testMessageSize))
	if got := c.read(testMessageSize / 2); got != testMessage("user", testMessageSize)[:testMessageSize/2] {
		c.t.Fatal("the half message is another one")
	}
	c.silent()
	c.close()
}

func refused(c *mailClient)       { c.t.Helper(); c.command("NO [AUTHENTICATIONFAILED]", "LOGIN user pass") }
func refusedClose(c *mailClient)  { c.t.Helper(); refused(c); c.close() }
func refusedReset(c *mailClient)  { c.t.Helper(); refused(c); c.reset() }
func refusedLogout(c *mailClient) { c.t.Helper(); refused(c); logout(c) }

func endings() []ending {
	// Sessions by how they ended: logged in or refused, and what the backend saw of the end.
	in := func(c JavaCounts) JavaCounts { c.Accepted, c.Authenticated = 1, 1; return c }
	out := func(c JavaCounts) JavaCounts { c.Accepted, c.Refused = 1, 1; return c }
	logout, eof, rst := JavaCounts{Logout: 1}, JavaCounts{EOF: 1}, JavaCounts{RST: 1}
	closed := func(c JavaCounts) JavaCounts { c.Closed = 1; return c }
	unread := JavaCounts{NeverRead: 1}
	return []ending{
		{"good", "close", loginClose, 0, nothingFound, 0, in(closed(eof))},
		{"good", "logout", loginLogout, 0, nothingFound, 0, in(closed(logout))},
		{"good", "reset", loginReset, 0, nothingFound, 0, in(closed(rst))},
		{"stuck-worker", "close", loginClose, 1, finUnread, 1, in(unread)},
		{"stuck-worker", "logout unread", blindLogout, 11, dataUnread, 1, in(unread)},
		{"stuck-worker", "reset cleans the table only", loginReset, 0, nothingFound, 1, in(unread)},
		{"stuck-fetch", "close", halfFetch, 1, finUnread, 1, in(unread)},
		{"stuck-fetch", "not fetching", loginClose, 0, nothingFound, 0, in(closed(eof))},
		{"no-close-on-eof", "close", loginClose, 0, closeForgotten, 1, in(eof)},
		{"no-close-on-eof", "logout does not help", loginLogout, 0, closeForgotten, 1, in(logout)},
		{"no-close-on-eof", "reset cleans the table only", loginReset, 0, nothingFound, 1, in(rst)},
		{"no-close-without-logout", "close", loginClose, 0, closeForgotten, 1, in(eof)},
		{"no-close-without-logout", "logout helps", loginLogout, 0, nothingFound, 0, in(closed(logout))},
		{"no-close-without-logout", "reset cleans the table only", loginReset, 0, nothingFound, 1, in(rst)},
		{"no-close-without-logout", "logout and reset help", loginLogoutReset, 0, nothingFound, 0, in(closed(logout))},
		{"poll-available", "close", loginClose, 1, finUnread, 1, in(unread)},
		{"poll-available", "logout helps", loginLogout, 0, nothingFound, 0, in(closed(logout))},
		{"poll-available", "reset cleans the table only", loginReset, 0, nothingFound, 1, in(unread)},
		{"poll-available", "logout and reset help", loginLogoutReset, 0, nothingFound, 0, in(closed(logout))},
		{"auth-fail", "close", refusedClose, 0, nothingFound, 0, out(closed(eof))},
		{"auth-fail-noclose", "close", refusedClose, 0, closeForgotten, 1, out(eof)},
		{"auth-fail-noclose", "logout helps", refusedLogout, 0, nothingFound, 0, out(closed(logout))},
		{"auth-fail-noclose", "reset cleans the table only", refusedReset, 0, nothingFound, 1, out(rst)},
		{"auth-fail-poll", "close", refusedClose, 1, finUnread, 1, out(unread)},
		{"auth-fail-poll", "logout helps", refusedLogout, 0, nothingFound, 0, out(closed(logout))},
	}
}

func (r rig) testNeverAccepts(t *testing.T) {
	r = r.begin(t, "never-accepts")
	silent, leaving, gone := connect(t, r.Addr()), connect(t, r.Addr()), connect(t, r.Addr())
	silentAddr, leavingAddr, goneAddr := silent.local(), leaving.local(), gone.local()
	silent.close()
	leaving.send("a LOGOUT\r\n")
	leaving.close()
	gone.reset()
	r.wantCloseWait(silentAddr, 1, neverAccepted)
	r.wantCloseWait(leavingAddr, 11, neverAccepted)
	r.wantGone(goneAddr)
	r.wantCounts(0, JavaCounts{})
	if err := r.SetMode(t.Context(), "good"); err != nil {
		t.Fatal(err)
	}
	// The slot of the reset one was still taken: it is accepted, and only then seen to be gone.
	r.wantCounts(0, JavaCounts{Accepted: 3, Closed: 3, EOF: 1, Logout: 1, RST: 1})
}

func (r rig) testSlowGreeting(t *testing.T) {
	r = r.begin(t, "slow-greeting")
	begun := time.Now()
	leaving, waiting := connect(t, r.Addr()), connect(t, r.Addr())
	leavingAddr := leaving.local()
	leaving.close()
	rigtest.Eventually(t, func() error { return r.checkCloseWait(leavingAddr, 1, finUnread) })
	waiting.wantLine("* OK ")
	if waited := time.Since(begun); waited < testGreetingDelay {
		t.Errorf("greeted after %v, want %v at least", waited, testGreetingDelay)
	}
	r.wantGone(leavingAddr)
	waiting.close()
	rigtest.Eventually(t, func() error {
		if s := r.stats(); s.Open != 0 || s.Closed != 2 {
			return fmt.Errorf("open %d, closed %d; want 0 and 2", s.Open, s.Closed)
		}
		return nil
	})
}

func (r rig) testServerClosesFirst(t *testing.T) {
	r = r.begin(t, "server-closes-first")
	c := selected(t, r.Addr())
	c.wantLine("* BYE ")
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("after BYE: %v, want EOF", err)
	}
	rigtest.Eventually(t, func() error {
		if s, found := r.socket(c.local()); !found || s.State != wire.StateFinWait2 {
			return fmt.Errorf("socket %+v (found %v), want FIN_WAIT2", s, found)
		}
		return nil
	})
	r.wantCounts(0, JavaCounts{Accepted: 1, Closed: 1, Server: 1, Authenticated: 1})
	client := c.local()
	c.close()
	r.wantGone(client)
}

func (r rig) testByeNoClose(t *testing.T) {
	r = r.begin(t, "bye-no-close")
	c := selected(t, r.Addr())
	c.wantLine("* BYE ")
	logout(c)
	r.wantCounts(0, JavaCounts{Accepted: 1, Closed: 1, Logout: 1, Authenticated: 1})
}

func (r rig) testServerRST(t *testing.T) {
	r = r.begin(t, "server-rst")
	c := selected(t, r.Addr())
	if _, err := c.in.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after SELECT: %v, want a reset", err)
	}
	r.wantGone(c.local())
	r.wantCounts(0, JavaCounts{Accepted: 1, Closed: 1, Server: 1, Authenticated: 1})
}

func (r rig) testLoginDelay(t *testing.T) {
	r = r.begin(t, fmt.Sprintf("login-delay=%d", testLoginDelay.Milliseconds()))
	c := greet(t, r.Addr())
	begun := time.Now()
	c.command("OK", "LOGIN user pass")
	if took := time.Since(begun); took < testLoginDelay {
		t.Errorf("login took %v, want %v at least", took, testLoginDelay)
	}
	logout(c)
	r.wantCounts(0, JavaCounts{Accepted: 1, Closed: 1, Logout: 1, Authenticated: 1})
}

// testControl shows the parts of the control port that the other tests only use.
func (r rig) testControl(t *testing.T) {
	r = r.begin(t, "no-close-on-eof")
	if err := r.SetMode(t.Context(), "goood"); err == nil || !strings.Contains(err.Error(), "no-close-without-logout") {
		t.Errorf("an unknown mode: error %v, want one that lists them", err)
	}
	c := selected(t, r.Addr())
	client := c.local()
	c.close()
	r.wantCloseWait(client, 0, closeForgotten)
	if err := r.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := r.stats(); s.Open != 1 || s.JavaCounts != (JavaCounts{}) || s.Mode != "no-close-on-eof" ||
		len(s.Modes) != 0 {
		t.Errorf("after a reset: %+v, want 1 open and all counters 0", s)
	}
	fds := r.stats().FDs
	if err := r.CloseAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.wantGone(client)
	if s := r.stats(); s.Open != 0 || s.FDs != fds-1 {
		t.Errorf("after close-all: open %d, %d sockets; want 0 and %d", s.Open, s.FDs, fds-1)
	}
}

// testSIGTERM shows that a stuck worker does not keep the JVM from ending.
func (r rig) testSIGTERM(t *testing.T) {
	if err := r.SetMode(t.Context(), "stuck-worker"); err != nil {
		t.Fatal(err)
	}
	selected(t, r.Addr())
	if err := r.Stop(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if err := r.Stop(time.Second); err != nil {
		t.Errorf("stopped again: %v", err)
	}
}

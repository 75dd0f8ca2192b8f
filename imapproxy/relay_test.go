package imapproxy

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// random gives n bytes, the same ones for the same seed.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0] = byte(seed)
	_, _ = rand.NewChaCha8(key).Read(b)
	return b
}

// TestRelayUnchanged sends bytes of any kind both ways at once, the client's in a
// literal, and the backend's such that the ledger can make nothing of them; they
// arrive as they are.
func TestRelayUnchanged(t *testing.T) {
	const size = 3 << 20
	up, down := random(1, size), random(2, size)
	copy(up, fmt.Sprintf("a APPEND x {%d+}\r\n", size-len("a APPEND x {1234567+}\r\n")))
	for _, listener := range []string{"plain", "tls", "starttls"} {
		t.Run(listener, func(t *testing.T) {
			var got atomic.Pointer[[32]byte]
			r := newRig(t, withScript(func(c *backendConn) {
				if !c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
					return
				}
				sent := make(chan struct{})
				go func() { defer close(sent); c.write(string(down)) }()
				h := sha256.New()
				_, _ = io.CopyN(h, c.in, size)
				<-sent
				sum := [32]byte(h.Sum(nil))
				got.Store(&sum)
			}))
			c := r.login(listener, "joe")
			go c.write(string(up))
			h := sha256.New()
			c.deadline()
			if _, err := io.CopyN(h, c.in, size); err != nil {
				t.Fatal(err)
			}
			if [32]byte(h.Sum(nil)) != sha256.Sum256(down) {
				t.Error("the client gets other bytes")
			}
			r.await("the backend to get all", func() bool { return got.Load() != nil })
			if *got.Load() != sha256.Sum256(up) {
				t.Error("the backend gets other bytes")
			}
			c.close()
			if l := r.endOf(c); l.num("bytes_in") != size || l.num("bytes_out") != size {
				t.Errorf("the log counts %d bytes in and %d out", l.num("bytes_in"), l.num("bytes_out"))
			}
		})
	}
}

// TestLiterals appends 5 MB and fetches it back, with either kind of literal.
func TestLiterals(t *testing.T) {
	message := string(random(3, 5<<20))
	for _, listener := range []string{"plain", "tls"} {
		for _, plus := range []string{"", "+"} {
			t.Run(listener+" {n"+plus+"}", func(t *testing.T) {
				r := newRig(t)
				c := r.login(listener, "joe")
				c.send("a APPEND INBOX {%d%s}", len(message), plus)
				if plus == "" {
					c.expect(`\+ .*`)
				}
				c.write(message + "\r\n")
				c.expect("a OK APPEND completed")
				c.send("b FETCH last")
				c.expect(fmt.Sprintf(`\* 1 FETCH \(BODY\[\] \{%d\}`, len(message)))
				h := sha256.New()
				if _, err := io.CopyN(h, c.in, int64(len(message))); err != nil {
					t.Fatal(err)
				}
				if [32]byte(h.Sum(nil)) != sha256.Sum256([]byte(message)) {
					t.Error("the message comes back changed")
				}
				c.expect(`\)`)
				c.expect("b OK FETCH completed")
				c.send("c LOGOUT")
				c.expect(`\* BYE .*`)
				c.expect("c OK .*")
				c.expectEOF()
				l := r.endsWith(c, endLogout)
				if l.str("backend_end") != "logout" || l.str("last_command") != "LOGOUT" {
					t.Errorf("the log has %v", l)
				}
				r.restful()
				if e := r.backend.conn(0).ended(); e != "own" {
					t.Errorf("the backend's connection ended by %q before the backend closed", e)
				}
			})
		}
	}
}

// TestBackPressure lets a client ask for a lot and not read it. Its own
// backend comes to a stop, others go on, and memory does not grow; then the
// client reads, and gets all.
func TestBackPressure(t *testing.T) {
	const size = 64 << 20
	chunk := random(4, 1<<20)
	var sent atomic.Int64
	r := newRig(t, withScript(func(c *backendConn) {
		if !c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
			return
		}
		if c.number > 0 {
			c.serve()
			return
		}
		_, _ = c.line()
		c.send("* 1 FETCH (BODY[] {%d}", size)
		for range size / len(chunk) {
			for part := range 16 {
				c.write(string(chunk[part<<16 : (part+1)<<16]))
				sent.Add(1 << 16)
			}
		}
		c.send(")\r\na OK done")
		c.serve()
	}))
	c := r.login("plain", "joe")
	before := heap()
	c.send("a FETCH 1 BODY[]")
	stalled := int64(-1)
	r.await("the backend to come to a stop", func() bool {
		last := stalled
		stalled = sent.Load()
		time.Sleep(100 * time.Millisecond)
		return stalled > 0 && stalled == last
	})
	if stalled > size/2 {
		t.Errorf("the backend has sent %d bytes to a client that does not read", stalled)
	}
	if grown := int64(heap()) - int64(before); grown > 2<<20 {
		t.Errorf("memory has grown by %d bytes", grown)
	}
	other := r.login("plain", "ann")
	other.send("b NOOP")
	other.expect("b OK .*")
	c.expect(`\* 1 FETCH .*`)
	h, want := sha256.New(), sha256.New()
	if _, err := io.CopyN(h, c.in, size); err != nil {
		t.Fatal(err)
	}
	for range size / len(chunk) {
		want.Write(chunk)
	}
	if [32]byte(h.Sum(nil)) != [32]byte(want.Sum(nil)) {
		t.Error("the client gets other bytes")
	}
	c.expect(`\)`)
	c.expect("a OK done")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHalfCloseByClient sends a command and closes the client's side: the
// answer still comes, then the session ends.
func TestHalfCloseByClient(t *testing.T) {
	for _, listener := range []string{"plain", "tls"} {
		t.Run(listener, func(t *testing.T) {
			gate := make(chan struct{})
			r := newRig(t, withScript(afterGate(gate)))
			c := r.login(listener, "joe")
			c.send("a FETCH 1 BODY[]")
			r.await("the command at the backend", func() bool {
				return strings.Contains(r.backend.conn(0).relayed(),
					"FETCH")
			})
			c.halfClose()
			close(gate)
			c.expect(`\* 1 FETCH \(BODY\[\] \{3\}`)
			c.expect(`abc\)`)
			c.expect("a OK .*")
			c.expectEOF()
			if l := r.endsWith(c, endClientClosed); l.str("backend_end") != "logout" {
				t.Errorf("the backend's connection ended as %q", l.str("backend_end"))
			}
			r.restful()
			if got := r.backend.conn(0).relayed(); got != "a FETCH 1 BODY[]\r\nX9 LOGOUT\r\n" {
				t.Errorf("the backend gets %q", got)
			}
		})
	}
}

// afterGate answers one FETCH once the gate is open, then LOGOUT.
func afterGate(gate <-chan struct{}) backendScript {
	return func(c *backendConn) {
		if !c.greet("IMAP4rev1 AUTH=PLAIN SASL-IR") {
			return
		}
		tag, _ := c.line()
		<-gate
		c.send("* 1 FETCH (BODY[] {3}\r\nabc)\r\n%s OK FETCH completed", strings.Fields(tag)[0])
		c.untilLogout()
	}
}

// TestHalfCloseSilence waits for an answer that does not come: for as long as the
// backend says something now and then, up to the limit; without that, for a few
// seconds.
func TestHalfCloseSilence(t *testing.T) {
	s := newStage(t, matrixCell{Phase: "half_closed_by_client", Reason: "timeout"})
	s.halfClosedByClient()
	limits, since := s.settings.Limits, s.clock.Now()
	for s.clock.Now().Sub(since)+limits.HalfCloseIdle < limits.HalfClose {
		s.clock.advance(limits.HalfCloseIdle - time.Millisecond)
		if why := s.ses.interrupter.why(); why != "" {
			t.Fatalf("ended as %q, %v after the half-close and before any limit", why, s.clock.Now().Sub(since))
		}
		s.b.send("* 1 EXISTS")
		s.c.expect(`\* 1 EXISTS`)
		s.written()
	}
	s.clock.advance(limits.HalfCloseIdle - time.Millisecond)
	if why := s.ses.interrupter.why(); why != endHalfClose || s.clock.Now().Sub(since) < limits.HalfClose {
		t.Errorf("%v after the half-close the reason to end is %q", s.clock.Now().Sub(since), why)
	}
	s.c.expectBye("Autologout.*")
	s.endsWith(s.c, endHalfClose)
}

// TestHalfCloseSilent ends a half-closed session whose backend is silent, at the
// limit and not before, and asks the backend to close.
func TestHalfCloseSilent(t *testing.T) {
	s := newStage(t, matrixCell{Phase: "half_closed_by_client", Reason: "timeout"})
	s.halfClosedByClient()
	s.clock.advance(s.settings.Limits.HalfCloseIdle - time.Millisecond)
	if why := s.ses.interrupter.why(); why != "" {
		t.Errorf("ended before the limit, as %q", why)
	}
	s.clock.advance(time.Millisecond)
	s.c.expectBye("Autologout.*")
	if l := s.endsWith(s.c, endHalfClose); l.str("backend_end") != "logout" {
		t.Errorf("the backend's connection ended as %q", l.str("backend_end"))
	}
}

package backend

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"imapproxy/backend/wire"
)

// leased gives a connection that is logged in and in a session's hands. The
// play goes on after the login with the lines.
func leased(tb testing.TB, words string, lines ...string) (*Conn, *scripted) {
	tb.Helper()
	a := newAuthority(tb)
	p := good()
	if strings.Contains(words, "implicit") {
		p = append(play{"TLS good"}, p...)
	}
	p = append(p, lines...)
	s := startScripted(tb, p, a.certificates())
	target := testTarget(s.addr)
	apply(tb, target, words, a)
	d, _ := testDialer()
	c, _, err := converse(d, target)
	if err != nil {
		tb.Fatal(err)
	}
	c.StartRelay()
	return c, s
}

// relayed moves bytes as the relay does: the ledger first, then the wire.
func relayed(tb testing.TB, c *Conn, text string) {
	tb.Helper()
	c.Ledger.Client([]byte(text))
	if _, err := c.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
}

// stuff writes past the ledger and past Conn.Write until nothing more goes in:
// the backend's window is shut, and our own buffer is full.
func stuff(tb testing.TB, c *Conn) {
	tb.Helper()
	rc, err := c.raw.SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	for _, size := range []int{64 << 10, 512, 1} {
		junk := make([]byte, size)
		for full := time.Now(); time.Since(full) < 100*time.Millisecond; {
			_ = rc.Control(func(fd uintptr) {
				if n, _ := unix.Write(int(fd), junk); n > 0 {
					full = time.Now()
				}
			})
		}
	}
}

// untilState polls until the kernel has heard from the backend.
func untilState(tb testing.TB, c *Conn, want wire.State) {
	tb.Helper()
	eventually(tb, func() error {
		if s, err := wire.AskSocket(&c.raw); err != nil || s.State != want {
			return fmt.Errorf("the socket is %v, %v", s.State, err)
		}
		return nil
	})
}

// wantEnd ends the connection, within the limit, and looks at both sides.
func wantEnd(t *testing.T, c *Conn, s *scripted, want Ending, limit time.Duration) {
	t.Helper()
	wantEndOf(t, c, s, []Ending{want}, limit)
}

// wantEndOf is wantEnd where one of several endings may come first.
func wantEndOf(t *testing.T, c *Conn, s *scripted, want []Ending, limit time.Duration) {
	t.Helper()
	begun := time.Now()
	if got := endNow(c); !slices.Contains(want, got) {
		t.Errorf("ended by %s, want %s", got, want)
	}
	if took := time.Since(begun); took > limit {
		t.Errorf("took %s, limit %s", took, limit)
	}
	if got := endNow(c); got != endNone {
		t.Errorf("the second End gave %s", got)
	}
	if n := c.dialer.Registry.Count(); n != 0 {
		t.Errorf("%d left in the registry", n)
	}
	gone(t, link{s.visits()[0].raw.RemoteAddr().String(), s.addr})
}

// both runs a test without and with TLS.
func both(t *testing.T, f func(t *testing.T, words string)) {
	for _, words := range []string{"", "implicit"} {
		t.Run("tls="+words, func(t *testing.T) {
			before := socketCount(t)
			f(t, words)
			noSocketsLeft(t, before+2) // what the scripted backend may still hold
		})
	}
}

// What may be said at the end depends on what has passed: the client's and the
// backend's bytes in turn, and what the backend has seen of the ending.
func TestEndInTheRelay(t *testing.T) {
	for _, c := range []struct {
		name            string
		client, backend string
		client2         string
		ends            Ending
		saw             string
	}{
		{"nothing going on", "", "", "", EndLogout, "LOGOUT"},
		{"a command without its answer", "A1 NOOP\r\n", "", "", EndLogout, "LOGOUT"},
		{"in IDLE", "A1 IDLE\r\n", "+ idling\r\n", "", EndLogout, "DONE LOGOUT"},
		{"after IDLE", "A1 IDLE\r\n", "+ idling\r\n", "DONE\r\n", EndLogout, "DONE LOGOUT"},
		{"IDLE without its continuation", "A1 IDLE\r\n", "", "", EndCut, "RST"},
		{"in the middle of a line", "A1 NO", "", "", EndCut, "RST"},
		{"before a literal", "A1 APPEND x {10}\r\n", "", "", EndCut, "RST"},
		{"in a literal", "A1 APPEND x {10}\r\n", "+ go\r\n", "12345", EndCut, "RST"},
		{"after a literal", "A1 APPEND x {3}\r\n", "+ go\r\n", "123", EndCut, "RST"},
		{"in a literal without a continuation", "A1 APPEND x {10+}\r\n12345", "", "", EndCut, "RST"},
		{"after a literal", "A1 APPEND x {3}\r\n", "+ go\r\n", "123\r\n", EndLogout, "LOGOUT"},
		{"in a literal of the backend", "A1 FETCH 1 BODY[]\r\n", "* 1 FETCH (BODY[] {100}\r\nabc", "", EndLogout,
			"LOGOUT"},
		{"COMPRESS", "A1 COMPRESS DEFLATE\r\n", "A1 OK\r\n", "", EndCut, "RST"},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, words string) {
				conn, s := leased(t, words)
				relayed(t, conn, c.client)
				conn.Ledger.Backend([]byte(c.backend))
				relayed(t, conn, c.client2)
				wantEnd(t, conn, s, c.ends, roomy/2)
				v := s.only()
				if got := v.notes(); got != c.saw {
					t.Errorf("the backend saw %s, want %s", got, c.saw)
				}
				sent := strings.TrimSuffix(v.got.String(), "X9 LOGOUT\r\n")
				if c.ends == EndCut && !strings.HasSuffix(sent, c.client+c.client2) {
					t.Errorf("the backend got %q", sent)
				}
			})
		})
	}
}

// The client's own LOGOUT is not said twice.
func TestEndAfterTheClientsLogout(t *testing.T) {
	both(t, func(t *testing.T, words string) {
		t.Run("backend still to answer", func(t *testing.T) {
			conn, s := leased(t, words)
			relayed(t, conn, "A1 LOGOUT\r\n")
			wantEnd(t, conn, s, EndLogout, roomy/2)
			if n := strings.Count(s.only().got.String(), "LOGOUT"); n != 1 {
				t.Errorf("LOGOUT %d times", n)
			}
		})
		t.Run("backend has closed", func(t *testing.T) {
			conn, s := leased(t, words)
			relayed(t, conn, "A1 LOGOUT\r\n")
			if _, err := readAllNow(conn); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, conn, s, EndLogout, roomy/2)
		})
		t.Run("backend never closes", func(t *testing.T) {
			conn, s := leased(t, words+" short=logout", "MUTE")
			relayed(t, conn, "A1 LOGOUT\r\n")
			wantEnd(t, conn, s, EndReset, roomy/2)
			if got := s.only().notes(); got != "LOGOUT RST" {
				t.Errorf("the backend saw %s", got)
			}
		})
		t.Run("a LOGOUT that fell short", func(t *testing.T) {
			conn, s := leased(t, words, "MUTE")
			relayed(t, conn, "A1 LOGOUT\r\n")
			conn.broken = true
			wantEnd(t, conn, s, EndCut, time.Second)
		})
	})
}

// Who closed first is told, also where it was not read that far.
func TestEndWhenTheBackendWasFirst(t *testing.T) {
	both(t, func(t *testing.T, words string) {
		t.Run("closed", func(t *testing.T) {
			conn, s := leased(t, words, "S: * BYE", "CLOSE")
			untilState(t, conn, wire.StateCloseWait)
			wantEnd(t, conn, s, endEOF, time.Second)
		})
		t.Run("closed, and read", func(t *testing.T) {
			conn, s := leased(t, words, "S: * BYE", "CLOSE")
			_, _ = readAllNow(conn)
			wantEnd(t, conn, s, endEOF, time.Second)
		})
		t.Run("closed, in a literal", func(t *testing.T) {
			conn, s := leased(t, words, "C: A1 *", "CLOSE")
			relayed(t, conn, "A1 APPEND x {10}\r\n")
			untilState(t, conn, wire.StateCloseWait)
			wantEnd(t, conn, s, endEOF, time.Second)
		})
		t.Run("reset", func(t *testing.T) {
			conn, s := leased(t, words, "C: A1 NOOP", "RST")
			relayed(t, conn, "A1 NOOP\r\n")
			untilState(t, conn, wire.StateClosed)
			wantEnd(t, conn, s, endPeerReset, time.Second)
		})
		t.Run("reset, and read", func(t *testing.T) {
			conn, s := leased(t, words, "C: A1 NOOP", "RST")
			relayed(t, conn, "A1 NOOP\r\n")
			_, _ = readAllNow(conn)
			wantEnd(t, conn, s, endPeerReset, time.Second)
		})
		t.Run("half-closed", func(t *testing.T) {
			conn, s := leased(t, words, "HALF", "MUTE")
			untilState(t, conn, wire.StateCloseWait)
			wantEnd(t, conn, s, endEOF, time.Second)
		})
		t.Run("half-closed, and reads nothing", func(t *testing.T) {
			conn, s := leased(t, words, "HALF", "DEAF")
			untilState(t, conn, wire.StateCloseWait)
			stuff(t, conn)
			conn.broken = true
			wantEnd(t, conn, s, endEOF, time.Second)
		})
		t.Run("said BYE, in a literal", func(t *testing.T) {
			conn, s := leased(t, words, "C: A1 *", "S: * BYE", "THINK", "CLOSE")
			relayed(t, conn, "A1 APPEND x {10}\r\n")
			conn.Ledger.Backend([]byte("* BYE\r\n"))
			wantEnd(t, conn, s, endEOF, time.Second)
			if strings.Contains(s.only().got.String(), "LOGOUT") {
				t.Error("LOGOUT in a literal")
			}
		})
	})
}

// A backend that does not read, does not close or does not stop is reset
// within the limit. Only one that was asked to close, and had its time for it, is
// at fault.
func TestEndIsBounded(t *testing.T) {
	both(t, func(t *testing.T, words string) {
		words += " short=logout"
		t.Run("never reads, LOGOUT fits", func(t *testing.T) {
			conn, s := leased(t, words, "DEAF")
			wantEnd(t, conn, s, EndReset, short+time.Second)
		})
		t.Run("never reads, LOGOUT does not fit", func(t *testing.T) {
			conn, s := leased(t, words, "DEAF")
			stuff(t, conn)
			wantEnd(t, conn, s, EndCut, short+time.Second)
			if !conn.broken {
				t.Error("LOGOUT went in")
			}
		})
		t.Run("never reads, a write fell short", func(t *testing.T) {
			conn, s := leased(t, words, "DEAF")
			var err error
			for err == nil {
				_, err = conn.Write(make([]byte, 64<<10))
			}
			wantEnd(t, conn, s, EndCut, short/2)
		})
		t.Run("never closes", func(t *testing.T) {
			conn, s := leased(t, words, "MUTE")
			wantEnd(t, conn, s, EndReset, short+time.Second)
			if got := s.only().notes(); got != "LOGOUT RST" {
				t.Errorf("the backend saw %s", got)
			}
		})
		t.Run("said BYE in a literal, and never closes", func(t *testing.T) {
			conn, s := leased(t, words, "MUTE")
			relayed(t, conn, "A1 APPEND x {10}\r\n")
			conn.Ledger.Backend([]byte("* BYE\r\n"))
			wantEnd(t, conn, s, EndReset, short+time.Second)
		})
		t.Run("never closes, and is hurried", func(t *testing.T) {
			conn, s := leased(t, words, "MUTE")
			conn.Hurry()
			wantEnd(t, conn, s, EndCut, short+time.Second)
			if got := s.only().notes(); got != "LOGOUT RST" {
				t.Errorf("the backend saw %s", got)
			}
		})
		t.Run("drips", func(t *testing.T) {
			conn, s := leased(t, words, "DRIP")
			wantEnd(t, conn, s, EndReset, short+time.Second)
		})
		t.Run("sends without end, by time or by bytes", func(t *testing.T) {
			conn, s := leased(t, words, `FLOOD- "* 1 EXISTS\r\n"`)
			wantEndOf(t, conn, s, []Ending{EndReset, EndCut}, short+time.Second)
		})
	})
}

// What is asked for before LOGOUT may be more than is read and thrown away: that is
// no fault of the backend's.
func TestEndIsBoundedInBytes(t *testing.T) {
	both(t, func(t *testing.T, words string) {
		conn, s := leased(t, words, `FLOOD- "* 1 EXISTS\r\n"`)
		conn.Target.Limits.Logout = time.Minute
		wantEnd(t, conn, s, EndCut, scriptLimit)
		if got := s.only().notes(); got != "RST" {
			t.Errorf("the backend saw %s", got)
		}
	})
}

// The end of TLS is not the end of TCP: a backend that stays would be left in
// CLOSE_WAIT by a close.
func TestEndBehindTLS(t *testing.T) {
	t.Run("TLS ended, TCP never", func(t *testing.T) {
		conn, s := leased(t, "implicit short=logout", "ALERT", "DEAF")
		wantEnd(t, conn, s, EndReset, short+time.Second)
	})
	t.Run("TLS ended and was read, TCP never", func(t *testing.T) {
		conn, s := leased(t, "implicit short=logout", "ALERT", "DEAF")
		if _, err := readAllNow(conn); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, conn, s, EndReset, short+time.Second)
	})
	t.Run("waits for our end of TLS", func(t *testing.T) {
		conn, s := leased(t, "implicit", "ALERT", "C: X9 LOGOUT")
		wantEnd(t, conn, s, EndLogout, roomy/2)
		if got := s.only().notes(); got != "EOF" {
			t.Errorf("the backend saw %s", got)
		}
	})
	t.Run("TLS ended, our buffer is full", func(t *testing.T) {
		conn, s := leased(t, "implicit short=logout", "ALERT", "DEAF")
		_, _ = readAllNow(conn)
		stuff(t, conn)
		wantEnd(t, conn, s, EndReset, short+time.Second)
	})
}

// What the login has read too far belongs to the relay.
func TestReadGivesWhatTheLoginLeft(t *testing.T) {
	both(t, func(t *testing.T, words string) {
		p := good()
		a := newAuthority(t)
		p[2] = `S- "X2 OK [CAPABILITY IMAP4rev1] in\r\n* 1 EXISTS\r\n* 2 REC"`
		p = append(p, "C: A1 NOOP", `S- "ENT\r\n"`, "CLOSE")
		if words != "" {
			p = append(play{"TLS good"}, p...)
		}
		s := startScripted(t, p, a.certificates())
		target := testTarget(s.addr)
		apply(t, target, words, a)
		d, _ := testDialer()
		c, _, err := converse(d, target)
		if err != nil {
			t.Fatal(err)
		}
		c.StartRelay()
		relayed(t, c, "A1 NOOP\r\n")
		one := make([]byte, 1)
		if n, err := c.Read(one); n != 1 || err != nil || one[0] != '*' {
			t.Fatalf("%d, %v, %q", n, err, one)
		}
		rest, err := readAllNow(c)
		if string(rest) != " 1 EXISTS\r\n* 2 RECENT\r\n" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		wantEnd(t, c, s, endEOF, time.Second)
	})
}

// A write to a backend that is gone is noted, and so is a read.
func TestWriteToAClosedBackend(t *testing.T) {
	conn, s := leased(t, "", "RST")
	untilState(t, conn, wire.StateClosed)
	if _, err := conn.Write([]byte("A1 NOOP\r\n")); err == nil || !conn.broken {
		t.Errorf("%v, broken %v", err, conn.broken)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, errLimit) {
		t.Errorf("%v", err)
	}
	wantEnd(t, conn, s, endPeerReset, time.Second)
}

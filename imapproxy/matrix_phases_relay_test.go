package imapproxy

import (
	"context"
	"strings"
	"sync"
	"time"

	"imapproxy/backend/wire"
)

// The phases of a session in the relay.

// leaveAfterNoop shows that the relay works, and closes: that ends a session
// with the same reason whatever the ledger thinks of it.
func (s *stage) leaveAfterNoop() endReason {
	s.c.send("n1 NOOP")
	s.hears("n1 NOOP\r\n")
	s.b.send("n1 OK done")
	s.c.expect("n1 OK done")
	s.c.close()
	return endClientClosed
}

func (s *stage) relayIdle() {
	s.logIn("plain", "joe")
	s.resume = s.leaveAfterNoop
}

func (s *stage) inClientLiteral() {
	if s.large.size > 0 {
		s.inLargeClientLiteral()
	} else {
		s.appends(len(s.first + s.second))
		s.c.write(s.first)
	}
	s.hears("}\r\n" + s.first)
	s.resume = func() endReason { s.finishClientLiteral(s.second); return s.leaveAfterNoop() }
}

// appends begins a command with a literal of that size.
func (s *stage) appends(size int) {
	s.logIn(s.large.listener(), "joe")
	s.c.send("a APPEND x {%d}", size)
	s.hears("}\r\n")
	s.b.send("+ go on")
	s.c.expect(`\+ go on`)
}

// finishClientLiteral sends the rest, and the backend stores it.
func (s *stage) finishClientLiteral(rest string) {
	s.c.write(rest + "\r\n")
	s.hears(s.first + rest + "\r\n")
	s.b.send("a OK stored")
	s.c.expect("a OK stored")
}

func (s *stage) inBackendLiteral() {
	if s.large.size > 0 {
		s.inLargeBackendLiteral()
	} else {
		s.first, s.second = "mmmmm", "mmmmm"
		s.fetches(10)
		s.b.write(s.first)
		s.reads(s.first)
	}
	s.resume = func() endReason {
		s.finishBackendLiteral()
		return s.leaveAfterNoop()
	}
}

// fetches begins the answer to a command, a literal of that size.
func (s *stage) fetches(size int) {
	s.logIn(s.large.listener(), "joe")
	s.c.send("a FETCH 1 BODY[]")
	s.hears("FETCH 1")
	s.b.send("* 1 FETCH (BODY[] {%d}", size)
	s.c.expect(`\* 1 FETCH .*`)
}

func (s *stage) finishBackendLiteral() {
	s.b.write(s.second + ")\r\na OK fetched\r\n")
	s.reads(s.second)
	s.c.expect(`\)`)
	s.c.expect("a OK fetched")
}

// takes reads n bytes at the client.
func (s *stage) takes(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.c.in.ReadByte(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// unanswered has a command whose answer the backend owes, as a stuck worker does.
func (s *stage) unanswered() {
	s.commandPending()
	s.resume = func() endReason {
		s.b.send("w OK at last")
		s.c.expect("w OK at last")
		return s.leaveAfterNoop()
	}
}

func (s *stage) inIdle() {
	s.logIn("plain", "joe")
	s.c.send("i IDLE")
	s.hears("i IDLE\r\n")
	s.b.send("+ idling")
	s.c.expect(`\+ idling`)
	s.resume = func() endReason {
		s.c.send("DONE")
		s.hears("DONE\r\n")
		s.b.send("i OK")
		s.c.expect("i OK")
		return s.leaveAfterNoop()
	}
}

func (s *stage) compressed() {
	s.logIn("compress", "joe")
	s.c.send("z COMPRESS DEFLATE")
	s.hears("COMPRESS DEFLATE\r\n")
	s.b.send("z OK from here on")
	s.c.expect("z OK .*")
	s.c.write("\x01\x02\xff\n")
	s.hears("\x01\x02\xff\n")
	s.b.write("\xfe\x00\n")
	s.takes(3)
	s.resume = s.leaveAfterNoop // any bytes would do
}

func (s *stage) halfClosedByClient() {
	s.commandPending()
	s.c.halfClose()
	s.clock.awaitTimer(s.t, timerHalfClose, s.settings.Limits.HalfClose)
	s.resume = func() endReason {
		s.b.send("w OK at last")
		s.c.expect("w OK at last")
		s.c.expectEOF()
		return endClientClosed
	}
}

// smallQueues lets a client that does not read stop the relay early.
func smallQueues(*stage) []option {
	return []option{func(r *rig) {
		if r.settings.TCP.KeepAliveIdle == 0 {
			r.settings.TCP.KeepAliveIdle = time.Hour // any option bounds what is unsent
		}
	}}
}

// halfClosedByBackend lets the backend say more than the client's kernel takes,
// then close. The proxy's write is stuck, and the FIN is after it.
func (s *stage) halfClosedByBackend() {
	s.logIn("plain", "joe")
	drop(s.t, s.c.raw) // its kernel would take some more, now and then
	sent := s.stuff()
	_ = s.b.raw.CloseWrite()
	s.await("the FIN in the proxy's kernel", func() bool {
		socket, err := wire.AskSocket(s.ses.backend.Raw())
		return err == nil && socket.State == wire.StateCloseWait
	})
	limit := s.clock.Now().Add(stageIdle / 2) // a loop that waits for a processor must not find the idle limit passed
	s.await("the FIN found after a stuck write", func() bool {
		if s.clock.Now().Before(limit) {
			s.clock.advance(sweepEvery)
		}
		return s.clock.pending(timerHalfClose) == 1
	})
	s.resume = func() endReason {
		s.hearAgain()
		got, err := s.c.rest()
		if s.c.skips != "" {
			got, s.c.skips = strings.Replace(got, s.c.skips+"\r\n", "", 1), ""
		}
		if want := strings.Repeat(stuffing, sent/len(stuffing)) + "* BYE " +
			endBackendClosed.byeText() + "\r\n"; got != want || err != nil {
			s.t.Errorf("the client reads %d bytes and %v, want %d, BYE included", len(got), err, len(want))
		}
		s.c.close()
		return endBackendClosed
	}
}

var stuffing = "* OK " + strings.Repeat("stuffing", 255) + "!\r\n"

// stuff sends lines until the proxy's write is stuck for good, and gives how
// many bytes that took. What waits after the write leaves room for a FIN in
// the proxy's window.
func (s *stage) stuff() int {
	s.t.Helper()
	const chunk = 16 << 10
	sent, quiet := 0, time.Now()
	r := &s.session().relay
	down := &r.down
	stuck := func() bool {
		settled(s.ses)
		r.mu.Lock()
		defer r.mu.Unlock()
		return down.busy
	}
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(time.Millisecond) {
		switch {
		case sent-int(down.bytes.Load()) < chunk:
			s.b.write(strings.Repeat(stuffing, chunk/len(stuffing)))
			sent, quiet = sent+chunk, time.Now()
		case !stuck():
			quiet = time.Now()
		case time.Since(quiet) > blocked:
			return sent
		}
	}
	s.t.Fatal("the relay does not get stuck")
	return 0
}

// drainingCommand drains while a command waits for its answer.
func (s *stage) drainingCommand() {
	s.commandPending()
	s.startDrain()
	s.resume = func() endReason {
		s.b.send("w OK at last")
		s.c.expect("w OK at last")
		s.c.expectBye(byeShutdown)
		return endShutdown
	}
}

// drainingLiteral drains inside a literal of the client's.
func (s *stage) drainingLiteral() {
	s.inClientLiteral()
	s.startDrain()
	s.resume = func() endReason {
		s.finishClientLiteral(s.second)
		s.c.expectBye(byeShutdown)
		return endShutdown
	}
}

// startDrain starts a drain and waits until the session knows.
func (s *stage) startDrain() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	s.again = cancel
	s.over = s.drainBeside(ctx)
	r := &s.session().relay
	s.await("the drain", func() bool {
		if s.ses.interrupter.why() != "" {
			return true
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.draining != "" && s.clock.pending(timerDrain) == 1
	})
}

// reloading stands in the relay while one reload follows the other.
func (s *stage) reloading() {
	s.relayIdle()
	stop := make(chan struct{})
	same, next := *s.settings, *s.settings
	next.Hostname = "next.example.test"
	next.Limits.Idle *= 3
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-stop:
				return
			default:
				for _, settings := range []Settings{next, same} { // each generation has its own
					s.server.Reload(&settings)
				}
				time.Sleep(50 * time.Microsecond)
			}
		}
	}()
	s.stopReloads = sync.OnceFunc(func() { close(stop); <-over })
	s.t.Cleanup(s.stopReloads)
}

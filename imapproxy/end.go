package imapproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/loop"
	"imapproxy/backend/timing"
)

// This file and the loop are the only places where goroutines begin and
// panics end. A session is started here, and whatever way it takes it comes
// back here, once.

// start registers a session, and starts its login in its loop. from is the loop that calls it, nil for none.
func (r *registry) start(s *session, from *sessionLoop) {
	r.add(s)
	s.server.metrics.sessions.WithLabelValues(s.listener.Name).Inc()
	s.loop.sessions.Add(1)
	begin := func() { s.loop.Go(func(t *loop.Task) { r.run(s, t) }) }
	if from == s.loop {
		begin()
		return
	}
	s.loop.Post(loop.Func(begin))
}

// run is the frame above the acts. The relay may take the session over, and
// starts another task for finish then.
func (r *registry) run(s *session, t *loop.Task) {
	taken := false
	s.protected("session", func() {
		s.beginLogin(t)
		if err := s.logIn(); err == nil {
			s.enter(phaseRelay)
			if taken = s.relay.run(s); taken {
				s.task = nil
			}
		}
	})
	if !taken {
		r.finish(s)
	}
}

// finish is the last frame of every session.
func (r *registry) finish(s *session) {
	defer r.remove(s)
	defer s.loop.sessions.Add(-1)
	s.end()
}

// protected runs f; a panic in it cuts the session.
func (s *session) protected(where string, f func()) {
	defer s.recovered(where)
	f()
}

// goHelper runs f as another task of the session. A panic in it cuts the session. The session
// does not end before its helpers have. Whoever calls it knows that the session has not ended.
func (s *session) goHelper(name string, f func(t *loop.Task)) *loop.Task {
	s.helpers++
	return s.loop.Go(func(t *loop.Task) {
		defer func() {
			s.helpers--
			if s.task != nil {
				s.loop.Soon(s.task)
			}
		}()
		defer s.recovered(name)
		f(t)
	})
}

// awaitHelpers waits until the session's helpers are over.
func (s *session) awaitHelpers() {
	s.task.Undisturbed(func() {
		for s.helpers > 0 {
			_ = s.task.Pause("helpers", time.Time{}) // there is no limit, and it is not disturbed
		}
	})
}

// after runs f after d, unless the timer is stopped. A panic in it cuts the
// session.
func (s *session) after(name string, d time.Duration, f func()) timing.Timer {
	return s.server.clock.AfterFunc(name, d, func() {
		defer s.recovered("timer")
		fault.Point("session.timer")
		f()
	})
}

// recovered turns a panic into the end of only this session. The panic's
// value may hold what a client sent, so only its type and place are kept.
func (s *session) recovered(where string) {
	if p := recover(); p != nil {
		e := &panicError{where, fmt.Sprintf("%T", p), callers()}
		s.server.metrics.panicked(where)
		s.server.log.Error().Str("session", s.id).Err(e).Msg(
			"panic: a fault of the proxy; this session ends, the others go on")
		s.interrupter.cut(endPanic, e)
	}
}

// panicError describes a panic without its value.
type panicError struct{ where, kind, stack string }

func (e *panicError) Error() string {
	return "panic of type " + e.kind + " in " + e.where + " at " + e.stack
}

// callers names the functions above a panic.
func callers() string {
	var pcs [24]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	var at []string
	for {
		f, more := frames.Next()
		at = append(at, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return strings.Join(at, " < ")
		}
	}
}

// end is act three. The backend connection and the client's are ended side by
// side: neither waits for the other's silence. A panic in a part of it does not
// keep the others from being done.
func (s *session) end() {
	reason, detail := s.interrupter.close()
	phase := s.status.get().phase
	s.enter(phaseEnding)
	s.client.local() // a line about the end may name it, and a closed socket has none
	if s.backend != nil {
		s.release(reason)
	}
	s.protected("farewell", func() { s.farewell(reason) })
	s.awaitHelpers()
	s.server.metrics.ended(s, reason)
	s.protected("report", func() { s.report(reason, detail, phase) })
}

// endConcurrently ends a backend connection concurrently with the session: at the
// end, and where a login was refused and the session goes on.
func (s *session) endConcurrently(conn *backend.Conn) {
	turn := s.nextEnding()
	s.goHelper("ending", func(t *loop.Task) { s.noteEnding(turn, conn.End(t)) })
}

// farewell says BYE where a line may stand, closes, and makes sure that the
// socket is gone: an answer in flight survives (no reset while the client
// still reads), a client that does not close is reset.
func (s *session) farewell(reason endReason) {
	raw := &s.client.raw
	defer s.loop.Remove(raw)
	defer func() { _ = raw.Close() }() // first: the kernel takes it out of the poller
	fault.Point("session.farewell")
	switch reason {
	case endClientAborted, endClientVanished:
		_ = raw.SetLinger(0)
		return
	}
	s.holdClient()
	raw.SetLimit(timerFarewell, s.loop.In(s.interrupter.farewellLimit(s.settings.Limits.Farewell)))
	if s.inMidLine(reason) {
		_ = raw.SetLinger(0)
		return
	}
	s.task.Undisturbed(func() {
		s.sayBye(reason)
		s.closeWrite()
		if _, err := s.task.Discard(raw, maxFarewell); !errors.Is(err, io.EOF) {
			_ = raw.SetLinger(0)
		}
	})
}

// hurry shortens the farewell that runs, or that will. Any goroutine may call it.
func (s *session) hurry() {
	if s.interrupter.hurry() { // the client's; backend connections have their own Hurry
		s.loop.Post(loop.Func(func() {
			s.client.raw.ShortenLimit(s.loop.In(backend.HurryLimit))
			s.task.Run()
		}))
	}
}

// maxFarewell bounds what a client may still send while it is told to go.
const maxFarewell = 1 << 20

// inMidLine reports whether the client is in the middle of a literal or a line.
// A FIN there would make a truncated message look whole to a careless client.
func (s *session) inMidLine(reason endReason) bool {
	if !s.relaying.Load() {
		return false
	}
	return reason != endLogout && !s.relay.atBoundary()
}

func (s *session) sayBye(reason endReason) {
	text := s.listener.dialect().bye(s, reason)
	if !s.speaking || (s.relaying.Load() && !s.relay.mayBye()) {
		return
	}
	words := s.owedReply
	if text != "" {
		words += "* BYE " + text + "\r\n"
	}
	if words != "" {
		_, _ = s.client.conn.Write([]byte(words)) // the client may be gone; it is told if it is not
	}
}

// closeWrite ends our side: close_notify where there is TLS, then FIN.
func (s *session) closeWrite() {
	if t := s.client.tls; t != nil {
		_ = t.CloseWrite()
	}
	_ = s.client.raw.CloseWrite()
}

// periodic runs f at intervals until the server's life is over: in a goroutine
// of its own, which a panic does not end. Its timer and its panics have the name.
func (s *Server) periodic(name string, every time.Duration, f func(now time.Time)) {
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		for s.sleep(s.life, name, every) {
			s.guarded(name, func() { f(s.clock.Now()) })
		}
	}()
}

// Guard runs f as a round of periodic work is run: a panic in it is counted
// and logged under name, and the proxy goes on. It reports whether f came to its
// end.
func (s *Server) Guard(name string, f func()) (whole bool) {
	s.guarded(name, func() { f(); whole = true })
	return whole
}

// goGuarded runs f as a task of a loop.
func (s *Server) goGuarded(f func(context.Context)) {
	s.work.Add(1)
	l := s.loops.next()
	l.Post(loop.Func(func() {
		l.Go(func(t *loop.Task) {
			defer s.work.Done()
			s.guarded("pool", func() { f(t) })
		})
	}))
}

// guarded runs one round of periodic work, or lets one client in; a panic in it
// is counted and logged, and the next round comes.
func (s *Server) guarded(name string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.metrics.panicked(name)
			s.log.Error().Str("work", name).Str("panic", fmt.Sprintf("%T", p)).Str("stack", callers()).
				Msg("panic: a fault of the proxy; the work goes on")
		}
	}()
	f()
}

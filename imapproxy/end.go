package imapproxy

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"imapproxy/backend"
	"imapproxy/backend/fault"
	"imapproxy/backend/lines"
	"imapproxy/backend/timing"
)

// This file and the loop are the only places where goroutines begin and
// panics end. A session is started here, and whatever way it takes it comes
// back here, once.

// start registers a session, then starts its goroutine.
func (r *registry) start(s *session) {
	r.add(s)
	s.server.metrics.sessions.WithLabelValues(s.listener.Name).Inc()
	go r.run(s)
}

// run is the frame above the acts. The relay may take the session over, and
// calls finish then.
func (r *registry) run(s *session) {
	taken := false
	s.protected("session", func() {
		if err := s.logIn(); err == nil {
			s.enter(phaseRelay)
			taken = s.relay.run(s)
		}
	})
	if !taken {
		r.finish(s)
	}
}

// finish is the last frame of every session.
func (r *registry) finish(s *session) {
	defer r.remove(s)
	s.end()
}

// protected runs f in the caller's goroutine; a panic in it cuts the session.
func (s *session) protected(where string, f func()) {
	defer s.recovered(where)
	f()
}

// goHelper runs f concurrently with the session's goroutine and returns a channel that is
// closed when f is over. A panic in it cuts the session. The session does not
// end before its helpers have. Whoever calls it knows that the session has not
// ended.
func (s *session) goHelper(name string, f func()) <-chan struct{} {
	over := make(chan struct{})
	s.helpers.Add(1)
	go func() {
		defer s.helpers.Done()
		defer close(over)
		defer s.recovered(name)
		f()
	}()
	return over
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
	s.endedIn = s.status.get().phase
	s.enter(phaseEnding)
	if s.backend != nil {
		s.release(reason)
	}
	s.protected("farewell", func() { s.farewell(reason) })
	s.helpers.Wait()
	s.server.metrics.ended(s, reason)
	s.protected("report", func() { s.report(reason, detail) })
}

// endConcurrently ends a backend connection concurrently with the session: at the
// end, and where a login was refused and the session goes on.
func (s *session) endConcurrently(conn *backend.Conn) {
	turn := s.nextEnding()
	s.goHelper("ending", func() { s.noteEnding(turn, conn.End()) })
}

// farewell says BYE where a line may stand, closes, and makes sure that the
// socket is gone: an answer in flight survives (no reset while the client
// still reads), a client that does not close is reset.
func (s *session) farewell(reason endReason) {
	raw := &s.client.raw
	defer func() { _ = raw.Close() }()
	fault.Point("session.farewell")
	switch reason {
	case endClientAborted, endClientVanished:
		_ = raw.SetLinger(0)
		return
	}
	s.interrupter.bound(raw, s.settings.Limits.Farewell)
	if s.inMidLine(reason) {
		_ = raw.SetLinger(0)
		return
	}
	s.sayBye(reason)
	s.closeWrite()
	if _, err := io.CopyN(io.Discard, raw, maxFarewell); !errors.Is(err, io.EOF) {
		_ = raw.SetLinger(0)
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
	if t, ok := s.client.conn.(interface{ CloseWrite() error }); ok && s.client.state != nil {
		_ = t.CloseWrite()
	}
	_ = s.client.raw.CloseWrite()
}

// watch reads ahead from the client while the session's goroutine waits for
// another party, so that a client that leaves is noticed at once. What it
// reads is kept for the relay. The returned function stops it.
func (s *session) watch() (stop func()) {
	over := s.goHelper("watch", func() {
		for {
			fault.Point("watch.read")
			err := s.client.in.Fill(maxPipelined)
			if errors.Is(err, lines.ErrTooLong) || (err != nil && isWoken(err)) {
				return // full: back-pressure; or stopped
			}
			if err != nil {
				s.interrupter.cut(clientReason(err), err)
				return
			}
		}
	})
	return func() {
		s.interrupter.wake(&s.client.raw)
		<-over
		s.interrupter.clearReadDeadline(&s.client.raw)
	}
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

// goGuarded runs f in a goroutine of the server's.
func (s *Server) goGuarded(f func()) {
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		s.guarded("pool", f)
	}()
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

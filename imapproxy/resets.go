package imapproxy

import (
	"sync"
	"time"

	"imapproxy/backend"
)

// When a backend counts as one that does not close: a share of its endings
// were resets, over enough of them to mean something. A connection that was cut
// says nothing of it.
const (
	resetWindow  = time.Hour
	resetEndings = 20
	resetShare   = 10 // percent
)

// doesNotClose says what many resets mean.
const doesNotClose = "this backend does not close its connections: it was asked to, and they had to be reset. " +
	"Its workers are stuck or poll, or it forgets close() after the end of its input; each reset may have left a " +
	"descriptor open there. See docs/close-wait.md"

// notAccepted is said of a backend whose offer does not hold.
const notAccepted = `this backend does not accept what it offers; write what it accepts as the target's "mechanism"`

// maxWatched bounds the backends that are watched: an auth server may name any.
const maxWatched = 1000

// watched is a backend: a target may have several, of which one leaks.
type watched struct{ target, addr string }

// resetWatch counts, per backend, how connections ended in the current window.
type resetWatch struct {
	mu       sync.Mutex // protects backends; nothing blocks under it
	backends map[watched]*endings
}

type endings struct {
	begun  time.Time
	total  int
	resets int
	warned bool
}

// note counts an ending and reports whether it is time to warn, with the counts.
func (w *resetWatch) note(who watched, e backend.Ending, now time.Time) (total, resets int, warn bool) {
	if e == backend.EndCut {
		return 0, 0, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.backends[who]
	if t == nil || now.Sub(t.begun) >= resetWindow {
		if w.backends == nil || len(w.backends) >= maxWatched {
			w.backends = map[watched]*endings{}
		}
		t = &endings{begun: now}
		w.backends[who] = t
	}
	t.total++
	if e == backend.EndReset {
		t.resets++
	}
	warn = !t.warned && t.total >= resetEndings && t.resets*100 >= t.total*resetShare
	t.warned = t.warned || warn
	return t.total, t.resets, warn
}

// observe takes part in what the dialler does.
func (s *Server) observe(d *backend.Dialer) {
	d.Dialled = func(t *backend.Target, result backend.Kind, took time.Duration) {
		s.metrics.dialled(t.Name, result, took)
	}
	d.Skipped = func(t *backend.Target, failed *backend.Error) {
		s.log.Warn().Err(failed).Str("target", t.Name).Str("backend", failed.Addr).
			Msg("an address of this target failed; a later one answered")
	}
	d.Fallback = func(t *backend.Target, what string) {
		s.log.Warn().Str("target", t.Name).Str("mechanism", what).Msg(notAccepted)
	}
	d.Ended = func(c *backend.Conn, e backend.Ending) {
		s.metrics.backendEnded(c.Target.Name, e)
		if total, resets, warn := s.resets.note(watched{c.Target.Name, c.Addr}, e, s.clock.Now()); warn {
			s.log.Warn().Str("target", c.Target.Name).Str("backend", c.Addr).Int("endings", total).Int("resets",
				resets).Msg(doesNotClose)
		}
	}
}

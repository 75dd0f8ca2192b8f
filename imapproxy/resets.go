package imapproxy

import (
	"sync"
	"time"

	"imapproxy/backend"
)

// When a backend counts as one that does not close: a share of its endings
// were resets, over enough of them to mean something.
const (
	resetWindow  = time.Hour
	resetEndings = 20
	resetShare   = 10 // percent
)

// resetWatch counts, per target, how connections ended in the current window.
type resetWatch struct {
	mu      sync.Mutex // protects targets; nothing blocks under it
	targets map[string]*endings
}

type endings struct {
	begun  time.Time
	total  int
	resets int
	warned bool
}

// note counts an ending and tells whether it is time to warn, with the counts.
func (w *resetWatch) note(target string, e backend.Ending, now time.Time) (total, resets int, warn bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.targets == nil {
		w.targets = map[string]*endings{}
	}
	t := w.targets[target]
	if t == nil || now.Sub(t.begun) >= resetWindow {
		t = &endings{begun: now}
		w.targets[target] = t
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
		if failed.Kind != backend.KindBackedOff {
			s.log.Warn().Err(failed).Str("target", t.Name).Str("backend", failed.Addr).
				Msg("an address of this target failed; a later one answered")
		}
	}
	d.Ended = func(t *backend.Target, e backend.Ending) {
		s.metrics.backendEnded(t.Name, e)
		if total, resets, warn := s.resets.note(t.Name, e, s.clock.Now()); warn {
			s.log.Warn().Str("target", t.Name).Int("endings", total).Int("resets", resets).
				Msg("this backend does not close its connections: they had to be reset. Its workers are stuck or " +
					"poll, or it forgets close() after the end of its input; each reset may have left a descriptor " +
					"open there. See docs/close-wait.md")
		}
	}
}

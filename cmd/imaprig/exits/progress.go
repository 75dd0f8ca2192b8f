package exits

import (
	"fmt"
	"io"
	"sync"
	"time"

	"imapproxy/cmd/imaprig/term"
)

// progress tells how far a run is and how long it takes still: on a terminal in one line that is drawn again and again,
// elsewhere in a line for each cell.
type progress struct {
	screen term.Screen
	name   string // of the proxy
	cells  int
	last   time.Duration // from a cell's end to its last count

	mu    sync.Mutex // protects what follows
	began time.Time
	done  int       // cells driven
	ended time.Time // of the last of them
}

const firstGuess = 2 * time.Second // for a cell, before one was measured

func newProgress(w io.Writer, name string, cells int, last time.Duration) *progress {
	return &progress{screen: term.NewScreen(w), name: name, cells: cells, last: last, began: time.Now()}
}

// driven notes that a cell's sessions have ended.
func (p *progress) driven(r *cellResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.ended = time.Now()
	if p.screen.Terminal == nil {
		fmt.Fprintf(p.screen.W, "%s %d/%d %v: %s; %s\n", p.name, p.done, p.cells, r.cell, r.outcome(), p.left(p.ended))
	}
}

// outcome is in a few words what became of a cell's sessions.
func (r *cellResult) outcome() string {
	switch {
	case r.NotRun != "":
		return "not run: " + r.NotRun
	case r.Problem != "":
		return fmt.Sprintf("%d of %d sessions: %s", r.Opened, r.Sessions, r.Problem)
	}
	return fmt.Sprintf("%d sessions", r.Opened)
}

// left estimates the rest of the run; the lock is held.
func (p *progress) left(now time.Time) string {
	each := firstGuess
	if p.done > 0 {
		each = p.ended.Sub(p.began) / time.Duration(p.done)
	}
	left := p.last + each*time.Duration(p.cells-p.done)
	if p.done > 0 {
		left -= now.Sub(p.ended)
	}
	return fmt.Sprintf("about %v left", max(left, 0).Round(time.Second))
}

// tick draws the line anew.
func (p *progress) tick(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.screen.Terminal == nil {
		return
	}
	what := fmt.Sprintf("cell %d of %d", min(p.done+1, p.cells), p.cells)
	if p.done == p.cells {
		what = fmt.Sprintf("%d cells are run, now their sockets are watched", p.cells)
	}
	fmt.Fprintf(p.screen.W, "\r\x1b[K%s: %s, %s", p.name, what, p.left(now))
}

// over ends the line.
func (p *progress) over() {
	if p.screen.Terminal != nil {
		fmt.Fprint(p.screen.W, "\r\x1b[K")
	}
}

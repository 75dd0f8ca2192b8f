package exits

import (
	"fmt"
	"io"
	"sync"
	"time"

	"imapproxy/cmd/imaprig/term"
)

// progress shows how far the run of a proxy is and how much longer it takes: on a terminal in one line that is drawn
// again and again, elsewhere in a line for each cell.
type progress struct {
	*term.Progress
	cells int
	last  time.Duration // from a cell's end to its last count

	mu    sync.Mutex // protects what follows
	began time.Time
	done  int       // cells driven
	ended time.Time // of the last of them
}

const firstGuess = 2 * time.Second // for a cell, before one was measured

func newProgress(w io.Writer, name string, cells int, last time.Duration) *progress {
	return &progress{Progress: term.NewProgress(w, name), cells: cells, last: last, began: time.Now()}
}

// driven notes that a cell's sessions have ended.
func (p *progress) driven(r *cellResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.ended = time.Now()
	p.Line("%d/%d %v: %s; %s", p.done, p.cells, r.cell, r.outcome(), p.left(p.ended))
}

// outcome returns a few words on how a cell's sessions went.
func (r *cellResult) outcome() string {
	switch {
	case r.NotRun != "":
		return "not run: " + r.NotRun
	case r.Problem != "":
		return fmt.Sprintf("%d of %d sessions: %s", r.Opened, r.Sessions, r.Problem)
	}
	return fmt.Sprintf("%d sessions", r.Opened)
}

// left returns an estimate of the rest of the run; the lock is held.
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
func (p *progress) tick(now time.Time) { p.Draw("%s", p.text(now)) }

// text returns how far the run is.
func (p *progress) text(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := fmt.Sprintf("cell %d of %d", min(p.done+1, p.cells), p.cells)
	if p.done == p.cells {
		what = fmt.Sprintf("%d cells are run, now their sockets are watched", p.cells)
	}
	return fmt.Sprintf("%s, %s", what, p.left(now))
}

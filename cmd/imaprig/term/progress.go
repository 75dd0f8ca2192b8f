package term

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// How often Say shows something.
const (
	sayPeriod  = 200 * time.Millisecond // on a terminal
	linePeriod = 10 * time.Second       // elsewhere
)

// clearLine goes to the begin of a terminal's line and clears it.
const clearLine = "\r\x1b[K"

// Progress shows what a run is doing: on a terminal in one line that is drawn again and again, elsewhere in lines. Its
// methods can be called concurrently.
type Progress struct {
	w        io.Writer
	terminal bool
	name     string

	mu   sync.Mutex // protects last, and orders what is written
	last time.Time  // of what Say has shown
}

// NewProgress returns the progress of a run of this name, which is shown before each text.
func NewProgress(w io.Writer, name string) *Progress {
	return &Progress{w: w, terminal: IsTerminal(w), name: name, last: time.Now()}
}

// Say shows a text, unless it has just shown another.
func (p *Progress) Say(format string, args ...any) {
	period := linePeriod
	if p.terminal {
		period = sayPeriod
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < period {
		return
	}
	p.last = time.Now()
	text := fmt.Sprintf("%s: %s", p.name, fmt.Sprintf(format, args...))
	if p.terminal {
		fmt.Fprint(p.w, clearLine, text)
		return
	}
	fmt.Fprintln(p.w, text)
}

// Draw shows a text on a terminal, and nothing elsewhere.
func (p *Progress) Draw(format string, args ...any) {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%s%s: %s", clearLine, p.name, fmt.Sprintf(format, args...))
}

// Line prints a line, and nothing on a terminal.
func (p *Progress) Line(format string, args ...any) {
	if p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%s %s\n", p.name, fmt.Sprintf(format, args...))
}

// End clears the line on a terminal.
func (p *Progress) End() {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprint(p.w, clearLine)
}

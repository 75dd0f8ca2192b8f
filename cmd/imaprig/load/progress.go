package load

import (
	"fmt"
	"io"
	"sync"
	"time"

	"imapproxy/cmd/imaprig/term"
)

const (
	progressPeriod = 200 * time.Millisecond // between two drawings of the line on a terminal
	progressLines  = 10 * time.Second       // between two lines elsewhere
)

// progress tells what a load is doing: on a terminal in one line that is drawn again and again.
type progress struct {
	screen term.Screen
	name   string

	mu   sync.Mutex // protects last
	last time.Time
}

func newProgress(w io.Writer, name string) *progress {
	return &progress{screen: term.NewScreen(w), name: name, last: time.Now()}
}

// say shows a text, unless the last one is too young.
func (p *progress) say(format string, args ...any) {
	period := progressLines
	if p.screen.Terminal != nil {
		period = progressPeriod
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < period {
		return
	}
	p.last = time.Now()
	text := p.name + ": " + fmt.Sprintf(format, args...)
	if p.screen.Terminal != nil {
		fmt.Fprintf(p.screen.W, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.screen.W, text)
}

// measuring shows the rate between two samples.
func (p *progress) measuring(r *run, a, b sample) {
	seconds := max(b.Seconds-a.Seconds, 1e-3)
	text := fmt.Sprintf("%.1f of %.1f s, %.0f %s/s", b.Seconds, r.opts.Duration.Seconds(), float64(b.Operations-a.Operations)/seconds, r.meter.names[0])
	if b.Bytes > 0 {
		text += fmt.Sprintf(", %s/s", amountText(float64(b.Bytes-a.Bytes)/seconds))
	}
	p.say("%s, p99 %s%s", text, microsText(microseconds(r.meter.times[0].quantile(0.99))), r.errorsSoFar())
}

// over ends the line.
func (p *progress) over() {
	if p.screen.Terminal != nil {
		fmt.Fprint(p.screen.W, "\r\x1b[K")
	}
}

package exits

import (
	"fmt"
	"html/template"
	"strings"
)

// The charts of the answers, in SVG units.
const (
	answersWidth  = 640
	answersHeight = 150
	answersLeft   = 96 // for the labels, which are larger on a narrow screen
	answersBottom = 30
	answersPad    = 8
)

// shades are the classes of the proxies' lines, in their order; a run has no more proxies.
func shades(i int) string { return fmt.Sprintf("p%d", i%6) }

// answersCharts draws how long the answers took over the run: one chart for each command, a line for each proxy.
func answersCharts(r *runResult) template.HTML {
	var b strings.Builder
	commands := []struct {
		name string
		of   func(*answers) latency
	}{{"LOGIN", func(a *answers) latency { return a.Login }}, {"SELECT", func(a *answers) latency { return a.Select }}}
	var lastSecond, most float64
	for _, p := range r.Proxies {
		for _, c := range p.Cells {
			if c.Answers != nil {
				lastSecond = max(lastSecond, c.Answers.Seconds)
				most = max(most, c.Answers.Login.Most, c.Answers.Select.Most)
			}
		}
	}
	if most == 0 {
		return ""
	}
	for i, command := range commands {
		chart := answersChart{lastSecond: max(lastSecond, 1), most: most, below: i == len(commands)-1}
		fmt.Fprintf(&b, `<figure><figcaption>%s</figcaption>%s</figure>`, command.name, chart.draw(r, command.of))
	}
	return template.HTML(b.String()) // numbers and names of ours only
}

// answersChart is one of them. All have the same scales; the last one has the labels of the time below it.
type answersChart struct {
	lastSecond, most float64
	below            bool
}

func (a answersChart) x(seconds float64) float64 {
	return answersLeft + seconds/a.lastSecond*(answersWidth-answersLeft-answersPad)
}

func (a answersChart) y(ms float64) float64 {
	return answersHeight - answersPad - ms/a.most*(answersHeight-2*answersPad)
}

func (a answersChart) draw(r *runResult, of func(*answers) latency) string {
	height := answersHeight
	if a.below {
		height += answersBottom
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="answers" viewBox="0 0 %d %d" role="img" aria-label="milliseconds over the run">`,
		answersWidth, height)
	for _, ms := range []float64{0, a.most} {
		fmt.Fprintf(&b, `<line class="axis" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`, answersLeft, a.y(ms),
			answersWidth-answersPad, a.y(ms))
		fmt.Fprintf(&b, `<text class="right" x="%d" y="%.1f">%.0f ms</text>`, answersLeft-6, a.y(ms)+4, ms)
	}
	if a.below {
		fmt.Fprintf(&b, `<text x="%d" y="%d">0 s</text>`, answersLeft, height-4)
		fmt.Fprintf(&b, `<text class="right" x="%d" y="%d">%.0f s of the run</text>`, answersWidth-answersPad, height-4,
			a.lastSecond)
	}
	for i := range r.Proxies {
		a.line(&b, &r.Proxies[i], shades(i), of)
	}
	b.WriteString(`</svg>`)
	return b.String()
}

// line draws the median of each cell, and a bar from there to the slowest.
func (a answersChart) line(b *strings.Builder, p *proxyResult, class string, of func(*answers) latency) {
	var points strings.Builder
	for _, c := range p.Cells {
		if c.Answers == nil || of(c.Answers).Count == 0 {
			continue
		}
		l, x := of(c.Answers), a.x(c.Answers.Seconds)
		fmt.Fprintf(&points, "%.1f,%.1f ", x, a.y(l.Median))
		fmt.Fprintf(b, `<line class="%s most" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x, a.y(l.Median), x,
			a.y(l.Most))
	}
	fmt.Fprintf(b, `<polyline class="%s" points="%s"/>`, class, points.String())
}

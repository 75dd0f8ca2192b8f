package exits

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"imapproxy/backend/wire"
)

//go:embed report.html
var reportPage string

// The chart of one cell, in SVG units.
const (
	chartWidth  = 220
	chartHeight = 44
	chartPad    = 3
)

// writeHTML prints the result as one page that needs nothing else.
func writeHTML(w io.Writer, r *runResult) error {
	page, err := template.New("report").Funcs(template.FuncMap{
		"chart": chart, "dash": orDash, "curves": curves,
		"established": func(c count) int { return c.Backend[wire.StateEstablished].Sockets },
		"tally":       func(p proxyResult) string { return tallyText(&p) },
		"limit":       func(c *cellResult) float64 { return whenGone(c.cell).Seconds() },
		"text":        func(c *cellResult) string { return endingOf(c.cell).text },
		"over":        func(c count, r *cellResult) bool { return c.Planned >= whenGone(r.cell).Seconds() },
		"targets":     targets,
	}).Parse(reportPage)
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	if err := page.Execute(w, r); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func tallyText(p *proxyResult) string {
	met, missed, notRun := p.tally()
	return fmt.Sprintf("%d cells: every target holds in %d, missed in %d, not run %d", len(p.Cells), met, missed,
		notRun)
}

// curve is a line of the chart.
type curve struct {
	Name  string // its class in the page's style, too
	Text  string
	value func(point) int
}

func curves() []curve {
	return []curve{
		{"java", "descriptors in Java", func(p point) int { return p.JavaFDs }},
		{"proxy", "descriptors in the proxy", func(p point) int { return max(p.ProxyFDs, 0) }},
		{"est", "ESTABLISHED at the backend", func(p point) int { return p.Established }},
		{"cw", "CLOSE_WAIT at the backend", func(p point) int { return p.CloseWait }},
	}
}

// chart draws a cell's counts over time as SVG. The dashed line is when the proxy's part must be done.
func chart(c *cellResult) template.HTML {
	if len(c.Series) == 0 {
		return ""
	}
	last, top := c.Series[len(c.Series)-1].Seconds, c.Sessions
	for _, p := range c.Series {
		for _, line := range curves() {
			top = max(top, line.value(p))
		}
	}
	x := func(seconds float64) float64 { return chartPad + seconds/max(last, 1)*(chartWidth-2*chartPad) }
	y := func(n int) float64 {
		return chartHeight - chartPad - float64(n)/float64(max(top, 1))*(chartHeight-2*chartPad)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%d at most, over %.0f seconds">`, chartWidth,
		chartHeight, top, last)
	fmt.Fprintf(&b, `<line class="axis" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`, chartPad, y(0), chartWidth-chartPad,
		y(0))
	if limit := whenGone(c.cell).Seconds(); limit <= last {
		fmt.Fprintf(&b, `<line class="limit" x1="%.1f" y1="0" x2="%.1f" y2="%d"/>`, x(limit), x(limit), chartHeight)
	}
	for _, line := range curves() {
		fmt.Fprintf(&b, `<polyline class="%s" points="`, line.Name)
		for _, p := range c.Series {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(p.Seconds), y(line.value(p)))
		}
		b.WriteString(`"/>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // numbers and names of ours only
}

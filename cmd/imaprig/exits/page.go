package exits

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
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
		"chart": chart, "dash": orDash, "curves": curves, "tally": tallyText, "upper": upperFirst, "times": times,
		"headline":     func() string { return headline(r.Verdicts) },
		"recipes":      func() []recipe { return recipes(r, r.Verdicts) },
		"proxyVerdict": func(p *proxyResult) string { return p.proxyVerdict(r) },
		"causes":       func(p *proxyResult) []causeGroup { return p.causes(r.Verdicts) },
		"decisive":     func() []decisiveRow { return decisiveRows(r) },
		"answers":      func() template.HTML { return answersCharts(r) },
		"last":         func() float64 { return slices.Max(r.After) },
		"text":         func(c *cellResult) string { return endingOf(c.cell).text },
		"noFault":      noFault, "about": r.about, "targets": targets, "wholeRun": func() string { return wholeRun },
		"countsLegend": func() string { return countsLegend }, "shades": shades,
	}).Parse(reportPage)
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	if err := page.Execute(w, r); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// decisiveRow is a cell on which a verdict rests, with one result for each proxy.
type decisiveRow struct {
	cell
	Results []*cellResult
}

func decisiveRows(r *runResult) []decisiveRow {
	var rows []decisiveRow
	for i, c := range r.Proxies[0].Cells {
		if !r.isDecisive(c.cell) {
			continue
		}
		row := decisiveRow{cell: c.cell}
		for _, p := range r.Proxies {
			row.Results = append(row.Results, p.Cells[i])
		}
		rows = append(rows, row)
	}
	return rows
}

// Last returns the last count, nil where there is none.
func (c *cellResult) Last() *count {
	if len(c.Counts) == 0 {
		return nil
	}
	return &c.Counts[len(c.Counts)-1]
}

func tallyText(p *proxyResult) string {
	met, missed, notRun := p.tally()
	if p.Direct {
		return fmt.Sprintf("%d cells, no proxy to judge: sessions not as planned in %d, not run %d", len(p.Cells),
			missed, notRun)
	}
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
		{"java", "descriptors in the server", func(p point) int { return max(p.JavaFDs, 0) }},
		{"proxy", "descriptors in the proxy", func(p point) int { return max(p.ProxyFDs, 0) }},
		{"est", "ESTABLISHED at the server", func(p point) int { return p.Established }},
		{"cw", "CLOSE_WAIT at the server", func(p point) int { return p.CloseWait }},
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
	fmt.Fprintf(&b,
		`<svg class="cell" viewBox="0 0 %d %d" role="img" aria-label="%d at most, over %.0f seconds">`, chartWidth,
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

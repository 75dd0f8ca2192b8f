package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"

	"imapproxy/backend/printable"
)

//go:embed load.html
var page string

// The charts of a load, in SVG units.
const (
	chartWidth  = 720
	chartHeight = 180
	chartLeft   = 60 // for the figures of the axis
	chartBelow  = 22
	chartTop    = 10
)

// writeHTML prints the result as one page that needs nothing else.
func writeHTML(w io.Writer, r *Result) error {
	page, err := template.New("load").Funcs(template.FuncMap{
		"bars": histogramChart, "rates": rateChart, "micros": microsText,
		"printable": func(s string) string { return printable.Text(s, 0) },
		"title":     (*Result).title, "summary": (*Result).summary, "errorSum": (*Result).errorSum,
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	if err := page.Execute(w, r); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// chart draws into the frame that all charts of the page share.
type chart struct {
	b          strings.Builder
	maxX, maxY float64
}

func newChart(label string, maxX, maxY float64, unit func(float64) string) *chart {
	c := &chart{maxX: max(maxX, 1e-9), maxY: max(maxY, 1e-9)}
	fmt.Fprintf(&c.b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight,
		template.HTMLEscapeString(label))
	for _, share := range []float64{0, 0.5, 1} {
		y := c.y(share * c.maxY)
		fmt.Fprintf(&c.b, `<line class="axis" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`, chartLeft, y, chartWidth, y)
		fmt.Fprintf(&c.b, `<text class="y" x="%d" y="%.1f">%s</text>`, chartLeft-6, y+4,
			template.HTMLEscapeString(unit(share*c.maxY)))
	}
	return c
}

func (c *chart) x(v float64) float64 {
	return chartLeft + v/c.maxX*(chartWidth-chartLeft)
}

func (c *chart) y(v float64) float64 {
	return chartTop + (1-v/c.maxY)*(chartHeight-chartBelow-chartTop)
}

// mark writes a figure under the axis.
func (c *chart) mark(x float64, text string) {
	fmt.Fprintf(&c.b, `<text class="x" x="%.1f" y="%d">%s</text>`, c.x(x), chartHeight-5,
		template.HTMLEscapeString(text))
}

func (c *chart) html() template.HTML {
	c.b.WriteString("</svg>")
	return template.HTML(c.b.String()) // numbers and words of ours only
}

// histogramChart returns a chart with a column for each bar. Their bounds grow by a factor, so columns are of one
// width.
func histogramChart(r *Result) template.HTML {
	if len(r.Histogram) == 0 {
		return ""
	}
	var top uint64
	for _, b := range r.Histogram {
		top = max(top, b.Count)
	}
	n := len(r.Histogram)
	c := newChart("how long a "+r.Operations[0].Name+" took", float64(n), float64(top),
		func(v float64) string { return fmt.Sprintf("%.0f", v) })
	every := 1 + n/12
	for i, b := range r.Histogram {
		y := c.y(float64(b.Count))
		fmt.Fprintf(&c.b, `<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f">`+
			`<title>%s to %s: %d</title></rect>`,
			c.x(float64(i))+0.5, y, math.Max(c.x(1)-c.x(0)-1,
				0.5), c.y(0)-y, microsText(b.FromUS), microsText(b.ToUS), b.Count)
		if i%every == 0 {
			c.mark(float64(i), microsText(b.FromUS))
		}
	}
	return c.html()
}

// rateChart returns a chart of operations a second over time, or of bytes with the second argument.
func rateChart(r *Result, bytes bool) template.HTML {
	value := func(s sample) float64 { return float64(s.Operations) }
	unit := func(v float64) string { return fmt.Sprintf("%.0f/s", v) }
	if bytes {
		value = func(s sample) float64 { return float64(s.Bytes) }
		unit = func(v float64) string { return amountText(v) + "/s" }
	}
	if len(r.Series) < 2 {
		return ""
	}
	rate := func(i int) float64 {
		a, b := r.Series[i-1], r.Series[i]
		return (value(b) - value(a)) / max(b.Seconds-a.Seconds, 1e-3)
	}
	points := r.Series[:len(r.Series)-1] // the last stretch may be too short for a rate
	if len(points) < 2 {
		points = r.Series
	}
	top, last := 0.0, points[len(points)-1].Seconds
	for i := 1; i < len(points); i++ {
		top = max(top, rate(i))
	}
	c := newChart("rate over time", last, top, unit)
	c.b.WriteString(`<polyline class="rate" points="`)
	for i := 1; i < len(points); i++ {
		fmt.Fprintf(&c.b, "%.1f,%.1f ", c.x(points[i].Seconds), c.y(rate(i)))
	}
	c.b.WriteString(`"/>`)
	for i := 1; i < len(points); i++ {
		if points[i].Errors > points[i-1].Errors {
			fmt.Fprintf(&c.b, `<circle class="error" cx="%.1f" cy="%.1f" r="4"><title>%d errors</title></circle>`,
				c.x(points[i].Seconds), c.y(rate(i)), points[i].Errors-points[i-1].Errors)
		}
	}
	for i := range 5 {
		c.mark(last*float64(i)/5, fmt.Sprintf("%.1f s", last*float64(i)/5))
	}
	return c.html()
}

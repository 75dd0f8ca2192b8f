package load

import (
	"fmt"
	"strings"

	"imapproxy/backend/printable"
	"imapproxy/cmd/imaprig/term"
)

// title returns one line that says what was run.
func (r *Result) title() string {
	return fmt.Sprintf("%s, %s, TLS %s, %d sessions at once, measured for %.1f s", r.Mode, r.Proxy, r.TLS, r.Sessions,
		r.Seconds)
}

// table returns the result as text. What went wrong comes last, where it is seen.
func (r *Result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.title())
	operations := term.NewTable("OPERATION", "COUNT", "PER SECOND", "P50", "P90", "P99", "P99.9", "MAX")
	for _, o := range r.Operations {
		operations.Add(o.Name, o.Count, fmt.Sprintf("%.1f", o.PerSecond),
			microsText(o.P50), microsText(o.P90), microsText(o.P99), microsText(o.P999), microsText(o.Max))
	}
	fmt.Fprintln(&b, operations)
	if len(r.Scale) > 0 {
		findings := term.NewTable("FINDING", "VALUE", "SHOULD BE", "")
		for _, f := range r.Scale {
			findings.Add(f.Name, f.Text(), f.Limit, f.Verdict())
		}
		fmt.Fprintln(&b, findings)
	}
	for _, line := range r.summary() {
		fmt.Fprintln(&b, line)
	}
	r.errorTable(&b)
	return b.String()
}

func (r *Result) errorTable(b *strings.Builder) {
	if len(r.Errors) == 0 {
		fmt.Fprintln(b, "errors: none")
		return
	}
	fmt.Fprintf(b, "\nERRORS: %d\n", r.errorSum())
	errs := term.NewTable("KIND", "COUNT", "THE FIRST")
	for _, e := range r.Errors {
		errs.Add(printable.Text(e.Kind, 0), e.Count, printable.Text(e.First, 0))
	}
	b.WriteString(errs.String())
}

func (r *Result) errorSum() (n int) {
	for _, e := range r.Errors {
		n += e.Count
	}
	return n
}

// Text returns the value with its unit.
func (f ScaleFigure) Text() string {
	if f.Unit == "µs" {
		return microsText(f.Value)
	}
	digits := 2
	if f.Unit == "" || f.Value >= 1000 {
		digits = 0
	}
	return strings.TrimSpace(fmt.Sprintf("%.*f %s", digits, f.Value, f.Unit))
}

// Verdict returns "", "met" or "MISSED".
func (f ScaleFigure) Verdict() string {
	switch {
	case f.Limit == "":
		return ""
	case f.Met:
		return "met"
	}
	return "MISSED"
}

// microsText returns a time in three digits and a unit.
func microsText(us float64) string {
	switch {
	case us < 10_000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 10_000_000:
		return fmt.Sprintf("%.1f ms", us/1e3)
	}
	return fmt.Sprintf("%.1f s", us/1e6)
}

// amountText returns a number of bytes, in GB (10^9), MB or kB.
func amountText(bytes float64) string {
	switch {
	case bytes < 1e6:
		return fmt.Sprintf("%.1f kB", bytes/1e3)
	case bytes < 1e8:
		return fmt.Sprintf("%.2f MB", bytes/1e6)
	}
	return fmt.Sprintf("%.2f GB", bytes/1e9)
}

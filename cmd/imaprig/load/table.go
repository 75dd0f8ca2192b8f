package load

import (
	"fmt"
	"io"
	"strings"

	"imapproxy/cmd/imaprig/term"
)

// title is one line that says what was run.
func (r *Result) title() string {
	return fmt.Sprintf("%s, %s, TLS %s, %d sessions at once, measured for %.1f s", r.Mode, r.Proxy, r.TLS, r.Sessions, r.Seconds)
}

// table is the result as text. What went wrong comes last, where it is seen.
func (r *Result) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.title())
	term.WriteTable(&b, func(w io.Writer) {
		fmt.Fprintln(w, "OPERATION\tCOUNT\tPER SECOND\tP50\tP90\tP99\tP99.9\tMAX")
		for _, o := range r.Operations {
			fmt.Fprintf(w, "%s\t%d\t%.1f", o.Name, o.Count, o.PerSecond)
			for _, us := range []float64{o.P50, o.P90, o.P99, o.P999, o.Max} {
				fmt.Fprintf(w, "\t%s", microsText(us))
			}
			fmt.Fprintln(w)
		}
	})
	fmt.Fprintln(&b)
	if len(r.Scale) > 0 {
		term.WriteTable(&b, func(w io.Writer) {
			fmt.Fprintln(w, "FINDING\tVALUE\tSHOULD BE\t")
			for _, f := range r.Scale {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Name, f.Text(), f.Limit, f.Verdict())
			}
		})
		fmt.Fprintln(&b)
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
	term.WriteTable(b, func(w io.Writer) {
		fmt.Fprintln(w, "KIND\tCOUNT\tTHE FIRST")
		for _, e := range r.Errors {
			fmt.Fprintf(w, "%s\t%d\t%s\n", term.Printable(e.Kind), e.Count, term.Printable(e.First))
		}
	})
}

func (r *Result) errorSum() (n int) {
	for _, e := range r.Errors {
		n += e.Count
	}
	return n
}

// Text is the value with its unit.
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

// Verdict is "", "met" or "MISSED".
func (f ScaleFigure) Verdict() string {
	switch {
	case f.Limit == "":
		return ""
	case f.Met:
		return "met"
	}
	return "MISSED"
}

// microsText is a time in three digits and a unit.
func microsText(us float64) string {
	switch {
	case us < 10_000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 10_000_000:
		return fmt.Sprintf("%.1f ms", us/1e3)
	}
	return fmt.Sprintf("%.1f s", us/1e6)
}

// amountText is a number of bytes, in GB (10^9) or MB.
func amountText(bytes float64) string {
	if bytes < 1e8 {
		return fmt.Sprintf("%.2f MB", bytes/1e6)
	}
	return fmt.Sprintf("%.2f GB", bytes/1e9)
}

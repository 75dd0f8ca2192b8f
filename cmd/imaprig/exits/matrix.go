package exits

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/term"
)

// proxyTable prints every cell of a proxy. What is counted several times is written once where it did not change.
func proxyTable(out *strings.Builder, r *runResult, p *proxyResult) {
	fmt.Fprintf(out, "%s, %d sessions a cell, %.0f s\n", p.title(), r.Sessions, p.Seconds)
	if p.Settings != "" {
		fmt.Fprintf(out, "set: %s\n", p.Settings)
	}
	fmt.Fprintf(out, "Counted %s after the clients' end; one figure where all counts are the same.\n%s\n",
		times(r.After),
		tableLegend)
	t := term.NewTable("MODE", "ENDING", "SESSIONS", "CLOSE_WAIT", "ESTABLISHED", "PROXY", "SERVER", "TARGETS")
	for _, c := range p.Cells {
		t.AddRow([]string{c.Mode, c.Ending, c.sessions(), series(c, count.CloseWait),
			series(c, func(at count) string { return fmt.Sprint(at.Established()) }),
			series(c, func(at count) string { return orDash(at.ProxyFDs) }),
			series(c, func(at count) string { return orDash(at.JavaFDs) }), c.Verdict()})
	}
	out.WriteString(t.String())
	notes(out, r, p)
}

const tableLegend = "CLOSE_WAIT (q: Recv-Q, the bytes unread), ESTABLISHED: sockets of the server; PROXY, SERVER: " +
	"descriptors left there\n"

// times writes when was counted, such as "1, 10 and 70 s".
func times(after []float64) string {
	var texts []string
	for _, s := range after {
		texts = append(texts, fmt.Sprintf("%g", s))
	}
	if n := len(texts); n > 1 {
		return strings.Join(texts[:n-1], ", ") + " and " + texts[n-1] + " s"
	}
	return strings.Join(texts, "") + " s"
}

// series writes what was counted at each time, or once where it stayed the same.
func series(c *cellResult, value func(count) string) string {
	var texts []string
	for _, at := range c.Counts {
		texts = append(texts, value(at))
	}
	if len(slices.Compact(slices.Clone(texts))) == 1 {
		return texts[0]
	}
	return strings.Join(texts, ", ")
}

// Established returns the number of the backend's sockets in ESTABLISHED.
func (c count) Established() int { return c.Backend[wire.StateEstablished].Sockets }

// notes prints what does not fit into the table.
func notes(out *strings.Builder, r *runResult, p *proxyResult) {
	fmt.Fprintf(out, "\n%s\n", tallyText(p))
	if p.NoLogin != "" {
		fmt.Fprintf(out, "  MISSED   a login through %s: %s\n", p.Name, p.NoLogin)
	}
	for _, g := range p.notRun() {
		cells := strings.Join(g.cells, ", ")
		if n := len(g.cells); n > namedCells {
			cells = fmt.Sprintf("%d cells", n)
		}
		fmt.Fprintf(out, "  NOT RUN  %s: %s\n", cells, g.why)
	}
	for _, g := range p.causes(r.Verdicts) {
		fmt.Fprintf(out, "\n%s\n", upperFirst(g.Cause.String()))
		for _, c := range g.Cells {
			fmt.Fprintf(out, "  MISSED   %v: %s\n", c.cell, c.MissText())
			if c.Problem != "" {
				fmt.Fprintf(out, "           the first problem of a session: %s\n", c.Problem)
			}
		}
	}
	if len(p.Misses) > 0 {
		fmt.Fprintf(out, "\n%s: %s\n", upperFirst(faultOfProxy), wholeRun)
	}
	for _, m := range p.Misses {
		fmt.Fprintf(out, "  MISSED   in the whole run: %v\n", m)
	}
	ownCounts(out, p)
}

// namedCells is how many cells are named that were not run for the same reason; the table has all.
const namedCells = 4

// reason is why cells were not run.
type reason struct {
	why   string
	cells []string
}

// notRun returns the cells that were not run, those of one reason together.
func (p *proxyResult) notRun() []reason {
	var all []reason
	for _, c := range p.Cells {
		if c.NotRun == "" {
			continue
		}
		i := slices.IndexFunc(all, func(r reason) bool { return r.why == c.NotRun })
		if i < 0 {
			i, all = len(all), append(all, reason{why: c.NotRun})
		}
		all[i].cells = append(all[i].cells, c.String())
	}
	return all
}

const wholeRun = "what the server counted itself shows it"

// ownCounts prints what a backend that keeps counts has counted.
func ownCounts(out *strings.Builder, p *proxyResult) {
	if len(p.Java) == 0 {
		fmt.Fprintln(out)
		return
	}
	fmt.Fprintf(out, "\n%s:\n", countsLegend)
	t := term.NewTable("MODE", "ACCEPTED", "CLOSED", "LOGOUT", "EOF", "RST", "ITSELF", "NEVER READ",
		"APPENDS BROKEN OFF",
		"LOGOUT IN MESSAGE")
	for _, mode := range slices.Sorted(maps.Keys(p.Java)) {
		c := p.Java[mode]
		t.Add(mode, c.Accepted, c.Closed, c.Logout, c.EOF, c.RST, c.Server, c.NeverRead, c.Truncated, c.Polluted)
	}
	fmt.Fprintf(out, "%s%s\n\n", t, p.Appends())
}

const countsLegend = "What the server counted itself, by mode: how connections ended, as it saw first (RST is a " +
	"reset before any LOGOUT)"

// Appends says what became of the messages that clients broke off, as they are told to.
func (p *proxyResult) Appends() string {
	var broken int64
	for _, c := range p.Java {
		broken += c.Truncated
	}
	switch {
	case p.StoredUnasked > 0:
		return fmt.Sprintf("Clients broke off %d appends, as planned, and the server has stored %d messages: there "+
			"must be none.", broken, p.StoredUnasked)
	case broken == 0:
		return "No client sent a message."
	}
	return fmt.Sprintf("Clients broke off %d appends, as planned; the server has stored none of them, as it must be.",
		broken)
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// comparison prints the last count of every cell, with a column for each proxy.
func comparison(out *strings.Builder, r *runResult) {
	fmt.Fprintf(out, "All cells compared, after %g s: %s\n\n", slices.Max(r.After), summaryLegend)
	out.WriteString(summaries(r, func(cell) bool { return true }))
}

const summaryLegend = "sockets in CLOSE_WAIT / descriptors in the proxy / in the server; * a target is missed"

// summaries returns a table of the chosen cells with a column for each proxy.
func summaries(r *runResult, chosen func(cell) bool) string {
	heading := []string{"MODE", "ENDING"}
	for _, p := range r.Proxies {
		heading = append(heading, p.Name)
	}
	t := term.NewTable(heading...)
	for i, c := range r.Proxies[0].Cells {
		if !chosen(c.cell) {
			continue
		}
		row := []string{c.Mode, c.Ending}
		for _, p := range r.Proxies {
			row = append(row, p.Cells[i].summary())
		}
		t.AddRow(row)
	}
	return t.String()
}

// summary returns the last count in short, with a star where a target is missed.
func (c *cellResult) summary() string {
	if c.NotRun != "" || len(c.Counts) == 0 {
		return "not run"
	}
	at := c.Counts[len(c.Counts)-1]
	star := ""
	if len(c.Misses) > 0 {
		star = " *"
	}
	return fmt.Sprintf("%s / %s / %s%s", at.CloseWait(), orDash(at.ProxyFDs), orDash(at.JavaFDs), star)
}

func (p *proxyResult) title() string { return nameAndVersion(p.Name, p.Version) }

func nameAndVersion(name, version string) string {
	if version == "" {
		return name
	}
	return fmt.Sprintf("%s (%s)", name, version)
}

// tally counts its cells.
func (p *proxyResult) tally() (met, missed, notRun int) {
	for _, c := range p.Cells {
		switch {
		case c.NotRun != "":
			notRun++
		case len(c.Misses) > 0:
			missed++
		default:
			met++
		}
	}
	return met, missed, notRun
}

func (c *cellResult) sessions() string {
	if c.Opened == c.Sessions || c.NotRun != "" {
		return fmt.Sprint(c.Sessions)
	}
	return fmt.Sprintf("%d of %d", c.Opened, c.Sessions)
}

// Verdict returns "ok", "not run", or the targets that are missed.
func (c *cellResult) Verdict() string {
	if c.NotRun != "" {
		return "not run"
	}
	switch {
	case len(c.Misses) == 0 && c.direct:
		return "no proxy to judge"
	case len(c.Misses) == 0:
		return "ok"
	}
	var names []string
	for _, m := range c.Misses {
		names = append(names, m.Target)
	}
	return "MISSED: " + strings.Join(names, ", ")
}

// CloseWait returns the number of the backend's sockets in CLOSE_WAIT, with their Recv-Q.
func (c count) CloseWait() string {
	s := c.Backend[wire.StateCloseWait]
	switch {
	case s.Sockets == 0:
		return "0"
	case s.MinRecvQ == s.MaxRecvQ:
		return fmt.Sprintf("%d q%d", s.Sockets, s.MinRecvQ)
	}
	return fmt.Sprintf("%d q%d-%d", s.Sockets, s.MinRecvQ, s.MaxRecvQ)
}

func orDash(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// List writes states in the kernel's order, such as "ESTABLISHED 3, CLOSE_WAIT 200 q1".
func (s states) List() string {
	names := slices.SortedFunc(maps.Keys(s), func(a, b wire.State) int { return cmp.Compare(a.Number(), b.Number()) })
	var parts []string
	for _, n := range names {
		parts = append(parts, fmt.Sprintf("%s %d", n, s[n].Sockets))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

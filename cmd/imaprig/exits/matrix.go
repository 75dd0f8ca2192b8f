package exits

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"imapproxy/backend/wire"
	"imapproxy/cmd/imaprig/term"
)

// writeTables prints the result for people: a table for each proxy, and one that compares them.
func writeTables(w io.Writer, r *runResult) error {
	var out strings.Builder
	for i := range r.Proxies {
		proxyTable(&out, r, &r.Proxies[i])
	}
	if len(r.Proxies) > 1 {
		comparison(&out, r)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

const tableLegend = "CW, EST: the backend's sockets in CLOSE_WAIT (q: their Recv-Q) and ESTABLISHED; " +
	"PROXY, JAVA: descriptors left there\n"

func proxyTable(out *strings.Builder, r *runResult, p *proxyResult) {
	fmt.Fprintf(out, "%s, %d sessions a cell, %.0f s\n", p.title(), r.Sessions, p.Seconds)
	if p.Settings != "" {
		fmt.Fprintf(out, "set: %s\n", p.Settings)
	}
	fmt.Fprintf(out, "%s\n", tableLegend)
	heading := []string{"MODE", "ENDING", "SESSIONS"}
	for _, s := range r.After {
		heading = append(heading, fmt.Sprintf("%gs: CW", s), "EST", "PROXY", "JAVA")
	}
	t := term.NewTable(append(heading, "TARGETS")...)
	for _, c := range p.Cells {
		row := []string{c.Mode, c.Ending, c.sessions()}
		for _, at := range c.Counts {
			row = append(row, at.CloseWait(), fmt.Sprint(at.Backend[wire.StateEstablished].Sockets),
				orDash(at.ProxyFDs), fmt.Sprint(at.JavaFDs))
		}
		if c.NotRun != "" {
			row = append(row, make([]string, 4*len(r.After))...)
		}
		t.AddRow(append(row, c.Verdict()))
	}
	out.WriteString(t.String())
	notes(out, p)
}

// notes prints what does not fit into the table.
func notes(out *strings.Builder, p *proxyResult) {
	met, missed, notRun := p.tally()
	fmt.Fprintf(out, "\n%d cells: every target holds in %d, missed in %d, not run %d\n", len(p.Cells), met, missed,
		notRun)
	for _, c := range p.Cells {
		if c.NotRun != "" {
			fmt.Fprintf(out, "  NOT RUN  %v: %s\n", c.cell, c.NotRun)
		}
		for _, m := range c.Misses {
			fmt.Fprintf(out, "  MISSED   %v: %v\n", c.cell, m)
		}
		if c.Problem != "" {
			fmt.Fprintf(out, "           %v: %s\n", c.cell, c.Problem)
		}
	}
	for _, m := range p.Misses {
		fmt.Fprintf(out, "  MISSED   in the whole run: %v\n", m)
	}
	fmt.Fprint(out, "\n"+countsLegend)
	t := term.NewTable("MODE", "ACCEPTED", "CLOSED", "LOGOUT", "EOF", "RST", "ITSELF", "NEVER READ", "STORED",
		"TRUNCATED", "LOGOUT IN MESSAGE")
	for _, mode := range slices.Sorted(maps.Keys(p.Java)) {
		c := p.Java[mode]
		t.Add(mode, c.Accepted, c.Closed, c.Logout, c.EOF, c.RST, c.Server, c.NeverRead, c.Stored, c.Truncated,
			c.Polluted)
	}
	fmt.Fprintln(out, t)
}

const countsLegend = "What the backend saw, by mode. RST is a reset before any LOGOUT, as it has to be in a message " +
	"broken off:\n"

// comparison prints the last count of every cell, with a column for each proxy.
func comparison(out *strings.Builder, r *runResult) {
	fmt.Fprintf(out, "The proxies compared, after %gs: CLOSE_WAIT / descriptors in the proxy / in Java\n\n",
		slices.Max(r.After))
	heading := []string{"MODE", "ENDING"}
	for _, p := range r.Proxies {
		heading = append(heading, p.Name)
	}
	t := term.NewTable(heading...)
	for i, c := range r.Proxies[0].Cells {
		row := []string{c.Mode, c.Ending}
		for _, p := range r.Proxies {
			row = append(row, p.Cells[i].summary())
		}
		t.AddRow(row)
	}
	out.WriteString(t.String())
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
	return fmt.Sprintf("%d / %s / %d%s", at.Backend[wire.StateCloseWait].Sockets, orDash(at.ProxyFDs), at.JavaFDs, star)
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
	if len(c.Misses) == 0 {
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

package exits

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"imapproxy/cmd/cli"
)

// writeText prints the result for people: the verdicts, what shows them, how to see it, and then everything.
func writeText(w io.Writer, r *runResult) error {
	var out strings.Builder
	out.WriteString(cli.Wrap("VERDICT:", upperFirst(headline(r.Verdicts))+".", 2) + "\n")
	for _, line := range r.details() {
		out.WriteString(cli.Wrap(" ", line+".", 4) + "\n")
	}
	if decisive := summaries(r, r.isDecisive); strings.Count(decisive, "\n") > 1 {
		fmt.Fprintf(&out, "\nWHAT SHOWS IT, after %g s: %s\n\n%s", slices.Max(r.After), summaryLegend, decisive)
	}
	writeRecipe(&out, r)
	fmt.Fprintf(&out, "\nTHE REST\n\n")
	for i := range r.Proxies {
		proxyTable(&out, r, &r.Proxies[i])
	}
	if len(r.Proxies) > 1 {
		comparison(&out, r)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// writeRecipe prints how to see the first fault, and how to get the recipes of others.
func writeRecipe(out *strings.Builder, r *runResult) {
	list := recipes(r, r.Verdicts)
	if len(list) == 0 {
		return
	}
	x := list[0]
	fmt.Fprintf(out, "\nHOW TO SEE IT YOURSELF: %s, mode %s\n\n", x.Fault, x.Mode)
	if x.Before != "" {
		fmt.Fprintf(out, "Start the server: %s\n", x.Before)
	}
	fmt.Fprintf(out,
		"Run this with python3 on the server's machine; IMAP_PASSWORD in the environment is the password.\n\n")
	for line := range strings.Lines(x.Script) {
		fmt.Fprintf(out, "    %s", line)
	}
	fmt.Fprintf(out, "\nIt prints %s.\n", x.Shows)
	if x.Remedy != "" {
		out.WriteString(cli.Wrap("What to change in the server:", x.Remedy+".", 2) + "\n")
	}
	if len(list) > 1 {
		var others []string
		for _, x := range list[1:] {
			others = append(others, x.Mode)
		}
		fmt.Fprintf(out, "The page of --html, and a run with one of --modes, have the same for %s.\n",
			strings.Join(others, ", "))
	}
}

// namedModes is with how many faults a headline can name the modes that have them.
const namedModes = 4

// headline is the verdict in one sentence.
func headline(all []verdict) string {
	if len(all) == 1 {
		return all[0].Sentence
	}
	var faults []string
	modes := map[string][]string{} // by fault
	faulty, unknown := 0, 0
	for _, v := range all {
		switch {
		case v.Fault == faultUnknown:
			unknown++
			continue
		case noFault(v.Fault):
			continue
		}
		if faulty++; len(modes[v.Fault]) == 0 {
			faults = append(faults, v.Fault)
		}
		modes[v.Fault] = append(modes[v.Fault], v.Mode)
	}
	switch {
	case faulty == 0 && unknown > 0:
		return fmt.Sprintf("no fault of the server was seen in %d of %d modes; the others were not judged",
			len(all)-unknown, len(all))
	case faulty == 0:
		return fmt.Sprintf("the server closes cleanly in all of %d modes", len(all))
	}
	text := strings.Join(faults, ", ")
	if len(faults) <= namedModes {
		for i, name := range faults {
			faults[i] = fmt.Sprintf("%s (%s)", name, strings.Join(modes[name], ", "))
		}
		text = strings.Join(faults, "; ")
	}
	return fmt.Sprintf("the server has a fault in %d of %d modes: %s", faulty, len(all), text)
}

// details is what the verdict says of each mode and each proxy, and what was run.
func (r *runResult) details() []string {
	var lines []string
	if len(r.Verdicts) > 1 {
		for _, v := range r.Verdicts {
			lines = append(lines, v.Mode+": "+v.Sentence)
		}
	}
	for i := range r.Proxies {
		if text := r.Proxies[i].proxyVerdict(r); text != "" {
			lines = append(lines, text)
		}
	}
	return append(lines, r.about()...)
}

// about says what was run, and what was not found out.
func (r *runResult) about() []string {
	lines := []string{fmt.Sprintf("The server is %s; %d sessions in each cell, which is a mode of the server with "+
		"an ending of its clients", r.Backend.Name, r.Sessions)}
	switch r.Settings {
	case settingsTuned:
		lines = append(lines, "Settings: tuned: every proxy is set to find clients that have vanished as soon as it "+
			"can; after 30 s they must be found")
	case settingsDefaults:
		lines = append(lines, "Settings: defaults: every proxy as it is installed, except for what is named; when a "+
			"client that has vanished is found is not judged")
	}
	return append(lines, r.Backend.Unknown...)
}

// isDecisive reports whether the verdict on a mode rests on this cell.
func (r *runResult) isDecisive(c cell) bool {
	return slices.Contains(verdictOf(r.Verdicts, c.Mode).Decisive, c.Ending)
}

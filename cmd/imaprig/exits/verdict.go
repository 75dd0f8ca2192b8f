package exits

import (
	"fmt"
	"slices"
	"strings"
)

// verdict is what the counts of a mode say about the backend.
type verdict struct {
	Mode     string   `json:"mode"`
	Fault    string   `json:"fault"`              // by name; faultNone and faultUnknown are none
	Also     []string `json:"also,omitempty"`     // names of other faults, which the first does not explain
	Sentence string   `json:"sentence"`           // for people
	Seen     string   `json:"seen,omitempty"`     // through which proxy
	Decisive []string `json:"decisive,omitempty"` // endings whose counts show it
}

// verdicts returns one for each mode that was run, in their order.
func verdicts(r *runResult) []verdict {
	var all []verdict
	for _, mode := range modesRun(r) {
		ts, seen := tracesOf(r, mode)
		v := diagnose(ts)
		v.Mode, v.Seen = mode, seen
		all = append(all, v)
	}
	return all
}

// modesRun returns the modes in the order in which they were run.
func modesRun(r *runResult) []string {
	var modes []string
	for _, p := range r.Proxies {
		for _, c := range p.Cells {
			if !slices.Contains(modes, c.Mode) {
				modes = append(modes, c.Mode)
			}
		}
	}
	return modes
}

// diagnose deduces the fault from what each ending left. What the first fault does not explain is named after it.
func diagnose(ts traces) verdict {
	if len(ts) == 0 {
		return verdict{Fault: faultUnknown, Sentence: "nothing can be said about the server: no session came as far " +
			"as its ending"}
	}
	v := verdict{Fault: faultNone}
	var explained, sentences []string
	for _, f := range faults() {
		shown, explains := f.found(ts)
		if !anew(shown, explained) || v.Fault != faultNone && noFault(f.name) {
			continue
		}
		if v.Fault == faultNone {
			v.Fault = f.name
		} else {
			v.Also = append(v.Also, f.name)
		}
		sentences = append(sentences, fmt.Sprintf("%s (%s)", f.text, joined(shown)))
		for _, t := range shown {
			v.Decisive = append(v.Decisive, t.cell.Ending)
		}
		explained = append(explained, explains...)
	}
	if v.Fault == faultNone {
		sentences = []string{ts.cleanText()}
	}
	v.Sentence = "the server " + strings.Join(sentences, ". It also ")
	return v
}

// noFault reports whether the name is that of a behaviour that leaves nothing.
func noFault(name string) bool {
	return slices.Contains([]string{faultNone, faultUnknown, faultClosesFirst, faultResetsFirst}, name)
}

// anew reports whether a trace is of an ending that no fault has explained yet.
func anew(shown []trace, explained []string) bool {
	return slices.ContainsFunc(shown, func(t trace) bool { return !slices.Contains(explained, t.cell.Ending) })
}

func joined(shown []trace) string {
	var parts []string
	for _, t := range shown {
		parts = append(parts, t.String())
	}
	return strings.Join(parts, "; ")
}

// cleanText says what was found clean.
func (ts traces) cleanText() string {
	var late []string
	for _, t := range ts.any(func(t trace) bool { return t.late }, everything()...) {
		late = append(late, t.cell.Ending)
	}
	text := fmt.Sprintf("closes cleanly: nothing was left after any of %d endings", len(ts))
	if len(ts) == 1 {
		for name := range ts {
			text = "closes cleanly: nothing was left after the ending " + name
		}
		if len(late) > 0 {
			return "closes, but late: only in the end nothing was left after the ending " + late[0]
		}
	}
	if len(late) > 0 {
		text += fmt.Sprintf("; after %s only late", strings.Join(late, ", "))
	}
	return text
}

package convert

import (
	"fmt"
	"strings"
)

// notes are the findings of a conversion on their way.
type notes struct {
	findings map[*statement]*Finding
	order    []*statement // as they are read
}

func newNotes() notes { return notes{findings: map[*statement]*Finding{}} }

// note records what became of a directive. Of several records the most
// important one stays.
func (n *notes) note(s *statement, status Status, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	old, known := n.findings[s]
	switch {
	case !known:
		n.order = append(n.order, s)
		n.findings[s] = &Finding{s.file, s.line, status, s.show(), text}
	case rank(status) > rank(old.Status):
		old.Status, old.Text = status, text
	case status == old.Status && !strings.Contains(old.Text, text):
		old.Text += "; " + text
	}
}

func (n *notes) refuse(s *statement, format string, args ...any) {
	n.note(s, Refused, format, args...)
}

// noted reports whether a directive has a finding.
func (n *notes) noted(s *statement) bool { return n.findings[s] != nil }

// failed reports whether something is refused already.
func (n *notes) failed() bool {
	for _, f := range n.findings {
		if f.Status == Refused {
			return true
		}
	}
	return false
}

// all returns the findings in the order of the source.
func (n *notes) all() []Finding {
	var list []Finding
	seen := map[*statement]bool{}
	for _, s := range n.order {
		if f, ok := n.findings[s]; ok && !seen[s] {
			seen[s] = true
			list = append(list, *f)
		}
	}
	return list
}

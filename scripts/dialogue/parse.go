package dialogue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Parse returns the dialogues of a text; an error names the file and the line.
func (f *Format) Parse(file, text string) ([]*Dialogue, error) {
	p := parser{format: f, file: file, names: map[string]bool{}}
	for i, line := range strings.Split(text, "\n") {
		p.at = fmt.Sprintf("%s:%d", file, i+1)
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("%s: %w", p.at, err)
		}
	}
	if err := p.end(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.at, err)
	}
	return p.all, nil
}

type parser struct {
	format    *Format
	file, at  string
	all       []*Dialogue
	names     map[string]bool
	inHeaders bool
}

func (p *parser) line(line string) error {
	name, begins := strings.CutPrefix(line, "== ")
	switch {
	case strings.HasPrefix(line, "#"):
		return nil
	case begins:
		return p.begin(name)
	case line == "":
		p.inHeaders = false
		return nil
	case len(p.all) == 0:
		return fmt.Errorf("%q in front of the first dialogue, which begins with == name", line)
	case p.inHeaders:
		return p.header(line)
	}
	step, err := p.format.step(line)
	if err != nil {
		return err
	}
	step.At = p.at
	d := p.all[len(p.all)-1]
	d.Steps = append(d.Steps, step)
	return nil
}

func (p *parser) begin(name string) error {
	if err := p.end(); err != nil {
		return err
	}
	if name == "" || p.names[name] {
		return fmt.Errorf("the name %q is empty or another dialogue's", name)
	}
	p.names[name] = true
	d := &Dialogue{Name: name, File: base(p.file), Headers: map[string][]string{}}
	p.all, p.inHeaders = append(p.all, d), true
	return nil
}

// end checks the dialogue that is over.
func (p *parser) end() error {
	if n := len(p.all); n > 0 && len(p.all[n-1].Steps) == 0 {
		return fmt.Errorf("the dialogue %q ends without a step", p.all[n-1].Name)
	}
	return nil
}

func (p *parser) header(line string) error {
	key, value, _ := strings.Cut(line, ": ")
	if value == "" || !slices.Contains(p.format.Headers, key) {
		return fmt.Errorf("%q is no header; steps begin after a blank line", line)
	}
	value, err := p.format.expand(value)
	if err != nil {
		return err
	}
	d := p.all[len(p.all)-1]
	d.Headers[key] = append(d.Headers[key], value)
	return nil
}

func (f *Format) step(line string) (Step, error) {
	var s Step
	rest := line
	if side, after, found := strings.Cut(line, " "); found && slices.Contains(f.Sides, side) {
		s.Side, rest = side, after
	}
	if slices.Contains(f.Bare, rest) {
		s.Verb = rest
		return s, nil
	}
	verb, text, _ := strings.Cut(rest, " ")
	if !slices.Contains(f.Verbs, verb) {
		return s, fmt.Errorf("%q is no step", line)
	}
	text, err := f.expand(text)
	if err == nil && strings.HasSuffix(verb, "-") {
		if text, err = strconv.Unquote(text); err != nil {
			err = fmt.Errorf("the text of %s is not quoted as in Go: %w", verb, err)
		}
	}
	s.Verb, s.Text = verb, text
	return s, err
}

package auth

import (
	"errors"
	"fmt"
	"strings"
)

const maxFileErrors = 100

// lineFaults gathers what is wrong with the lines of a file.
type lineFaults struct {
	path string
	all  []error
	more int // beyond maxFileErrors
}

// add notes a fault, with its remedy; nil is none.
func (f *lineFaults) add(line int, fault error) {
	switch {
	case fault == nil:
	case len(f.all) < maxFileErrors:
		f.all = append(f.all, fmt.Errorf("%s:%d: %w", f.path, line, fault))
	default:
		f.more++
	}
}

// join returns all faults (errors.Join), nil without any.
func (f *lineFaults) join() error {
	if f.more > 0 {
		return errors.Join(errors.Join(f.all...), fmt.Errorf("%s: %d more errors: mend these first", f.path, f.more))
	}
	return errors.Join(f.all...)
}

// quoteMarks are what people put around names that need no quotes here.
const quoteMarks = "\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb"

// inQuotes reports whether a name begins and ends with a quotation mark.
func inQuotes(name string) bool {
	inner := strings.TrimLeft(name, quoteMarks)
	return inner != name && strings.TrimRight(inner, quoteMarks) != inner
}

// Package cli is what the command lines of the programs have in common: how flags are
// read and shown, what a mistaken word may have meant, and the version.
package cli

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// FlagsOf lists the flags, by name.
func FlagsOf(fs *flag.FlagSet) []*flag.Flag {
	var list []*flag.Flag
	fs.VisitAll(func(f *flag.Flag) { list = append(list, f) })
	return list
}

// placeholders are the values' names where a flag's text has none, by those that package flag makes up.
var placeholders = map[string]string{"int": "NUMBER", "uint": "NUMBER", "float": "NUMBER", "duration": "TIME",
	"string": "TEXT", "value": "VALUE"}

// DescribeFlag returns a flag as it is written, with its value, and what it does. The default
// is added, unless the text itself says what happens without the flag.
func DescribeFlag(f *flag.Flag) (term, text string) {
	value, text := flag.UnquoteUsage(f)
	if named := placeholders[value]; named != "" {
		value = named
	}
	if !slices.Contains([]string{"", "false", "0"}, f.DefValue) && !strings.Contains(text, "without it") {
		text += fmt.Sprintf(" (without it: %s)", f.DefValue)
	}
	return strings.TrimSpace(Dashed(f.Name) + " " + value), text
}

// Dashed returns a flag's name as it is written: -o, --config.
func Dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// FlagsHelp returns the part of the help that lists the flags, "" where there are none.
func FlagsHelp(flags []*flag.Flag) string {
	width := 22
	for _, f := range flags {
		term, _ := DescribeFlag(f)
		width = max(width, len(term))
	}
	var b strings.Builder
	for i, f := range flags {
		if i == 0 {
			b.WriteString("Flags:\n")
		}
		term, text := DescribeFlag(f)
		b.WriteString(Wrap(fmt.Sprintf("  %-*s", width, term), text, 3+width) + "\n")
	}
	return b.String()
}

// ParseAnywhere reads flags before, between and after the arguments, which it returns;
// package flag stops at the first. After "--" there are only arguments.
func ParseAnywhere(fs *flag.FlagSet, args []string) ([]string, error) {
	var plain []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		rest := fs.Args()
		if n := len(args) - len(rest); len(rest) == 0 || (n > 0 && args[n-1] == "--") {
			return append(plain, rest...), nil
		}
		plain, args = append(plain, rest[0]), rest[1:]
	}
}

// WrongFlag returns the text of an error of package flag, with the flag that may be meant.
func WrongFlag(fs *flag.FlagSet, err error) string {
	text := err.Error()
	name, isUnknown := strings.CutPrefix(text, "flag provided but not defined: -")
	if !isUnknown {
		return wrongValue(fs, text)
	}
	var names []string
	for _, f := range FlagsOf(fs) {
		names = append(names, f.Name)
	}
	if near := Nearest(name, names); near != "" {
		text += "; did you mean --" + near + "?"
	}
	return text
}

// wrongValue returns the text of package flag about a value, with what is wanted where it says only "parse error".
func wrongValue(fs *flag.FlagSet, text string) string {
	begin, isParse := strings.CutSuffix(text, ": parse error")
	_, name, _ := strings.Cut(begin, " for flag -")
	f := fs.Lookup(name)
	if !isParse || f == nil {
		return text
	}
	value, isKnown := f.Value.(flag.Getter)
	if !isKnown {
		return text
	}
	switch value.Get().(type) {
	case time.Duration:
		return begin + ": want a time such as 30s or 5m"
	case int, uint, float64:
		return begin + ": want a number"
	}
	return text
}

package rig

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit codes of every subcommand except watch --once.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// NewFlags returns the flags of a subcommand, which print nothing themselves.
func NewFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// ParseFlags reads flags only. It prints the help where that is asked for.
func ParseFlags(flags *flag.FlagSet, args []string, help string, stdout io.Writer) error {
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprint(stdout, help)
		flags.PrintDefaults()
	}
	if err == nil && flags.NArg() > 0 {
		return fmt.Errorf("%q: want flags only; the proxy goes after --proxy or --peer", flags.Arg(0))
	}
	return err
}

// ParseMixed reads flags before, between and after the other words, as people type them, and returns those words.
func ParseMixed(flags *flag.FlagSet, args []string) ([]string, error) {
	var words []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return words, nil
		}
		words = append(words, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// SplitList returns the words of a list with commas or spaces between them.
func SplitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

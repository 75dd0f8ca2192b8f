package rig

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/exec"
	"strings"

	"imapproxy/backend/printable"
	"imapproxy/cmd/cli"
)

// Exit codes of every command except watch --once.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// NewFlags returns the flags of a command, which print nothing themselves.
func NewFlags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	return flags
}

// ParseFlags reads flags only. It prints the help where that is asked for.
func ParseFlags(flags *flag.FlagSet, args []string, help string, stdout io.Writer) error {
	words, err := ParseMixed(flags, args, help, stdout)
	if err == nil && len(words) > 0 {
		hint := ""
		if flags.Lookup("proxy") != nil {
			hint = "; the proxy goes after --proxy or --peer"
		}
		return fmt.Errorf("%q: want flags only%s%s", words[0], hint, seeHelp(flags))
	}
	return err
}

// ParseMixed reads flags before, between and after the other words, as people type them, and returns those words. It
// prints the help, then the flags, where that is asked for; the error is flag.ErrHelp then.
func ParseMixed(flags *flag.FlagSet, args []string, help string, stdout io.Writer) ([]string, error) {
	words, err := cli.ParseAnywhere(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, writeErr := fmt.Fprintf(stdout, "%s\n\n%s", strings.TrimSpace(help), cli.FlagsHelp(cli.FlagsOf(flags)))
		return nil, errors.Join(err, writeErr)
	case err != nil:
		return nil, errors.New(cli.WrongFlag(flags, err) + seeHelp(flags))
	}
	return words, nil
}

func seeHelp(flags *flag.FlagSet) string { return "; see `imaprig " + flags.Name() + " --help`" }

// inputError is an error whose cause is what the user gave: a flag, a file, or the server that a flag names.
type inputError struct{ error }

// Unwrap returns the error itself.
func (e inputError) Unwrap() error { return e.error }

// WrongInput marks an error as caused by what the user gave, so that the exit code is 2. It returns nil for nil, and an
// interrupt's error as it is.
func WrongInput(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return inputError{err}
}

// Failed prints why a command did not do what it was asked to, and returns the exit code: 2 for an error that
// WrongInput has marked and for a program that is not installed, else 1. For a nil error and for flag.ErrHelp it prints
// nothing and returns 0. A cancelled context means that the user has interrupted the command.
func Failed(stderr io.Writer, command string, err error) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return ExitOK
	}
	for line := range strings.Lines(err.Error()) { // several errors have one each
		line = strings.ReplaceAll(strings.TrimSpace(line), context.Canceled.Error(), "interrupted")
		if line != "" {
			_, _ = fmt.Fprintf(stderr, "imaprig %s: %s\n", command, printable.Escape(line))
		}
	}
	if errors.As(err, &inputError{}) || errors.Is(err, exec.ErrNotFound) {
		return ExitUsage
	}
	return ExitFailed
}

// SplitList returns the words of a list with commas or spaces between them.
func SplitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

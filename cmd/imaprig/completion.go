package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"imapproxy/cmd/completion"
	"imapproxy/cmd/imaprig/rig"
)

const completionHelp = `usage: imaprig completion [SHELL]

Prints what has a shell complete commands and flags.

SHELL is bash, zsh or fish; without it bash. The package has installed it; elsewhere, for bash:

    source <(imaprig completion bash)`

// runCompletion prints what has a shell complete the commands and their flags, made of what --help of each prints.
func runCompletion(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	words, err := rig.ParseMixed(rig.NewFlags("completion"), args, completionHelp, stdout)
	if err != nil {
		return rig.Failed(stderr, "completion", rig.WrongInput(err))
	}
	shell := "bash"
	if len(words) > 0 {
		shell = words[0]
	}
	if len(words) > 1 || !slices.Contains(completion.Shells(), shell) {
		err := fmt.Errorf("there is no completion for %q; write one of %s", strings.Join(words, " "),
			strings.Join(completion.Shells(), ", "))
		return rig.Failed(stderr, "completion", rig.WrongInput(err))
	}
	if _, err := io.WriteString(stdout, completion.Script(shell, "imaprig", completed(ctx))); err != nil {
		return rig.ExitFailed
	}
	return rig.ExitOK
}

// completed are the commands as a shell completes them.
func completed(ctx context.Context) []completion.Command {
	about := completion.Command{Name: "help", Summary: "says more about a command"}
	var list []completion.Command
	for _, c := range commands() {
		about.Words = append(about.Words, c.name)
		done := completion.Command{Name: c.name, Summary: c.summary, Words: c.words}
		for _, f := range helpOf(ctx, c).flags {
			done.Flags = append(done.Flags, completion.Flag{Name: f.name, Text: f.text, Value: f.value != "",
				File: f.value == "FILE"})
		}
		list = append(list, done)
	}
	return append(list, about)
}

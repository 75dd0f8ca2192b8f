package main

import (
	"flag"
	"io"
	"slices"
	"strings"

	"imapproxy/cmd/cli"
	"imapproxy/cmd/completion"
)

func completionCommand() command {
	return command{
		name: "completion", args: "SHELL", words: completion.Shells(),
		summary: "prints what has a shell complete commands and flags",
		details: `
SHELL is bash, zsh or fish. The package has installed it; elsewhere, for bash:

    source <(imapproxy completion bash)`,
		setup: func(*flag.FlagSet) func(*program, []string) int {
			return func(p *program, args []string) int {
				if !slices.Contains(completion.Shells(), args[0]) {
					return p.wrongUsage("there is no completion for " + quote(args[0]) + "; write one of " +
						strings.Join(completion.Shells(), ", "))
				}
				_, _ = io.WriteString(p.stdout, completion.Script(args[0], "imapproxy", completed()))
				return exitOK
			}
		},
	}
}

// completed are the commands as a shell completes them.
func completed() []completion.Command {
	help := completion.Command{Name: "help", Summary: "says more about a command"}
	var list []completion.Command
	for _, c := range commands() {
		help.Words = append(help.Words, c.name)
		done := completion.Command{Name: c.name, Summary: c.summary, Words: c.words,
			Files: strings.Contains(c.args, "CONF")}
		for _, f := range c.flags() {
			term, text := cli.DescribeFlag(f)
			name, value, _ := strings.Cut(term, " ")
			done.Flags = append(done.Flags, completion.Flag{Name: name, Text: text, Value: value != "",
				File: value == "FILE"})
		}
		list = append(list, done)
	}
	return append(list, help)
}

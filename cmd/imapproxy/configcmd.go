package main

import (
	"flag"
	"io"

	"imapproxy/cmd/imapproxy/config"
)

func configCommand() command {
	return command{
		name:    "config",
		summary: "prints a complete configuration with comments, to begin with",
		details: `
Every key is there. Those that are commented out show the default, or what only
some need. The result passes check once the files that it names exist.`,
		setup: func(*flag.FlagSet) func(*program, []string) int {
			return func(p *program, _ []string) int {
				_, _ = io.WriteString(p.stdout, config.Example())
				return exitOK
			}
		},
	}
}

package main

import (
	"flag"
	"fmt"

	"imapproxy/backend/printable"
	"imapproxy/cmd/imapproxy/config"
)

// defaultConfig is where the configuration is when --config does not say.
const defaultConfig = "/etc/imapproxy/imapproxy.toml"

// configFlag is the flag that every command with a configuration has.
func configFlag(fs *flag.FlagSet) *string {
	return fs.String("config", defaultConfig, "the configuration `FILE`")
}

func checkCommand() command {
	return command{
		name:    "check",
		summary: "says whether a configuration is good, and all that is wrong with it",
		details: `
It reads the configuration and every file that it names, as serve does, and
prints each error and warning with file, line and remedy. It opens no socket
and asks no server.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			file := configFlag(fs)
			return func(p *program, _ []string) int { return p.check(*file) }
		},
	}
}

func (p *program) check(file string) int {
	g, r := loadGeneration(file)
	r.Print(p.stderr)
	if r.Failed() {
		return p.failure("%s: %d error(s)", file, len(r.Of(config.Error)))
	}
	g.close()
	_, _ = fmt.Fprintf(p.stdout, "%s: ok\n", printable.Escape(file))
	return exitOK
}

// load reads a configuration for a command that needs a good one, and prints
// only the errors; nil when there is one.
func (p *program) load(file string) *generation {
	g, r := loadGeneration(file)
	if !r.Failed() {
		return g
	}
	for _, f := range r.Of(config.Error) {
		_, _ = fmt.Fprintln(p.stderr, printable.Escape(f.String()))
	}
	return nil
}

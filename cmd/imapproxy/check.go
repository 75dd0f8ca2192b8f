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
		extra:   "config",
		summary: "says whether a configuration is good, and all that is wrong with it",
		details: `
It reads the configuration and every file that it names, as serve does, and
prints each error and warning with file, line and remedy. It opens no socket
and asks no server. Whether the service can read all files is known only when
the service's user runs it: runuser -u imapproxy -- imapproxy check

With --backends it then connects to every address of every target, as a login
would, and says of each what it has found: TLS, certificate, greeting and
capabilities, or what is wrong and what to write. No one is logged in, unless
--user names a user for whom the master login of the user's target is tried.`,
		setup: func(fs *flag.FlagSet) func(*program, []string) int {
			file := configFlag(fs)
			backends := fs.Bool("backends", false, "connect to the backends too")
			user := fs.String("user", "", "with --backends: try the master login for the user `NAME`")
			return func(p *program, _ []string) int { return p.check(*file, *backends, *user) }
		},
	}
}

func (p *program) check(file string, backends bool, loginAs string) int {
	if loginAs != "" && !backends {
		return p.wrongUsage("--user is for --backends")
	}
	g, r := loadGeneration(file)
	r.Print(p.stderr)
	if r.Failed() {
		return p.failure("%s: %d error(s)", file, len(r.Of(config.Error)))
	}
	defer g.close()
	if backends {
		found, err := p.checkBackends(g, loginAs)
		if err != nil {
			return p.failure("--user: %v", err)
		}
		found.Print(p.stderr)
		if found.Failed() {
			return p.failure("%s: %d error(s)", file, len(found.Of(config.Error)))
		}
	}
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

//go:build linux

// Command imapproxy is an IMAP proxy: it authenticates clients, routes each to
// a backend, relays between them, and leaves no backend socket open. `imapproxy
// help` lists what it can do.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"

	"imapproxy/backend/printable"
	"imapproxy/cmd/cli"
	"imapproxy/cmd/imapproxy/config"
)

func main() {
	// net/http quotes what an auth server sent unasked, which may be a password,
	// into the standard log. Ours is zerolog's.
	log.SetOutput(io.Discard)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// program is what a command has of the world around it.
type program struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// command is a subcommand.
type command struct {
	name    string
	args    string // its arguments in words, all of them required; "" for none
	extra   string // the flag that one more argument is taken for, "" for none
	summary string // one line
	details string // what --help says beneath the usage
	signals []signalUse
	words   []string // what its first argument may be, for shells; nil for what can't be listed
	// setup defines the flags and returns what to do once they are parsed; the
	// result is the exit code.
	setup func(fs *flag.FlagSet) func(p *program, args []string) int
}

// commands is the table of all subcommands, in the order of the help.
func commands() []command {
	return []command{serveCommand(), checkCommand(), demoCommand(), configCommand(), passwdCommand(), routeCommand(),
		probeCommand(),
		sessionsCommand(), socketsCommand(), poolCommand(), kickCommand(), drainCommand(), convertCommand(),
		manualCommand(), completionCommand(), versionCommand()}
}

// run is the program without its exit.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin, stdout, stderr}
	if len(args) == 0 {
		p.overview(stderr)
		return exitUsage
	}
	name, args := args[0], args[1:]
	if name == "help" || name == "-h" || name == "-help" || name == "--help" {
		return p.help(args)
	}
	if other, known := aliases[name]; known {
		name = other
	}
	c, ok := findCommand(name)
	if !ok {
		return p.wrongUsage(noCommand(name))
	}
	return p.runCommand(c, args)
}

func findCommand(name string) (command, bool) {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}

// runCommand parses the flags, which may stand before, between and after the
// arguments, and does what the command does.
func (p *program) runCommand(c command, args []string) int {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	action := c.setup(fs)
	plain, err := cli.ParseAnywhere(fs, shortConfig(fs, args))
	switch {
	case err == flag.ErrHelp:
		c.usage(p.stdout)
		return exitOK
	case err != nil:
		return p.wrongUsage(cli.WrongFlag(fs, err) + "; see `imapproxy " + c.name + " --help`")
	}
	want := strings.Fields(c.args)
	if c.extra != "" && len(plain) == len(want)+1 && !isSet(fs, c.extra) {
		if err := fs.Set(c.extra, plain[len(want)]); err != nil {
			return p.wrongUsage(err.Error())
		}
		plain = plain[:len(want)]
	}
	switch {
	case c.extra != "" && len(plain) > len(want):
		return p.wrongUsage(fmt.Sprintf("%s takes at most %d argument(s), the last in place of --%s; usage: %s", c.name,
			len(want)+1, c.extra, c.line()))
	case len(plain) != len(want):
		return p.wrongUsage(fmt.Sprintf("%s takes %d argument(s), not %d; usage: %s", c.name, len(want), len(plain),
			c.line()))
	}
	return action(p, plain)
}

// wrongUsage says what is wrong with the command line.
func (p *program) wrongUsage(text string) int {
	p.complain(text)
	return exitUsage
}

// failure says why a command did not do what it was asked to, each reason on a line.
func (p *program) failure(format string, args ...any) int {
	for _, text := range config.Texts(format, args...) {
		p.complain(text)
	}
	return exitFailed
}

func (p *program) complain(text string) {
	_, _ = fmt.Fprintln(p.stderr, "imapproxy: "+printable.Escape(text))
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

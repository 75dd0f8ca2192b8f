package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"imapproxy/cmd/cli"
)

// overview lists the commands.
func (p *program) overview(w io.Writer) {
	var b strings.Builder
	b.WriteString("imapproxy is an IMAP proxy that closes what it opens.\n\nusage: imapproxy COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-17s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	}
	b.WriteString("  help COMMAND      says more about a command, as COMMAND --help does\n\n")
	b.WriteString("Exit codes: 0 fine, 1 failed, 2 wrong usage.\n")
	_, _ = io.WriteString(w, b.String())
}

// help answers `imapproxy help [COMMAND]`.
func (p *program) help(args []string) int {
	switch len(args) {
	case 0:
		p.overview(p.stdout)
		return exitOK
	case 1:
		name := args[0]
		if other, known := aliases[name]; known {
			name = other
		}
		c, ok := findCommand(name)
		if !ok {
			return p.wrongUsage(noCommand(args[0]))
		}
		c.usage(p.stdout)
		return exitOK
	}
	return p.wrongUsage("help takes one command")
}

// line is the usage in one line.
func (c command) line() string {
	line := "imapproxy " + c.name
	if c.args != "" {
		line += " " + c.args
	}
	for _, f := range c.flags() {
		if f.Name == c.extra {
			value, _ := flag.UnquoteUsage(f)
			line += " [" + value + "]"
		}
	}
	if len(c.flags()) > 0 {
		line += " [flags]"
	}
	return line
}

// flags lists the command's flags.
func (c command) flags() []*flag.Flag {
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.setup(fs)
	return cli.FlagsOf(fs)
}

// usage is what --help prints.
func (c command) usage(w io.Writer) {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: %s\n\n%s: %s.\n", c.line(), c.name, c.summary)
	if c.details != "" {
		b.WriteString("\n" + strings.TrimSpace(c.details) + "\n")
	}
	if flags := cli.FlagsHelp(c.flags()); flags != "" {
		b.WriteString("\n" + flags)
	}
	for i, s := range c.signals {
		if i == 0 {
			b.WriteString("\nSignals:\n")
		}
		fmt.Fprintf(&b, "  %-22s %s\n", s.names, s.does)
	}
	_, _ = io.WriteString(w, b.String())
}

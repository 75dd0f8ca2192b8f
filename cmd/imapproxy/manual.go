package main

import (
	"flag"
	"io"
	"maps"
	"slices"
	"strings"

	"imapproxy/cmd/cli"
	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/roff"
	"imapproxy/docs"
)

func manualCommand() command {
	return command{
		name: "manual", args: "PAGE",
		summary: "prints a manual page",
		details: `
The pages are imapproxy.8, imapproxy.toml.5, imapproxy-users.5 and
imapproxy-map.5, made from the texts of the help, of the configuration's keys,
and of the documentation. To read one: imapproxy manual imapproxy.8 | man -l -`,
		setup: func(*flag.FlagSet) func(*program, []string) int {
			return func(p *program, args []string) int {
				write := manuals()[args[0]]
				if write == nil {
					return p.wrongUsage("there is no page " + quote(args[0]) + "; write one of " +
						strings.Join(slices.Sorted(maps.Keys(manuals())), ", "))
				}
				_, _ = io.WriteString(p.stdout, write())
				return exitOK
			}
		},
	}
}

// manuals are the manual pages by the names of their files.
func manuals() map[string]func() string {
	return map[string]func() string{
		"imapproxy.8":      programManual,
		"imapproxy.toml.5": func() string { return config.Manual(version) },
		"imapproxy-users.5": func() string {
			return documentManual("imapproxy-users", "files of users and hashes of imapproxy", docs.Users)
		},
		"imapproxy-map.5": func() string {
			return documentManual("imapproxy-map", "map files of imapproxy", docs.Maps)
		},
	}
}

// documentManual makes a manual page of a page of docs.
func documentManual(name, summary, text string) string {
	p := roff.New(name, "5", version, summary)
	p.Section("Description")
	p.Markdown(text)
	p.Section("See also")
	p.Text("imapproxy(8), imapproxy.toml(5), imapproxy-users(5), imapproxy-map(5)")
	return p.String()
}

// programManual is imapproxy(8).
func programManual() string {
	p := roff.New("imapproxy", "8", version, "IMAP proxy that closes what it opens")
	p.Section("Synopsis")
	p.Text("imapproxy COMMAND [flags]")
	p.Section("Commands")
	for _, c := range commands() {
		p.Part(c.line())
		p.Text(strings.ToUpper(c.summary[:1]) + c.summary[1:] + ".")
		if c.details != "" {
			p.Text(c.details)
		}
		for _, f := range c.flags() {
			p.Item(cli.DescribeFlag(f))
		}
	}
	p.Section("Signals")
	p.Text("What imapproxy serve does with a signal:")
	for _, s := range signalUses() {
		p.Item("SIG"+strings.ReplaceAll(s.names, ", ", ", SIG"), s.does)
	}
	p.Section("Exit status")
	p.Text("0 fine, 1 failed, 2 wrong usage.")
	p.Section("Files")
	p.Item(defaultConfig, "The configuration, see imapproxy.toml(5).")
	p.Section("See also")
	p.Text("imapproxy.toml(5), imapproxy-users(5), imapproxy-map(5), imaprig(1)")
	return p.String()
}

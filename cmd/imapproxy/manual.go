package main

import (
	"flag"
	"io"
	"strings"

	"imapproxy/cmd/imapproxy/config"
	"imapproxy/cmd/roff"
)

func manualCommand() command {
	return command{
		name: "manual", args: "PAGE",
		summary: "prints the manual page imapproxy.8 or imapproxy.toml.5",
		details: `
The pages are made from the texts of the help and of the configuration's keys.
To read one: imapproxy manual imapproxy.8 | man -l -`,
		setup: func(*flag.FlagSet) func(*program, []string) int {
			return func(p *program, args []string) int {
				switch args[0] {
				case "imapproxy.8":
					_, _ = io.WriteString(p.stdout, programManual())
				case "imapproxy.toml.5":
					_, _ = io.WriteString(p.stdout, config.Manual(version))
				default:
					return p.wrongUsage("there is no page " + quote(args[0]) +
						"; write imapproxy.8 or imapproxy.toml.5")
				}
				return exitOK
			}
		},
	}
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
			p.Item(describeFlag(f))
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
	p.Text("imapproxy.toml(5), imaprig(1)")
	return p.String()
}

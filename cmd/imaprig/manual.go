package main

import (
	"bytes"
	"context"
	"io"

	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/roff"
)

// runManual prints imaprig(1), made of what each subcommand's --help prints.
func runManual(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		_, _ = io.WriteString(stderr, "usage: imaprig manual\n")
		if args[0] == "--help" || args[0] == "-h" {
			return rig.ExitOK
		}
		return rig.ExitUsage
	}
	p := roff.New("imaprig", "1", "", "drives an IMAP proxy and reports what it does with its sockets")
	p.Section("Synopsis")
	p.Text("imaprig SUBCOMMAND [flags] [arguments]")
	p.Section("Subcommands")
	for _, c := range commands() {
		p.Part(c.name)
		p.Text(c.summary + ".")
		var help bytes.Buffer
		c.run(ctx, []string{"--help"}, &help, &help)
		p.Verbatim(help.String())
	}
	p.Section("See also")
	p.Text("imapproxy(8)")
	_, err := io.WriteString(stdout, p.String())
	if err != nil {
		return rig.ExitFailed
	}
	return rig.ExitOK
}

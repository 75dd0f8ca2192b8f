package main

import (
	"context"
	"io"
	"strings"

	"imapproxy/cmd/imaprig/rig"
	"imapproxy/cmd/roff"
)

const manualHelp = `usage: imaprig manual

Prints the manual page imaprig(1).

It is made of what --help of each command prints. To read it: imaprig manual | man -l -`

// runManual prints imaprig(1).
func runManual(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if err := rig.ParseFlags(rig.NewFlags("manual"), args, manualHelp, stdout); err != nil {
		return rig.Failed(stderr, "manual", rig.WrongInput(err))
	}
	if _, err := io.WriteString(stdout, manualPage(ctx)); err != nil {
		return rig.ExitFailed
	}
	return rig.ExitOK
}

// manualPage returns imaprig(1), made of what --help of each command prints.
func manualPage(ctx context.Context) string {
	p := roff.New("imaprig", "1", version, "drives an IMAP proxy and reports what it does with its sockets")
	p.Section("Synopsis")
	p.Text("imaprig COMMAND [flags]")
	p.Section("Commands")
	for _, c := range commands() {
		h := helpOf(ctx, c)
		p.Part(c.name)
		p.Verbatim(strings.ReplaceAll(h.usage, "\n       ", "\n"))
		addText(p, h.details)
		for _, f := range h.flags {
			p.Item(strings.TrimSpace(f.name+" "+f.value), f.text)
		}
		addText(p, h.more)
	}
	p.Section("Exit status")
	p.Text("0 fine, 1 failed or a target missed, 2 wrong usage or input. With --once, watch ends with the level of a " +
		"monitoring plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")
	p.Section("See also")
	p.Text("imapproxy(8)")
	return p.String()
}

// addText adds paragraphs. In the help, rows of a table stand indented below the line that they belong to.
func addText(p *roff.Page, text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if head, rows, found := strings.Cut(paragraph, "\n"); found && strings.HasPrefix(rows, "  ") {
			if head, isRow := strings.CutPrefix(head, "  "); isRow {
				rows = head + "\n" + rows
			} else {
				p.Text(head)
			}
			paragraph = strings.ReplaceAll(strings.TrimPrefix(rows, "  "), "\n  ", "\n")
		}
		if paragraph != "" {
			p.Text(paragraph)
		}
	}
}

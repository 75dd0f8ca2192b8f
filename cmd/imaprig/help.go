package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"

	"imapproxy/cmd/cli"
	"imapproxy/cmd/imaprig/rig"
)

// aliases are other words for commands, which mean nothing else.
var aliases = map[string]string{
	"--version": "version", "-version": "version", "-v": "version", "-V": "version", "man": "manual",
}

// overview lists the commands.
func overview(w io.Writer) {
	var b strings.Builder
	b.WriteString("imaprig drives an IMAP proxy or server and reports what it does with its sockets.\n\n" +
		"usage: imaprig COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "  %-18s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	}
	b.WriteString("  help COMMAND       says more about a command, as COMMAND --help does\n\n")
	b.WriteString("Exit codes: 0 fine, 1 failed or a target missed, 2 wrong usage or input.\n")
	_, _ = io.WriteString(w, b.String())
}

// help answers `imaprig help [COMMAND]`.
func help(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	switch len(args) {
	case 0:
		overview(stdout)
		return rig.ExitOK
	case 1:
		if c, ok := findCommand(args[0]); ok {
			return c.run(ctx, []string{"--help"}, stdout, stderr)
		}
		return complain(stderr, noCommand(args[0]))
	}
	return complain(stderr, "help takes one command")
}

func noCommand(name string) string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return cli.NoCommand("imaprig", name, names)
}

// helpText is what --help of a command prints, in parts.
type helpText struct {
	usage, details string
	flags          []shownFlag
	more           string // after the flags
}

// shownFlag is a flag as the help shows it.
type shownFlag struct{ name, value, text string }

// flagLine is a flag in what --help prints, with its value and its text, which goes on in lines that are indented more.
var flagLine = regexp.MustCompile(`(?m)^  (--?[a-z][a-z0-9-]*)(?: (\S+))? +(\S.*\n(?: {4,}\S.*\n)*)`)

// helpOf returns what --help of a command prints.
func helpOf(ctx context.Context, c command) helpText {
	var out bytes.Buffer
	c.run(ctx, []string{"--help"}, &out, &out)
	text, list, _ := strings.Cut(out.String(), "\nFlags:\n")
	var h helpText
	h.usage, h.details, _ = strings.Cut(strings.TrimPrefix(text, "usage: "), "\n\n")
	end := 0
	for _, at := range flagLine.FindAllStringSubmatchIndex(list, -1) {
		part := func(i int) string { return list[max(at[2*i], 0):max(at[2*i+1], 0)] }
		h.flags = append(h.flags, shownFlag{part(1), part(2), strings.Join(strings.Fields(part(3)), " ")})
		end = at[1]
	}
	h.more = strings.TrimSpace(list[end:])
	return h
}

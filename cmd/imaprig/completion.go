package main

import (
	"bytes"
	"context"
	"io"
	"regexp"

	"imapproxy/cmd/completion"
	"imapproxy/cmd/imaprig/rig"
)

// flagLine is a flag in what --help prints, with its value.
var flagLine = regexp.MustCompile(`(?m)^  -([a-z][a-z0-9-]*)(?: (\S+))?`)

// runCompletion prints what has bash complete the subcommands and their flags, made of what
// --help of each prints.
func runCompletion(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		_, _ = io.WriteString(stderr, "usage: imaprig completion\n\nprints the completion for bash\n")
		if args[0] == "--help" || args[0] == "-h" {
			return rig.ExitOK
		}
		return rig.ExitUsage
	}
	var list []completion.Command
	for _, c := range commands() {
		done := completion.Command{Name: c.name, Summary: c.summary}
		var help bytes.Buffer
		c.run(ctx, []string{"--help"}, &help, &help)
		for _, f := range flagLine.FindAllStringSubmatch(help.String(), -1) {
			done.Flags = append(done.Flags, completion.Flag{Name: "--" + f[1], Value: f[2] != "", File: f[2] == "FILE"})
		}
		list = append(list, done)
	}
	if _, err := io.WriteString(stdout, completion.Script("bash", "imaprig", list)); err != nil {
		return rig.ExitFailed
	}
	return rig.ExitOK
}

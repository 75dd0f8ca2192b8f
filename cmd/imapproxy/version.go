package main

import (
	"flag"
	"fmt"
	"runtime/debug"

	"imapproxy/cmd/cli"
)

// version is set by the linker for a release: -ldflags "-X main.version=1.2.3".
var version string

func versionCommand() command {
	return command{
		name:    "version",
		summary: "prints the version, the commit it was built from and Go's version",
		setup: func(*flag.FlagSet) func(*program, []string) int {
			return func(p *program, _ []string) int {
				info, _ := debug.ReadBuildInfo()
				_, _ = fmt.Fprintln(p.stdout, cli.VersionText("imapproxy", version, info))
				return exitOK
			}
		},
	}
}

package main

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
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
				_, _ = fmt.Fprintln(p.stdout, versionText(version, info))
				return exitOK
			}
		},
	}
}

// versionText puts together what the linker and the build know; info may be nil.
func versionText(linked string, info *debug.BuildInfo) string {
	name, commit, changed := linked, "", ""
	if info != nil {
		if name == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
			name = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = ", with changes"
			}
		}
	}
	if name == "" {
		name = "development"
	}
	if commit != "" {
		commit = " (commit " + commit[:min(12, len(commit))] + changed + ")"
	}
	return fmt.Sprintf("imapproxy %s%s, %s %s/%s", name, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

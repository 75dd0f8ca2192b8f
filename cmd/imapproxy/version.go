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
	commit, changed := "", ""
	if info != nil {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				changed = ", with changes"
			}
		}
	}
	if commit != "" {
		commit = " (commit " + commit[:min(12, len(commit))] + changed + ")"
	}
	return fmt.Sprintf("imapproxy %s%s, %s %s/%s", versionName(linked, info), commit, runtime.Version(), runtime.GOOS,
		runtime.GOARCH)
}

// versionName is only the version; info may be nil.
func versionName(linked string, info *debug.BuildInfo) string {
	switch {
	case linked != "":
		return linked
	case info != nil && info.Main.Version != "" && info.Main.Version != "(devel)":
		return info.Main.Version
	}
	return "development"
}

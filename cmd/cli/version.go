package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// VersionText returns what a program's command version prints: what the linker and the build know; info may be nil.
func VersionText(program, linked string, info *debug.BuildInfo) string {
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
	return fmt.Sprintf("%s %s%s, %s %s/%s", program, VersionName(linked, info), commit, runtime.Version(), runtime.GOOS,
		runtime.GOARCH)
}

// VersionName returns only the version; info may be nil.
func VersionName(linked string, info *debug.BuildInfo) string {
	switch {
	case linked != "":
		return linked
	case info != nil && info.Main.Version != "" && info.Main.Version != "(devel)":
		return info.Main.Version
	}
	return "development"
}

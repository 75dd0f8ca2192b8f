package cli

import (
	"flag"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

func TestParseAnywhere(t *testing.T) {
	tests := []struct {
		args, plain, x string
	}{
		{"", "", ""},
		{"a", "a", ""},
		{"--x 1 a", "a", "1"},
		{"a --x 1", "a", "1"},
		{"a --x=1 b", "a b", "1"},
		{"a -- --x 1", "a --x 1", ""},
		{"-- a", "a", ""},
		{"--x 1 -- -b c", "-b c", "1"},
		{"--x -- a", "a", "--"},
	}
	for _, tt := range tests {
		fs := flag.NewFlagSet("t", flag.ContinueOnError)
		x := fs.String("x", "", "")
		plain, err := ParseAnywhere(fs, strings.Fields(tt.args))
		if err != nil || !slices.Equal(plain, strings.Fields(tt.plain)) || *x != tt.x {
			t.Errorf("%q: %q, x %q, error %v", tt.args, plain, *x, err)
		}
	}
}

func TestVersionText(t *testing.T) {
	vcs := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	changed := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	tests := []struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		{"", nil, "imapproxy development, go"},
		{"1.2.3", nil, "imapproxy 1.2.3, go"},
		{"1.2.3", vcs("v9", commit), "imapproxy 1.2.3 (commit 0123456789ab), go"},
		{"", vcs("v1.0.0", commit, changed), "imapproxy v1.0.0 (commit 0123456789ab, with changes), go"},
		{"", vcs("(devel)"), "imapproxy development, go"},
	}
	for _, tt := range tests {
		if got := VersionText("imapproxy", tt.linked, tt.info); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

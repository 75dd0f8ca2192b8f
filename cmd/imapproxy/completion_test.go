package main

import (
	"strings"
	"testing"

	"imapproxy/cmd/cli"
	"imapproxy/cmd/completion"
)

// TestCompletion has every command and every flag in the script of each shell.
func TestCompletion(t *testing.T) {
	for _, shell := range completion.Shells() {
		code, script, stderr := runIn(t, t.TempDir(), "", "completion", shell)
		if code != exitOK || stderr != "" {
			t.Fatalf("%s: exit code %d, %s", shell, code, stderr)
		}
		begin := map[string]string{"bash": "complete -F _imapproxy imapproxy\n", "zsh": "#compdef imapproxy\n",
			"fish": "complete -c imapproxy "}[shell]
		if !strings.Contains(script, begin) {
			t.Errorf("%s: no %q", shell, begin)
		}
		for _, c := range commands() {
			if !strings.Contains(script, c.name) {
				t.Errorf("%s: no command %s", shell, c.name)
			}
			for _, f := range c.flags() {
				name := cli.Dashed(f.Name)
				if shell == "fish" {
					name = fishOption(name)
				}
				if !strings.Contains(script, name) {
					t.Errorf("%s: %s has no %s", shell, c.name, name)
				}
			}
		}
	}
	if code, _, stderr := runIn(t, t.TempDir(), "", "completion", "tcsh"); code != exitUsage ||
		!strings.Contains(stderr, "bash, zsh, fish") {
		t.Errorf("tcsh: exit code %d, %s", code, stderr)
	}
}

// fishOption is a flag as fish's complete takes it.
func fishOption(name string) string {
	if long, found := strings.CutPrefix(name, "--"); found {
		return " -l " + long + " "
	}
	return " -s " + name[1:] + " "
}

package main

import (
	"bytes"
	"strings"
	"testing"

	"imapproxy/cmd/imaprig/rig"
)

// TestCompletion has the subcommands and their flags, read from their help.
func TestCompletion(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"completion"}, &out, &errs); code != rig.ExitOK || errs.Len() > 0 {
		t.Fatalf("exit code %d, %s", code, &errs)
	}
	script := out.String()
	for _, c := range commands() {
		if !strings.Contains(script, "\t"+c.name+") flags=") {
			t.Errorf("no subcommand %s", c.name)
		}
	}
	for _, want := range []string{"\tload) flags=\"--duration ",
		"\tbackend) flags=\"--idle-push --ignore-eof --listen ",
		" --once "} {
		if !strings.Contains(script, want) {
			t.Errorf("no %s in\n%s", want, script)
		}
	}
	if code := run([]string{"completion", "zsh"}, &out, &errs); code != rig.ExitUsage {
		t.Errorf("with a shell: exit code %d", code)
	}
}

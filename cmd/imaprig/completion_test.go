package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"imapproxy/cmd/completion"
	"imapproxy/cmd/imaprig/rig"
)

// TestCompletion has the commands and their flags, read from their help.
func TestCompletion(t *testing.T) {
	script := completionFor(t)
	for _, c := range commands() {
		if !strings.Contains(script, "\t"+c.name+") flags=") {
			t.Errorf("no command %s", c.name)
		}
	}
	for _, want := range []string{"\tload) flags=\"--duration ",
		"\tbackend) flags=\"--idle-push --ignore-eof --listen ",
		" --once ", ` file_flags="--state" `, ` words="login rtt `} {
		if !strings.Contains(script, want) {
			t.Errorf("no %s in\n%s", want, script)
		}
	}
	for _, shell := range completion.Shells() {
		if !strings.Contains(completionFor(t, shell), "warn-count") {
			t.Errorf("%s: no --warn-count", shell)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"completion", "tcsh"}, &out, &errs); code != rig.ExitUsage ||
		!strings.Contains(errs.String(), "bash, zsh, fish") {
		t.Errorf("tcsh: exit code %d, %s", code, &errs)
	}
}

func completionFor(t *testing.T, shell ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(append([]string{"completion"}, shell...), &out, &errs); code != rig.ExitOK || errs.Len() > 0 {
		t.Fatalf("%v: exit code %d, %s", shell, code, &errs)
	}
	return out.String()
}

// TestHelpOfEveryCommand has the help in imapproxy's style, in both ways of asking, and each flag of it in the manual.
func TestHelpOfEveryCommand(t *testing.T) {
	page := strings.ReplaceAll(manualPage(t.Context()), `\-`, "-")
	for _, word := range strings.Fields(page) {
		if len(word) > 70 {
			t.Errorf("the manual can't break a line at %q", word)
		}
	}
	for _, c := range commands() {
		var long, short, errs bytes.Buffer
		if code := run([]string{c.name, "--help"}, &long, &errs); code != rig.ExitOK || errs.Len() > 0 {
			t.Errorf("%s --help: exit code %d, %s", c.name, code, &errs)
		}
		run([]string{"help", c.name}, &short, &errs)
		if !strings.HasPrefix(long.String(), "usage: imaprig "+c.name) || long.String() != short.String() {
			t.Errorf("%s: help %q, want a usage; the other way %q", c.name, &long, &short)
		}
		if strings.Contains(long.String(), "(default") {
			t.Errorf("%s: a default that is not \"(without it: …)\" in\n%s", c.name, &long)
		}
		h := helpOf(t.Context(), c)
		if n := strings.Count(long.String(), "\n  --"); n != len(h.flags) {
			t.Errorf("%s: %d flags in the help, %d found", c.name, n, len(h.flags))
		}
		_, list, _ := strings.Cut(long.String(), "\nFlags:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		var found []string
		for _, f := range h.flags {
			found = append(found, strings.Fields(f.name+" "+f.value+" "+f.text)...)
		}
		if !slices.Equal(found, strings.Fields(list)) {
			t.Errorf("%s: the flags of the help are\n%s\nfound %q", c.name, list, found)
		}
		for _, f := range h.flags {
			if f.value != strings.ToUpper(f.value) || !strings.HasPrefix(f.name, "--") {
				t.Errorf("%s: %s %s: want --flag VALUE", c.name, f.name, f.value)
			}
			if term := strings.TrimSpace(f.name + " " + f.value); !strings.Contains(page, ".TP\n.B \""+term+"\"\n") {
				t.Errorf("%s: the manual does not have %s", c.name, term)
			}
		}
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"

	"imapproxy/cmd/cli"
)

// TestSignalsDocumented has the same words in the help, in the manual and in
// docs/upgrade.md, and no signal that only one of them knows.
func TestSignalsDocumented(t *testing.T) {
	doc := strings.ReplaceAll(mustRead(t, "../../docs/upgrade.md"), "`", "")
	_, table, _ := strings.Cut(doc, "\n## The signals\n")
	table, _, _ = strings.Cut(table, "\n## ")
	_, help, _ := runIn(t, t.TempDir(), "", "help", "serve")
	page := strings.ReplaceAll(programManual(), `\-`, "-")
	_, page, found := strings.Cut(page, `.SH "SIGNALS"`)
	if !found {
		t.Fatal("the manual has no signals")
	}
	page, _, _ = strings.Cut(page, ".SH ")
	uses := signalUses()
	for _, s := range uses {
		names := "SIG" + strings.ReplaceAll(s.names, ", ", ", SIG")
		if !strings.Contains(table, fmt.Sprintf("\n| %s | %s |\n", s.names, s.does)) {
			t.Errorf("docs/upgrade.md does not say the same of %s", s.names)
		}
		if !strings.Contains(help, s.does) || !strings.Contains(page, fmt.Sprintf(".TP\n.B %q\n%s\n", names, s.does)) {
			t.Errorf("the help or the manual does not say the same of %s", s.names)
		}
	}
	if rows := strings.Count(table, "\n| ") - 1; rows != len(uses) || strings.Count(page, ".TP") != len(uses) {
		t.Errorf("docs/upgrade.md has %d signals, the manual %d, want %d", rows, strings.Count(page, ".TP"), len(uses))
	}
}

// TestManualKeepsTables has each row of the table of `imapproxy pool` as an item.
func TestManualKeepsTables(t *testing.T) {
	page := programManual()
	for _, column := range []string{"LEASED", "WAITING", "IDLE", "CHECKING", "RESETTING", "DIALLING", "SPARE",
		"MAXWAIT", "HITS", "MISSES", "NOT REUSED"} {
		if !strings.Contains(page, ".TP\n.B \""+column+"\"\n") {
			t.Errorf("the manual has %s not as a row", column)
		}
	}
}

// TestFlagsAsWritten has one dash for -o and two for the others, in the help and in the manual.
func TestFlagsAsWritten(t *testing.T) {
	page := strings.ReplaceAll(programManual(), `\-`, "-")
	for _, c := range commands() {
		_, help, _ := runIn(t, t.TempDir(), "", "help", c.name)
		for _, f := range c.flags() {
			term, _ := cli.DescribeFlag(f)
			if (len(f.Name) == 1) == strings.HasPrefix(term, "--") {
				t.Errorf("%s: %s", c.name, term)
			}
			if !strings.Contains(page, ".TP\n.B \""+term+"\"\n") || !strings.Contains(help, "\n  "+term+" ") {
				t.Errorf("%s: the help or the manual does not have %s", c.name, term)
			}
		}
	}
	if strings.Contains(page, "\"--o ") {
		t.Error("the manual has --o")
	}
}

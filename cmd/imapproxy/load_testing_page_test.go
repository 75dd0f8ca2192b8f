package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const loadTestingPage = "../../docs/load-testing.md"

// found are the parts of a text that the first group of a pattern matches, sorted, each once.
func found(text, pattern string) []string {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all[m[1]] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// TestLoadTestingMetrics: docs/load-testing.md names no metric that docs/metrics.md
// does not have, which a test holds to the program's.
func TestLoadTestingMetrics(t *testing.T) {
	page := mustRead(t, loadTestingPage)
	_, table, _ := strings.Cut(page, "\n| metric | says |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	names := slices.Concat(found(page, `(imapproxy_\w+)`), found(table, "`((?:process|go)_[a-z_]+)`"))
	if len(names) < 20 {
		t.Errorf("only %q found", names)
	}
	documented := documentedMetrics(t)
	for _, name := range names {
		if _, ok := documented[name]; !ok {
			t.Errorf("there is no metric %s", name)
		}
	}
}

// TestLoadTestingProperties: the page has the properties that the plan reads, and
// the commands in it set no others.
func TestLoadTestingProperties(t *testing.T) {
	page := mustRead(t, loadTestingPage)
	_, table, _ := strings.Cut(page, "\n| property | default | is |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	read := found(mustRead(t, jmeterPlan), `\$\{__P\((\w+),`)
	if documented := found(table, "(?m)^\\| `(\\w+)` \\|"); !slices.Equal(documented, read) {
		t.Errorf("the page has the properties %q, the plan reads %q", documented, read)
	}
	for _, name := range found(page, `-J(\w+)=`) {
		if !slices.Contains(read, name) {
			t.Errorf("the plan does not read -J%s", name)
		}
	}
}

// TestLoadTestingDovecot: the page has the limits that the tests' Dovecots have.
func TestLoadTestingDovecot(t *testing.T) {
	if limits := strings.ReplaceAll(roomyServices, "\n", "\n    "); !strings.Contains(mustRead(t, loadTestingPage),
		strings.TrimRight(limits, " ")) {
		t.Errorf("the page has not:\n%s", limits)
	}
}

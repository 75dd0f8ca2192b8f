package rules

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

const (
	maxColumns = 120
	tabColumns = 4 // what a tab counts as
)

// checkColumns: lines of Go have at most 120 columns, struct tags included. A tab
// counts as four.
func checkColumns(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, true) {
		for i, line := range strings.Split(f.text, "\n") {
			if n := utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t"); n > maxColumns {
				problems = append(problems, fmt.Sprintf("%s:%d: %d columns, at most %d", f.path, i+1, n, maxColumns))
			}
		}
	}
	return problems
}

// neighbours are packages that are read together: a file's name is enough to find
// it there.
func neighbours(dir string) string {
	switch first, rest, _ := strings.Cut(dir, "/"); first {
	case "imapproxy", "backend":
		return "imapproxy and backend"
	case "cmd":
		program, _, _ := strings.Cut(rest, "/")
		return "cmd/" + program
	default:
		return first
	}
}

// checkNames: no two files of neighbouring packages have the same name, but for
// those that every package has.
func checkNames(files []*file) []string {
	var problems []string
	seen := map[string]string{}
	for _, f := range goFiles(files, true) {
		base := path.Base(f.path)
		if base == "main_test.go" || base == "doc.go" {
			continue
		}
		key := neighbours(f.dir()) + " " + base
		if other := seen[key]; other != "" {
			problems = append(problems, fmt.Sprintf("%s: has the name of %s, in a neighbouring package", f.path, other))
		}
		seen[key] = f.path
	}
	return problems
}

// maxFiles is how many files, tests not counted, may stand directly in a folder.
var maxFiles = map[string]int{"cmd/imapproxy": 60, "cmd/imaprig": 12}

// checkCrowding: the programs' folders stay small enough to be read as a list.
func checkCrowding(files []*file) []string {
	count := map[string]int{}
	for _, f := range goFiles(files, false) {
		count[f.dir()]++
	}
	var problems []string
	for dir, most := range maxFiles {
		if count[dir] > most {
			problems = append(problems, fmt.Sprintf("%s: %d files, at most %d", dir, count[dir], most))
		}
	}
	return problems
}

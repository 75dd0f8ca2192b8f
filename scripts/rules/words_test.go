package rules

import (
	"fmt"
	"regexp"
	"strings"
)

// forbidden is what no file of the project may say: it stands alone, and what
// is left to do is in the tracker. The pieces are joined here so that this
// file does not say it.
var forbidden = []struct {
	what string
	text *regexp.Regexp
}{
	{"a mark of unfinished work", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)},
	{"a file outside the project", regexp.MustCompile(`\.\./sha` + `red\b`)},
	{"a path of one machine", regexp.MustCompile(`(^|[^\w.~-])/(wo` + `rk|ro` + `ot)(/|\b)`)},
	{"a package registry", regexp.MustCompile(`\b(proxy\.go` + `lang\.org|sum\.go` + `lang\.org|py` +
		`pi\.org|registry\.np` + `mjs\.org|deb\.deb` + `ian\.org|repo1?\.ma` + `ven\.|goproxy\.(io|cn)\b)`)},
}

// checkWords looks for the forbidden words in every text file.
func checkWords(files []*file) []string {
	var problems []string
	for _, f := range files {
		for number, line := range strings.Split(f.text, "\n") {
			for _, word := range forbidden {
				if found := word.text.FindString(line); found != "" {
					problems = append(problems, fmt.Sprintf("%s:%d: %s: %q", f.path, number+1, word.what, found))
				}
			}
		}
	}
	return problems
}

var (
	makeCommand = regexp.MustCompile("(?m)(?:`|^[ \t]+(?:\\$ )?|^\\$ )make ([a-z][a-z-]*)")
	makeTarget  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
)

// checkReadme: the README names make run and make test, every page of docs and
// CONTRIBUTING.md, and every make command that it names exists.
func checkReadme(files []*file) []string {
	targets, commands := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		switch f.path {
		case "Makefile":
			for _, m := range makeTarget.FindAllStringSubmatch(f.text, -1) {
				targets[m[1]] = true
			}
		case "README.md":
			for _, m := range makeCommand.FindAllStringSubmatch(f.text, -1) {
				commands[m[1]] = true
			}
		}
	}
	problems := unnamedPages(files)
	for _, needed := range []string{"run", "test"} {
		if !commands[needed] {
			problems = append(problems, "README.md: does not name `make "+needed+"`")
		}
	}
	for command := range commands {
		if !targets[command] {
			problems = append(problems, "README.md: names `make "+command+"`, which the Makefile does not have")
		}
	}
	return problems
}

// unnamedPages are those that the README does not lead to.
func unnamedPages(files []*file) []string {
	readme := ""
	for _, f := range files {
		if f.path == "README.md" {
			readme = f.text
		}
	}
	var problems []string
	for _, f := range files {
		page := f.dir() == "docs" && f.ast == nil || f.path == "CONTRIBUTING.md"
		if page && !strings.Contains(readme, "("+f.path+")") {
			problems = append(problems, "README.md: does not lead to "+f.path)
		}
	}
	return problems
}

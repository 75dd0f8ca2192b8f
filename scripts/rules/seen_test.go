package rules

import (
	"slices"
	"strings"
	"testing"
)

// source is a small file: a path and a text.
type source struct{ path, text string }

// badSource is what breaks one rule, and what the rule says to it.
type badSource struct {
	rule    string
	want    string
	sources []source
}

// bad are sources for all rules but that of the loop (see loop_seen_test.go).
var bad = []badSource{
	{"imports", "cmd/imaprig/load may not import cmd/imaprig/internal/rigtest", []source{
		{"cmd/imaprig/load/a.go",
			"package load\nimport \"imapproxy/cmd/imaprig/internal/rigtest\"\nvar f = rigtest.Addr"}}},
	{"imports", "backend/ledger may not import scripts/dialogue", []source{
		{"backend/ledger/a.go", "package ledger\nimport \"imapproxy/scripts/dialogue\"\nvar f dialogue.Format"}}},
	{"imports", "auth may not import backend", []source{
		{"auth/a.go", "package auth\nimport \"imapproxy/backend\"\nvar _ backend.Target"}}},
	{"imports", "auth/ldapauth may not import imapproxy", []source{
		{"auth/ldapauth/a.go", "package ldapauth\nimport \"imapproxy/imapproxy\""}}},
	{"imports", "auth may not import backend/wire", []source{
		{"auth/a.go", "package auth\nimport \"imapproxy/backend/wire\"\nvar _ wire.Wire"}}},
	{"imports", "auth/httpauth may not import backend", []source{
		{"auth/httpauth/a.go", "package httpauth\nimport \"imapproxy/backend\"\nvar _ backend.Target"}}},
	{"imports", "backend/loop may not import backend", []source{
		{"backend/loop/a.go", "package loop\nimport \"imapproxy/backend\"\nvar _ backend.Target"}}},
	{"imports", "backend/pool may not import auth", []source{
		{"backend/pool/a_test.go", "package pool\nimport \"imapproxy/auth\""}}},
	{"imports", "imapproxy may not import auth/httpauth", []source{
		{"imapproxy/a.go", "package imapproxy\nimport \"imapproxy/auth/httpauth\""}}},
	{"imports", "imapproxy may not import cmd/imapproxy", []source{
		{"imapproxy/a.go", "package imapproxy\nimport \"imapproxy/cmd/imapproxy\""}}},
	{"imports", "the folder util", []source{
		{"util/a.go", "package util"}}},
	{"imports", "no blank and no dot imports", []source{
		{"cmd/imapproxy/a.go", "package main\nimport _ \"imapproxy/auth\""}}},
	{"imports", "no blank and no dot imports", []source{
		{"auth/a.go", "package auth\nimport . \"fmt\""}}},

	{"goroutines", "backend/a.go:2: go statement", []source{
		{"backend/a.go", "package backend\nfunc f() { go f() }"}}},
	{"goroutines", "go statement", []source{
		{"auth/end.go", "package auth\nfunc f() { go f() }"}}},
	{"goroutines", "go statement", []source{
		{"backend/loop/task.go", "package loop\nfunc f() { go f() }"}}},
	{"goroutines", "go statement", []source{
		{"imapproxy/session.go", "package imapproxy\nfunc f() { go f() }"}}},
	{"goroutines", "a method that starts a goroutine", []source{
		{"auth/a.go", "package auth\nimport \"sync\"\nfunc f(w *sync.WaitGroup) { w.Go(func() {}) }"}}},
	{"goroutines", "use timing.Clock", []source{
		{"backend/a.go", "package backend\nimport \"time\"\nvar t = time.AfterFunc(1, nil)"}}},
	{"goroutines", "context.AfterFunc", []source{
		{"imapproxy/a.go", "package imapproxy\nimport c \"context\"\nfunc f(x c.Context) { c.AfterFunc(x, nil) }"}}},

	{"recover", "imapproxy/a.go:2: recover", []source{
		{"imapproxy/a.go", "package imapproxy\nfunc f() { defer func() { _ = recover() }() }"}}},
	{"recover", "recover", []source{
		{"backend/outside.go", "package backend\nfunc f() { recover() }"}}},
	{"recover", "recover", []source{
		{"imapproxy/loops.go", "package imapproxy\nfunc f() { recover() }"}}},

	{"exit", "cmd/imapproxy/serve.go:3: ends the process", []source{
		{"cmd/imapproxy/serve.go", "package main\nimport \"os\"\nfunc f() { os.Exit(1) }"}}},
	{"exit", "ends the process", []source{
		{"auth/main.go", "package auth\nimport system \"os\"\nfunc f() { system.Exit(1) }"}}},
	{"exit", "Fatal ends the process", []source{
		{"cmd/imapproxy/a.go", "package main\nimport \"log\"\nfunc f() { log.Fatalf(\"\") }"}}},

	{"sizes", "401 lines", []source{
		{"auth/a_test.go", "package auth\n" + strings.Repeat("\n", 400)}}},
	{"sizes", "f has 81 lines", []source{
		{"cmd/imapproxy/a.go", "package main\nfunc f() {" + strings.Repeat("\n", 80) + "}"}}},

	{"columns", "auth/a.go:2: 121 columns", []source{
		{"auth/a.go", "package auth\n\t//" + strings.Repeat("x", 115) + "\n\t//" + strings.Repeat("ü", 114)}}},

	{"names", "backend/pool/end.go: has the name of imapproxy/end.go", []source{
		{"imapproxy/end.go", "package imapproxy"}, {"backend/pool/end.go", "package pool"}}},
	{"names", "cmd/imapproxy/config/load.go: has the name of cmd/imapproxy/load.go", []source{
		{"cmd/imapproxy/load.go", "package main"}, {"cmd/imapproxy/config/load.go", "package config"}}},

	{"crowding", "cmd/imaprig: 13 files, at most 12", slices.Repeat([]source{
		{"cmd/imaprig/a.go", "package main"}}, 13)},

	{"init", "no init()", []source{
		{"cmd/imapproxy/a.go", "package main\nfunc init() {}"}}},

	{"state", "cache: it has no value yet", []source{
		{"auth/a.go", "package auth\nvar cache map[string]string"}}},
	{"state", "lock: neither", []source{
		{"auth/a.go", "package auth\nimport \"sync\"\nvar lock = sync.Mutex{}"}}},
	{"state", "cache: neither", []source{
		{"auth/a.go", "package auth\nvar cache = map[string]string{}"}}},
	{"state", "limit: neither", []source{
		{"backend/a.go", "package backend\nvar limit = 5"}}},
	{"state", "version: neither", []source{
		{"backend/a.go", "package backend\nvar version = \"5\""}}},
	{"state", "table is changed at auth/b.go:2", []source{
		{"auth/a.go", "package auth\nvar table = map[string]int{\"a\": 1}"},
		{"auth/b.go", "package auth\nfunc f() { table[\"b\"]++ }"}}},
	{"state", "table is changed at auth/a.go:3", []source{
		{"auth/a.go", "package auth\nvar table = []int{1}\nfunc f() { table[0] = 2 }"}}},
	{"state", "table is changed", []source{
		{"auth/a.go", "package auth\nvar table = map[int]int{1: 1}\nfunc f() { delete(table, 1) }"}}},
	{"state", "ErrX is changed", []source{
		{"auth/a.go",
			"package auth\nimport \"errors\"\nvar ErrX = errors.New(\"\")\nfunc f() *error { return &ErrX }"}}},

	{"docstrings", "F has no docstring", []source{
		{"auth/a.go", "package auth\nfunc F() {}"}}},
	{"docstrings", "M has no docstring", []source{
		{"auth/a.go", "package auth\n// T is one.\ntype T struct{}\nfunc (*T) M() {}"}}},
	{"docstrings", "C has no docstring", []source{
		{"auth/a.go", "package auth\nconst (\n\tC = 1\n)"}}},

	{"leaks", "auth: no TestMain", []source{
		{"auth/a.go", "package auth"},
		{"auth/a_test.go", "package auth\nimport \"testing\"\nfunc TestMain(m *testing.M) { m.Run() }"}}},

	{"words", "docs/a.md:2: a mark of unfinished work", []source{
		{"docs/a.md", "text\n<!-- TO" + "DO -->"}}},
	{"words", "a mark of unfinished work", []source{
		{"auth/a.go", "package auth // FIX" + "ME"}}},
	{"words", "a file outside the project", []source{
		{"README.md", "see ../sha" + "red/DESIGN.md"}}},
	{"words", "a path of one machine", []source{
		{"Makefile", "x:\n\tcd /wo" + "rk/main"}}},
	{"words", "a path of one machine", []source{
		{"docs/a.md", "`/ro" + "ot/.cache`"}}},
	{"words", "a package registry", []source{
		{".ci/run", "GOPROXY=https://proxy.go" + "lang.org"}}},

	{"readme", "does not name `make run`", []source{
		{"README.md", "`make test`"}, {"Makefile", "test:"}}},
	{"readme", "names `make demo`", []source{
		{"README.md", "    make run\n    $ make test\n`make demo`"}, {"Makefile", "run: build\ntest:"}}},

	{"readme", "does not lead to docs/b.md", []source{
		{"README.md", "`make run` `make test` [a](docs/a.md)"}, {"Makefile", "run: build\ntest:"},
		{"docs/a.md", ""}, {"docs/b.md", ""}}},

	{"documents", "CONTRIBUTING.md:2: names auth/b.go", []source{
		{"auth/a.go", "package auth"}, {"CONTRIBUTING.md", "`auth/a.go`\n`auth/b.go`"}}},
	{"documents", "names docs/b.md", []source{{"docs/architecture.md", "[b](b.md) [self](architecture.md)"}}},
	{"documents", "names auth.G", []source{
		{"auth/a.go", "package auth\nfunc F() {}"}, {"CONTRIBUTING.md", "`auth.F` `F` `auth.G`"}}},
	{"documents", "names T.g", []source{
		{"auth/a.go", "package auth\ntype T struct{ f int }"}, {"CONTRIBUTING.md", "`T.f` `T.g`"}}},
	{"documents", "names make b", []source{
		{"Makefile", "a:"}, {"CONTRIBUTING.md", "`make a` `make b`"}}},
	{"documents", "names -gone", []source{
		{"auth/a.go", "package auth\nconst c = \"there\""}, {"CONTRIBUTING.md", "`-there` `-gone`"}}},
	{"documents", "names TestGone", []source{
		{"auth/a_test.go", "package auth\nfunc TestA() {}"},
		{"CONTRIBUTING.md", "    go test ./auth -run TestA\n    go test ./auth -run TestGone"}}},
}

// good are sources that come close to the rules and keep them.
var good = []source{
	{"Makefile", "run: build\ntest:\n"},
	{"README.md", "    make run\n    make test\n\nThe records make sure of it. Don't work/around mktemp.XXXXXX.\n"},
	{"auth/a.go", `// Package auth is small.
package auth

import (
	"errors"
	"regexp"
	"strings"
	"sync"
)

// ErrX is an error.
var ErrX = errors.New("x")

var (
	_       error = ErrX
	pattern       = regexp.MustCompile("x")
	table         = map[string]int{"a": 1}
	crlf          = []byte("\r\n")
	letters       = func() (c [256]bool) { c['a'] = true; return }()
	buffers       = sync.Pool{New: func() any { return new([16]byte) }}
)

// F shadows the table, which is no change.
func F(s string) int {
	table := map[string]int{}
	table["b"] = 1
	crlf := strings.Clone(s)
	crlf += "x"
	return table[crlf]
}

// E is an error.
type E struct{}

func (E) Error() string { return "" }

type inner struct{}

func (inner) Exported() {}
`},
	{"auth/a_test.go", "package auth\nimport (\n\"go.uber.org/goleak\"\n\"os\"\n\"testing\"\n)\nfunc TestMain(m " +
		"*testing.M) { go f(); defer recover(); goleak.VerifyTestMain(m); os.Exit(0) }"},
	{"auth/httpauth/b_test.go", "package httpauth\nimport \"imapproxy/auth\""},
	{"backend/timing/clock.go", "package timing\nimport \"time\"\nfunc f() { time.AfterFunc(1, nil) }"},
	{"backend/ledger/c_test.go", "package ledger\nimport \"imapproxy/scripts/dialogue\""},
	{"backend/a_test.go", "package backend\nimport \"go.uber.org/goleak\"\nvar f = goleak.VerifyTestMain"},
	{"backend/timing/t_test.go", "package timing\nimport \"go.uber.org/goleak\"\nvar f = goleak.VerifyTestMain"},
	{"imapproxy/end.go", "package imapproxy\nfunc f() { go f(); recover() }"},
	{"imapproxy/b_test.go", "package imapproxy\nimport \"go.uber.org/goleak\"\nvar f = goleak.VerifyTestMain"},
	{"cmd/imapproxy/main.go", "package main\nimport (\n_ " +
		"\"embed\"\n\"os\"\n\"imapproxy/auth/httpauth\"\n)\n//go:embed a.txt\nvar text string\nvar version = " +
		"\"x\"\nfunc main() { go main(); _ = httpauth.Options{}; os.Exit(1) }"},
	{"cmd/imapproxy/a_test.go", "package main\nimport \"go.uber.org/goleak\"\nvar f = goleak.VerifyTestMain"},
}

func TestRulesFail(t *testing.T) {
	check := map[string]func([]*file) []string{}
	for _, r := range rules {
		check[r.name] = r.check
	}
	seen := map[string]bool{}
	for _, b := range slices.Concat(bad, badInLoop) {
		seen[b.rule] = true
		problems := check[b.rule](parseAll(t, b.sources))
		if len(problems) != 1 || !strings.Contains(problems[0], b.want) {
			t.Errorf("%s: the rule said %q, want one problem with %q; of %v", b.rule, problems, b.want, b.sources)
		}
	}
	for _, r := range rules {
		if !seen[r.name] {
			t.Errorf("%s: no source shows that this rule can fail", r.name)
		}
	}
}

func TestRulesPass(t *testing.T) {
	files := parseAll(t, slices.Concat(good, goodInLoop))
	for _, r := range rules {
		for _, problem := range r.check(files) {
			t.Errorf("%s: %s", r.name, problem)
		}
	}
}

func parseAll(t *testing.T, sources []source) []*file {
	t.Helper()
	var files []*file
	for _, s := range sources {
		files = append(files, parse(t, s.path, s.text))
	}
	return files
}

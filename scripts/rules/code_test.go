package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"strings"
)

// afterFuncFiles may call time.AfterFunc or context.AfterFunc, which start a
// goroutine later: the clock that limits take their time from, a limit in a
// package that must not know the clock, and what interrupts a task from outside
// its loop.
var afterFuncFiles = map[string]bool{
	"auth/httpauth/answer.go": true,
	"backend/loop/do.go":      true,
	"backend/timing/clock.go": true,
}

// startFiles may start goroutines, and tasks of a loop.
var startFiles = map[string]bool{
	"backend/loop/do.go":      true,
	"backend/loop/outside.go": true,
	"imapproxy/end.go":        true,
	"imapproxy/loop_relay.go": true,
	"imapproxy/loops.go":      true,
}

// recoverFiles may catch panics.
var recoverFiles = map[string]bool{"backend/loop/outside.go": true, "imapproxy/end.go": true}

// threeParties says whether a file belongs to the client side, the decision
// or the backend side.
func threeParties(f *file) bool {
	switch f.top() {
	case "imapproxy", "auth", "backend":
		return !f.isTest()
	}
	return false
}

// checkGoroutines: no go statement, and nothing that holds one or starts a task,
// outside startFiles. A goroutine elsewhere has no recover and no owner.
func checkGoroutines(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, false) {
		if !threeParties(f) {
			continue
		}
		if !startFiles[f.path] {
			problems = append(problems, places(f, "go statement in a file that is not listed in "+
				"scripts/rules/code_test.go", func(n ast.Node) bool {
				_, ok := n.(*ast.GoStmt)
				return ok
			})...)
			problems = append(problems, places(f, "a method that starts a goroutine or a task, in a file that is not "+
				"listed in scripts/rules/code_test.go", func(n ast.Node) bool {
				selector, ok := n.(*ast.SelectorExpr)
				return ok && (selector.Sel.Name == "Go" || selector.Sel.Name == "TryGo" ||
					selector.Sel.Name == "DoChan")
			})...)
		}
		if !afterFuncFiles[f.path] {
			problems = append(problems, places(f, "time.AfterFunc in a file that is not listed in "+
				"scripts/rules/code_test.go: use timing.Clock", calls(f, "time", "AfterFunc"))...)
			problems = append(problems, places(f, "context.AfterFunc in a file that is not listed in "+
				"scripts/rules/code_test.go", calls(f, "context", "AfterFunc"))...)
		}
	}
	return problems
}

// checkRecover: a panic is caught where a session ends, and where one in another
// goroutine is handed to its task, and nowhere else.
func checkRecover(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, false) {
		if !threeParties(f) || recoverFiles[f.path] {
			continue
		}
		problems = append(problems, places(f, "recover in a file that is not listed in scripts/rules/code_test.go",
			func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return false
				}
				name, ok := call.Fun.(*ast.Ident)
				return ok && name.Name == "recover"
			})...)
	}
	return problems
}

// checkExit: only a program's main.go ends the process. Loggers' Fatal does.
func checkExit(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, false) {
		if f.top() == "cmd" && path.Base(f.path) == "main.go" {
			continue
		}
		for importPath, names := range map[string][]string{
			"os": {"Exit"}, "syscall": {"Exit"}, "golang.org/x/sys/unix": {"Exit"}, "runtime": {"Goexit"},
		} {
			problems = append(problems, places(f, "ends the process or goroutine outside cmd/*/main.go",
				calls(f, importPath, names...))...)
		}
		problems = append(problems, places(f, "Fatal ends the process outside cmd/*/main.go", func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			return ok && (selector.Sel.Name == "Fatal" || selector.Sel.Name == "Fatalf" ||
				selector.Sel.Name == "Fatalln")
		})...)
	}
	return problems
}

const (
	maxFileLines     = 400
	maxFunctionLines = 80
)

// checkSizes: files of at most 400 lines, tests too; functions of at most 80
// outside tests, where tables are long.
func checkSizes(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, true) {
		if lines := strings.Count(f.text, "\n"); lines > maxFileLines {
			problems = append(problems, fmt.Sprintf("%s: %d lines, at most %d", f.path, lines, maxFileLines))
		}
		if f.isTest() {
			continue
		}
		for _, decl := range f.ast.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := f.fset.Position(function.End()).Line - f.fset.Position(function.Pos()).Line + 1
			if lines > maxFunctionLines {
				problems = append(problems, fmt.Sprintf("%s: %s has %d lines, at most %d", f.at(function),
					function.Name.Name, lines, maxFunctionLines))
			}
		}
	}
	return problems
}

// checkInit: nothing runs before main.
func checkInit(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, true) {
		for _, decl := range f.ast.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok && function.Recv == nil && function.Name.Name == "init" {
				problems = append(problems, f.at(function)+": no init()")
			}
		}
	}
	return problems
}

// wellKnown methods say what they are by their names.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true}

// checkDocstrings: every exported thing outside tests says what it is. One
// comment over a group is enough for the group.
func checkDocstrings(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, false) {
		for _, decl := range f.ast.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Name.IsExported() && decl.Doc == nil && receiverIsExported(decl) &&
					!(decl.Recv != nil && wellKnown[decl.Name.Name]) {
					problems = append(problems, f.at(decl)+": "+decl.Name.Name+" has no docstring")
				}
			case *ast.GenDecl:
				if decl.Tok != token.IMPORT && decl.Doc == nil {
					problems = append(problems, undocumented(f, decl.Specs)...)
				}
			}
		}
	}
	return problems
}

// undocumented names the exported specs without a comment of their own.
func undocumented(f *file, specs []ast.Spec) []string {
	var problems []string
	for _, spec := range specs {
		var names []*ast.Ident
		var documented bool
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names, documented = []*ast.Ident{spec.Name}, spec.Doc != nil
		case *ast.ValueSpec:
			names, documented = spec.Names, spec.Doc != nil || spec.Comment != nil
		}
		for _, name := range names {
			if name.IsExported() && !documented {
				problems = append(problems, f.at(name)+": "+name.Name+" has no docstring")
			}
		}
	}
	return problems
}

// receiverIsExported is true for functions, and for methods of exported types.
func receiverIsExported(decl *ast.FuncDecl) bool {
	if decl.Recv == nil {
		return true
	}
	receiver := decl.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return true
		}
	}
}

// checkLeaks: every package with code ends its tests with goleak.
func checkLeaks(files []*file) []string {
	verified, code := map[string]bool{}, map[string]bool{}
	var dirs []string
	for _, f := range goFiles(files, true) {
		if f.isTest() {
			leak := places(f, "", calls(f, "go.uber.org/goleak", "VerifyTestMain"))
			verified[f.dir()] = verified[f.dir()] || len(leak) > 0
		} else if !code[f.dir()] {
			code[f.dir()] = true
			dirs = append(dirs, f.dir())
		}
	}
	var problems []string
	for _, dir := range dirs {
		if !verified[dir] {
			problems = append(problems, dir+": no TestMain with goleak.VerifyTestMain")
		}
	}
	return problems
}

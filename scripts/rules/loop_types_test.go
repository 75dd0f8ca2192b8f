package rules

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// newLoopCheck checks the types of package imapproxy; nil when there is none.
func newLoopCheck(files []*file) *loopCheck {
	c := &loopCheck{
		info: types.Info{
			Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
			Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
		},
		bodies: map[string]*loopBody{}, reason: map[string]string{},
		locked: map[*types.Var]string{}, lockers: map[*types.Var][]string{},
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, f := range goFiles(files, false) {
		if f.dir() != "imapproxy" {
			continue
		}
		again := reparse(fset, f)
		c.files = append(c.files, again)
		parsed = append(parsed, again.ast)
	}
	if !slices.ContainsFunc(c.files, isEnding) {
		return nil
	}
	config := types.Config{
		Importer: exportedTypes(fset),
		Error:    func(err error) { c.problems = append(c.problems, err.Error()) },
	}
	_, _ = config.Check(module+"/imapproxy", fset, parsed, &c.info) // Error has them all
	for _, f := range c.files {
		for _, d := range f.ast.Decls {
			if decl, ok := d.(*ast.FuncDecl); ok && decl.Body != nil {
				name := c.info.Defs[decl.Name].(*types.Func).FullName()
				c.bodies[name] = &loopBody{f, decl}
				c.noteLocks(name, decl)
			}
		}
	}
	return c
}

// exportedTypes imports what the compiler wrote of the packages that package
// imapproxy needs.
func exportedTypes(fset *token.FileSet) types.Importer {
	written := compiled()
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		name := written[path]
		if name == "" {
			return nil, fmt.Errorf("%s: not among the packages that package imapproxy needs", path)
		}
		return os.Open(name)
	})
}

// compiled maps import paths to files of types.
var compiled = sync.OnceValue(func() map[string]string {
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", "./imapproxy")
	list.Dir = repository
	list.Stderr = os.Stderr
	text, err := list.Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "go list:", err)
	}
	written := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		path, name, _ := strings.Cut(lines.Text(), "\t")
		written[path] = name
	}
	return written
})

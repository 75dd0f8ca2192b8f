package rules

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/build/constraint"
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

// ownTypes checks the types of the packages that the rule follows from their source, each
// before those that import it, and knows all others by what the compiler wrote of them.
type ownTypes struct {
	fset     *token.FileSet
	info     types.Info
	source   map[string][]*file // by import path
	checked  map[string]*types.Package
	others   types.Importer
	problems []string
}

func newOwnTypes(files []*file) *ownTypes {
	t := &ownTypes{
		fset: token.NewFileSet(), source: map[string][]*file{}, checked: map[string]*types.Package{},
		info: types.Info{
			Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
			Types: map[ast.Expr]types.TypeAndValue{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
			Instances: map[*ast.Ident]types.Instance{},
		},
	}
	t.others = exportedTypes(t.fset)
	for _, f := range goFiles(files, false) {
		if follows(f) {
			name := module + "/" + f.dir()
			t.source[name] = append(t.source[name], reparse(t.fset, f))
		}
	}
	for name := range t.source {
		_, _ = t.Import(name) // problems has the errors
	}
	return t
}

// follows reports whether the loop's code may be in a file: it is the three parties', or the
// program's, which hands them its functions.
func follows(f *file) bool {
	if !slices.Contains([]string{"imapproxy", "backend", "auth", "docs", "cmd"}, f.top()) ||
		strings.HasPrefix(f.path, "cmd/imaprig") {
		return false
	}
	for _, comments := range f.ast.Comments {
		if x, err := constraint.Parse(comments.List[0].Text); err == nil {
			return x.Eval(func(tag string) bool { return tag == "linux" })
		}
	}
	return true
}

// Import implements types.Importer.
func (t *ownTypes) Import(name string) (*types.Package, error) {
	files := t.source[name]
	if files == nil {
		return t.others.Import(name)
	}
	if t.checked[name] == nil {
		var parsed []*ast.File
		for _, f := range files {
			parsed = append(parsed, f.ast)
		}
		config := types.Config{Importer: t, Error: func(err error) { t.problems = append(t.problems, err.Error()) }}
		t.checked[name], _ = config.Check(name, t.fset, parsed, &t.info) // Error has them all
	}
	return t.checked[name], nil
}

// exportedTypes imports what the compiler wrote of packages.
func exportedTypes(fset *token.FileSet) types.Importer {
	written := compiled()
	return importer.ForCompiler(fset, "gc", func(name string) (io.ReadCloser, error) {
		if written[name] == "" {
			return nil, fmt.Errorf("%s: not among the packages that ours need", name)
		}
		return os.Open(written[name])
	})
}

// compiled maps import paths to files of types.
var compiled = sync.OnceValue(func() map[string]string {
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}",
		"./imapproxy", "./backend/...", "./auth/...", "./cmd/imapproxy/...")
	list.Dir = repository
	list.Stderr = os.Stderr
	text, err := list.Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "go list:", err)
	}
	written := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, file, _ := strings.Cut(lines.Text(), "\t")
		written[name] = file
	}
	return written
})

// function returns the function that an expression names; nil for anything else.
func (t *ownTypes) function(e ast.Expr) *types.Func {
	switch e := e.(type) {
	case *ast.Ident:
		f, _ := t.info.Uses[e].(*types.Func)
		return f
	case *ast.SelectorExpr:
		return t.function(e.Sel)
	case *ast.IndexExpr:
		return t.function(e.X)
	case *ast.IndexListExpr:
		return t.function(e.X)
	case *ast.ParenExpr:
		return t.function(e.X)
	}
	return nil
}

// fits reports whether a call of a function's type may be one of a function of the other type: they
// are the same, where a type parameter stands for any type. A named type is only itself.
func (t *ownTypes) fits(called, function types.Type) bool {
	if types.Identical(called, function) {
		return true
	}
	call, ok := called.(*types.Signature)
	f, isSignature := function.(*types.Signature)
	if !ok || !isSignature {
		return false
	}
	same := func(a, b *types.Tuple) bool {
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !t.mayBe(a.At(i).Type(), b.At(i).Type()) {
				return false
			}
		}
		return true
	}
	return same(call.Params(), f.Params()) && same(call.Results(), f.Results())
}

// mayBe reports whether a parameter's type may be the other: it is the same, or a type parameter
// for which it stands somewhere. Types made of type parameters may be anything.
func (t *ownTypes) mayBe(a, b types.Type) bool {
	if p, ok := a.(*types.TypeParam); ok {
		return slices.ContainsFunc(t.arguments(p.Obj()), func(x types.Type) bool { return types.Identical(x, b) })
	}
	return types.Identical(a, b) || strings.Contains(a.String(), "[K, R]")
}

// arguments returns the types that stand for a type parameter.
func (t *ownTypes) arguments(parameter *types.TypeName) []types.Type {
	var found []types.Type
	for name, made := range t.info.Instances {
		var list *types.TypeParamList
		switch generic := t.info.Uses[name].Type().(type) {
		case *types.Named:
			list = generic.Origin().TypeParams()
		case *types.Signature:
			list = generic.TypeParams()
		}
		for i := range list.Len() {
			if p := list.At(i).Obj(); p.Name() == parameter.Name() && p.Pkg() == parameter.Pkg() {
				found = append(found, made.TypeArgs.At(i))
			}
		}
	}
	return found
}

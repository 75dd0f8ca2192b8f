package rules

import (
	"fmt"
	"go/ast"
	"go/token"
)

// stateFiles hold state on purpose: backend/fault/point_on.go is built only for tests,
// with the tag faultpoints.
var stateFiles = map[string]bool{"backend/fault/point_on.go": true}

// constant are calls whose result is not changed.
var constant = map[string]bool{
	"errors.New":            true,
	"fmt.Errorf":            true,
	"netip.MustParseAddr":   true,
	"netip.MustParsePrefix": true,
	"regexp.MustCompile":    true,
	"strings.NewReplacer":   true,
	"template.Must":         true,
	"time.Date":             true,
	"time.Unix":             true,
}

// checkState: no package-level variable that can change while the program
// runs. Errors, compiled expressions, tables that are not assigned to, pools of
// memory, embedded files, interface assertions and a program's version are
// none.
func checkState(files []*file) []string {
	var problems []string
	changed := changedNames(files)
	for _, f := range goFiles(files, false) {
		if stateFiles[f.path] {
			continue
		}
		for _, decl := range f.ast.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR {
				continue
			}
			for _, spec := range group.Specs {
				value := spec.(*ast.ValueSpec)
				for i, name := range value.Names {
					if why := mutable(f, group, value, i); why != "" {
						problems = append(problems, fmt.Sprintf("%s: package variable %s: %s", f.at(name), name.Name,
							why))
					}
					if place := changed[f.dir()+" "+name.Name]; place != "" {
						problems = append(problems, fmt.Sprintf("%s: package variable %s is changed at %s", f.at(name),
							name.Name, place))
					}
				}
			}
		}
	}
	return problems
}

// mutable says why the i-th name of a declaration is state, "" when it is not.
func mutable(f *file, group *ast.GenDecl, value *ast.ValueSpec, i int) string {
	switch {
	case value.Names[i].Name == "_":
		return ""
	case f.top() == "cmd" && value.Names[i].Name == "version":
		return "" // set by the linker
	case embedded(group.Doc) || embedded(value.Doc):
		return ""
	case i >= len(value.Values):
		return "it has no value yet, so it will get one"
	case isConstant(value.Values[i]):
		return ""
	}
	return "neither an error, nor a compiled expression, nor a fixed table"
}

// embedded says whether a //go:embed stands in the comment.
func embedded(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if len(c.Text) > 10 && c.Text[:10] == "//go:embed" {
			return true
		}
	}
	return false
}

// isConstant says whether an expression is a fixed table, written or computed
// on the spot, a pool of memory, or a call from the list.
func isConstant(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		if selector, ok := e.Type.(*ast.SelectorExpr); ok && selector.Sel.Name == "Pool" {
			return true
		}
		return len(e.Elts) > 0 && !fromPackage(e.Type, "sync", "atomic")
	case *ast.CallExpr:
		switch function := e.Fun.(type) {
		case *ast.SelectorExpr:
			x, ok := function.X.(*ast.Ident)
			return ok && constant[x.Name+"."+function.Sel.Name]
		case *ast.FuncLit:
			return len(e.Args) == 0
		case *ast.ArrayType: // []byte("...")
			return len(e.Args) == 1 && isLiteral(e.Args[0])
		}
	}
	return false
}

func isLiteral(e ast.Expr) bool {
	_, ok := e.(*ast.BasicLit)
	return ok
}

// fromPackage says whether a type is of one of the packages.
func fromPackage(e ast.Expr, packages ...string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	if !ok {
		return false
	}
	for _, p := range packages {
		if x.Name == p {
			return true
		}
	}
	return false
}

// changedNames maps "folder name" of every package-level name that is
// assigned to, counted up, cleared or has its address taken, to the place. (The
// address of an entry may be taken: big entries are read that way.) Tests count:
// a test that swaps a package variable can't run concurrently with another.
func changedNames(files []*file) map[string]string {
	changed := map[string]string{}
	for _, f := range goFiles(files, true) {
		note := func(e ast.Expr) {
			name := root(e)
			if name != nil && isPackageLevel(f, name) {
				changed[f.dir()+" "+name.Name] = f.at(name)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, left := range n.Lhs {
						note(left)
					}
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.UnaryExpr:
				if _, entry := n.X.(*ast.IndexExpr); n.Op == token.AND && !entry {
					note(n.X)
				}
			case *ast.CallExpr:
				if name, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (name.Name == "delete" ||
					name.Name == "clear") {
					note(n.Args[0])
				}
			}
			return true
		})
	}
	return changed
}

// root is the name at the left end of x, x.f, x[i], *x and (x); nil when
// there is none.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// isPackageLevel says whether a name is not a local one: declared in the
// file's own scope, or in another file of the package.
func isPackageLevel(f *file, name *ast.Ident) bool {
	return name.Obj == nil || f.ast.Scope.Lookup(name.Name) == name.Obj
}

// Package rules tests the tree itself: who may import what, where goroutines
// start and panics are caught, how long files and functions are, and what no
// file may say. It holds no program code.
package rules

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file is one file of the tree.
type file struct {
	path string // from the root, with slashes
	text string
	fset *token.FileSet
	ast  *ast.File // nil when it is not Go
}

// dir is the file's folder, "." for the root.
func (f *file) dir() string { return path.Dir(f.path) }

// top is the first folder of the path, "." for a file in the root.
func (f *file) top() string {
	first, _, found := strings.Cut(f.path, "/")
	if !found {
		return "."
	}
	return first
}

// isTest reports whether only tests use the file: it is a test, or in a test package.
func (f *file) isTest() bool {
	return strings.HasSuffix(f.path, "_test.go") || isTestPackage(f.dir())
}

// isTestPackage reports whether only tests import the package: its name ends in
// test, or it is the reader of dialogues.
func isTestPackage(dir string) bool {
	return strings.HasSuffix(path.Base(dir), "test") || dir == "scripts/dialogue"
}

// at names a place in the file.
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(n.Pos()).Line)
}

// rule looks at all files and says what is wrong, each with its place.
type rule struct {
	name  string
	check func(files []*file) []string
}

// rules are all there are; seen_test.go shows each of them failing.
var rules = []rule{
	{"imports", checkImports},
	{"goroutines", checkGoroutines},
	{"recover", checkRecover},
	{"exit", checkExit},
	{"sizes", checkSizes},
	{"columns", checkColumns},
	{"names", checkNames},
	{"crowding", checkCrowding},
	{"loop", checkLoop},
	{"init", checkInit},
	{"state", checkState},
	{"docstrings", checkDocstrings},
	{"leaks", checkLeaks},
	{"words", checkWords},
	{"readme", checkReadme},
	{"documents", checkDocuments},
}

func TestTree(t *testing.T) {
	files := readTree(t)
	if len(files) < 10 {
		t.Fatalf("only %d files found: is this folder two below the root of the repository?", len(files))
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, problem := range r.check(files) {
				t.Error(problem)
			}
		})
	}
}

// repository is the folder that holds the tree.
const repository = "../.."

// readTree reads every text file that belongs to the project.
func readTree(t *testing.T) []*file {
	t.Helper()
	var files []*file
	err := fs.WalkDir(os.DirFS(repository), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == ".git" && !d.IsDir() {
			return nil // a worktree's, which names its repository
		}
		if d.IsDir() {
			if notOurs(name) {
				return fs.SkipDir
			}
			return nil
		}
		text, err := os.ReadFile(filepath.Join(repository, name))
		if err != nil {
			return err
		}
		if d.Type().IsRegular() && !bytes.ContainsRune(text, 0) {
			files = append(files, parse(t, name, string(text)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// notOurs says which folders hold what is built or found, not written.
func notOurs(dir string) bool {
	switch dir {
	case ".git", "bin", "dist":
		return true
	}
	return strings.HasSuffix(dir, "testdata/fuzz")
}

// parse makes a file of its name and text.
func parse(t *testing.T, name, text string) *file {
	t.Helper()
	f := &file{path: name, text: text, fset: token.NewFileSet()}
	if strings.HasSuffix(name, ".go") {
		tree, err := parser.ParseFile(f.fset, name, text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		f.ast = tree
	}
	return f
}

// reparse returns a file again, with the positions of a file set that it shares.
func reparse(fset *token.FileSet, f *file) *file {
	tree, err := parser.ParseFile(fset, f.path, f.text, parser.ParseComments)
	if err != nil {
		panic(err) // it has been parsed before
	}
	return &file{path: f.path, text: f.text, fset: fset, ast: tree}
}

// goFiles are the Go files, tests included or not.
func goFiles(files []*file, tests bool) []*file {
	var chosen []*file
	for _, f := range files {
		if f.ast != nil && (tests || !f.isTest()) {
			chosen = append(chosen, f)
		}
	}
	return chosen
}

// places collects the nodes of a file that match.
func places(f *file, what string, match func(ast.Node) bool) []string {
	var found []string
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if n != nil && match(n) {
			found = append(found, f.at(n)+": "+what)
		}
		return true
	})
	return found
}

// calls matches a call of pkg.name, where pkg is an import path, for one of
// the names.
func calls(f *file, importPath string, names ...string) func(ast.Node) bool {
	local := importName(f, importPath)
	return func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok || local == "" {
			return false
		}
		x, ok := selector.X.(*ast.Ident)
		if !ok || x.Name != local {
			return false
		}
		for _, name := range names {
			if selector.Sel.Name == name {
				return true
			}
		}
		return false
	}
}

// importName is the name under which the file knows a package, "" when it
// does not import it.
func importName(f *file, importPath string) string {
	for _, spec := range f.ast.Imports {
		if strings.Trim(spec.Path.Value, `"`) != importPath {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path.Base(importPath)
	}
	return ""
}

package convert

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"imapproxy/cmd/imapproxy/config"
)

// TestKeysAreOfTheSchema looks at each key that this package writes, and finds
// it in the example, which has all.
func TestKeysAreOfTheSchema(t *testing.T) {
	known := map[string]bool{}
	written := regexp.MustCompile(`(?m)^#?(?:\[+[a-z.]*\.)?([a-z_0-9]+)(?: = |\])`)
	for _, m := range written.FindAllStringSubmatch(config.Example(), -1) {
		known[m[1]] = true
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range writtenKeys(file) {
			seen++
			if !known[key] {
				t.Errorf("%s: there is no key %q", e.Name(), key)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d keys seen", seen)
	}
}

// writtenKeys returns the first field of each setting, the first argument of
// each call of add, and the keys whose bounds are asked for.
func writtenKeys(file *ast.File) (keys []string) {
	literal := func(elements []ast.Expr) {
		if len(elements) == 0 {
			return
		}
		if text, ok := elements[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
			key, _ := strconv.Unquote(text.Value)
			keys = append(keys, key[strings.LastIndexByte(key, '.')+1:])
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			switch of := n.Type.(type) {
			case *ast.Ident:
				if of.Name == "setting" {
					literal(n.Elts)
				}
			case *ast.ArrayType:
				if elem, ok := of.Elt.(*ast.Ident); ok && elem.Name == "setting" {
					for _, e := range n.Elts {
						if inner, ok := e.(*ast.CompositeLit); ok && inner.Type == nil {
							literal(inner.Elts)
						}
					}
				}
			}
		case *ast.CallExpr:
			switch f := n.Fun.(type) {
			case *ast.SelectorExpr:
				if f.Sel.Name == "add" {
					literal(n.Args)
				}
			case *ast.Ident:
				if strings.HasSuffix(f.Name, "BoundsOf") {
					literal(n.Args)
				}
			}
		}
		return true
	})
	return keys
}

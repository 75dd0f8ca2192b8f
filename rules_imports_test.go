package rules

import (
	"fmt"
	"slices"
	"strings"
)

const module = "imapproxy"

// mayImport says which of the project's packages a top folder may import; a
// name ending in /... means everything below as well. The client side knows
// the two parents and never a driver; the decision and the backend know
// nothing of each other.
var mayImport = map[string][]string{
	".":         {},
	"cmd":       {"imapproxy", "auth/...", "backend/...", "cmd/imapproxy/convert", "cmd/roff"}, // convert brings the parser of nginx.conf
	"imapproxy": {"auth", "backend"},
	"auth":      {"auth/..."},
	"backend":   {"backend/..."},
}

// testsMayImport is what tests need beyond that: the session's look into the
// kernel's table of sockets, to see that theirs are gone.
var testsMayImport = map[string][]string{"imapproxy": {"backend/socktab"}}

// checkImports enforces mayImport. A blank import hides
// wiring, so only the compiler's own is allowed; a dot import hides names.
func checkImports(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, true) {
		allowed, known := mayImport[f.top()]
		if !known {
			problems = append(problems, fmt.Sprintf("%s: Go code in the folder %s, which DESIGN knows nothing of", f.path, f.top()))
			continue
		}
		if f.isTest() {
			allowed = append(slices.Clone(allowed), testsMayImport[f.top()]...)
		}
		for _, spec := range f.ast.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if name := spec.Name; name != nil && (name.Name == "." || name.Name == "_" && imported != "embed") {
				problems = append(problems, fmt.Sprintf("%s: import %s %q: no blank and no dot imports", f.at(spec), name.Name, imported))
			}
			if own, ok := strings.CutPrefix(imported, module+"/"); ok && !allows(allowed, own) {
				problems = append(problems, fmt.Sprintf("%s: %s may not import %s", f.at(spec), f.top(), own))
			}
		}
	}
	return problems
}

// allows says whether the package is in the list.
func allows(list []string, pkg string) bool {
	for _, entry := range list {
		root, below := strings.CutSuffix(entry, "/...")
		if pkg == root || below && strings.HasPrefix(pkg, root+"/") {
			return true
		}
	}
	return false
}

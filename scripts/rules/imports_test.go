package rules

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

const module = "imapproxy"

// everywhere is what every package may import, auth included, which knows nothing
// of the backend but the loop that waits for it; it imports nothing itself. The first makes text safe to be shown,
// the second is for tests only.
var everywhere = []string{"backend/printable", "scripts/dialogue"}

// mayImport says which of the project's packages each folder may import, and the
// folders below it that have no line of their own; a name ending in /... means
// everything below as well. The client side knows the two parents and never a
// driver; the decision and the backend know nothing of each other.
var mayImport = map[string][]string{
	"cmd": {"cmd/completion", "cmd/roff"},
	"cmd/imapproxy": {"imapproxy", "auth/...", "backend/...", "cmd/imapproxy/...", "cmd/cli", "cmd/completion",
		"cmd/roff", "docs"},

	"cmd/imapproxy/backendcheck": {"backend", "backend/login", "backend/loop", "backend/timing", "backend/wire"},
	"cmd/imapproxy/logging":      {"cmd/imapproxy/config"},
	"cmd/imapproxy/config":       {"auth", "auth/httpauth", "backend/ledger", "backend/wire", "cmd/cli", "cmd/roff"},
	"cmd/imapproxy/convert":      {"auth/httpauth", "backend/route", "cmd/imapproxy/config"},

	"cmd/imaprig": {"backend/wire", "cmd/imaprig/...", "cmd/cli", "cmd/completion", "cmd/roff"},

	"cmd/imaprig/bench": {
		"backend/wire", "cmd/imaprig/internal/rigtest", "cmd/imaprig/load", "cmd/imaprig/rig", "cmd/imaprig/term",
	},
	"cmd/imaprig/davmail": {"backend/wire", "cmd/imaprig/internal/rigtest", "cmd/imaprig/rig"},
	"cmd/imaprig/exits": {
		"backend/wire", "cmd/cli", "cmd/imaprig/davmail", "cmd/imaprig/internal/rigtest", "cmd/imaprig/rig",
		"cmd/imaprig/term",
	},
	"cmd/imaprig/internal/rigtest": {"backend/wire"},
	"cmd/imaprig/load":             {"cmd/cli", "cmd/imaprig/internal/rigtest", "cmd/imaprig/rig", "cmd/imaprig/term"},
	"cmd/imaprig/rig":              {"backend/wire", "cmd/cli", "cmd/imaprig/internal/rigtest"},
	"cmd/imaprig/term":             {"cmd/imaprig/internal/rigtest"},

	"imapproxy": {"auth", "backend", "backend/fault", "backend/ledger", "backend/lines", "backend/login",
		"backend/loop", "backend/timing", "backend/username", "backend/wire"},
	"auth":          {"auth/...", "backend/loop"},
	"auth/httpauth": {"auth", "backend/loop", "backend/timing", "backend/wire"},

	"backend": {"backend/fault", "backend/ledger", "backend/lines", "backend/login", "backend/loop", "backend/pool",
		"backend/timing", "backend/username", "backend/wire"},
	"backend/fault":     {},
	"backend/ledger":    {},
	"backend/lines":     {},
	"backend/login":     {},
	"backend/loop":      {"backend/timing", "backend/wire"},
	"backend/pool":      {},
	"backend/printable": {},
	"backend/route":     {"backend", "backend/username", "backend/wire"},
	"backend/timing":    {},
	"backend/username":  {},
	"backend/wire":      {},
	"docs":              {},
	"scripts":           {},
}

// importsOf finds what the packages of a folder may import.
func importsOf(dir string) (allowed []string, known bool) {
	for ; dir != "."; dir = path.Dir(dir) {
		if allowed, known = mayImport[dir]; known {
			return allowed, true
		}
	}
	return nil, false
}

// checkImports enforces mayImport. A blank import hides
// wiring, so only the compiler's own is allowed; a dot import hides names.
func checkImports(files []*file) []string {
	var problems []string
	for _, f := range goFiles(files, true) {
		allowed, known := importsOf(f.dir())
		if !known {
			problems = append(problems, fmt.Sprintf("%s: Go code in the folder %s, which no rule knows", f.path,
				f.top()))
			continue
		}
		for _, spec := range f.ast.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			if name := spec.Name; name != nil && (name.Name == "." || name.Name == "_" && imported != "embed") {
				problems = append(problems, fmt.Sprintf("%s: import %s %q: no blank and no dot imports", f.at(spec),
					name.Name, imported))
			}
			own, ok := strings.CutPrefix(imported, module+"/")
			if ok && (!allows(allowed, own) || isTestPackage(own) && !f.isTest()) {
				problems = append(problems, fmt.Sprintf("%s: %s may not import %s", f.at(spec), f.dir(), own))
			}
		}
	}
	return problems
}

// allows reports whether the package is in the list, or is for all.
func allows(list []string, pkg string) bool {
	if slices.Contains(everywhere, pkg) {
		return true
	}
	for _, entry := range list {
		root, below := strings.CutSuffix(entry, "/...")
		if pkg == root || below && strings.HasPrefix(pkg, root+"/") {
			return true
		}
	}
	return false
}

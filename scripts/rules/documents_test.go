package rules

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// namingDocuments are held to name only what exists.
var namingDocuments = []string{"docs/architecture.md", "CONTRIBUTING.md"}

var (
	quoted     = regexp.MustCompile("`([^`\n]+)`")
	linked     = regexp.MustCompile(`\]\(([^)#:]+)`)
	pathLike   = regexp.MustCompile(`^[\w.-]+(/[\w.*-]+)+/?$|^[\w-]+\.(go|md|json|html|txt)$`)
	nameLike   = regexp.MustCompile(`^\w+(\.\w+)*$`)
	flagLike   = regexp.MustCompile(`(?:^|\s)--?([a-z][\w.]*)`)
	testLike   = regexp.MustCompile(`\b(Test|Fuzz|Benchmark)[A-Z]\w*`)
	goTestPath = regexp.MustCompile(`\./([\w/]+)`)
	ownCommand = regexp.MustCompile(`^(\w+=\S+ )*(make|go test|bin/\w+)\b`)
)

// toolFlags are flags of go test.
var toolFlags = []string{"v", "run", "tags", "race", "short", "count", "shuffle"}

// checkDocuments: each file, name, make target, flag and test that these pages
// mention exists.
func checkDocuments(files []*file) []string {
	known := knownNames(files)
	var problems []string
	for _, f := range files {
		if !slices.Contains(namingDocuments, f.path) {
			continue
		}
		for i, line := range strings.Split(f.text, "\n") {
			var mentions []string
			for _, m := range quoted.FindAllStringSubmatch(line, -1) {
				mentions = append(mentions, m[1])
			}
			if code, ok := strings.CutPrefix(line, "    "); ok && ownCommand.MatchString(code) {
				mentions = append(mentions, code)
			}
			for _, m := range linked.FindAllStringSubmatch(line, -1) {
				mentions = append(mentions, path.Join(path.Dir(f.path), m[1]))
			}
			for _, m := range mentions {
				for _, missing := range known.missing(m) {
					problems = append(problems, fmt.Sprintf("%s:%d: names %s, which does not exist", f.path, i+1,
						missing))
				}
			}
		}
	}
	return problems
}

// names are all that a page may mention.
type names struct {
	paths, declared, targets map[string]bool
	text                     []string // of the code, the Makefile and the configuration's reference
}

// missing returns what a mention names and does not exist.
func (n *names) missing(mention string) []string {
	var missing []string
	switch {
	case ownCommand.MatchString(mention):
		for _, m := range makeCommand.FindAllStringSubmatch("`"+mention, -1) {
			if !n.targets[m[1]] {
				missing = append(missing, "make "+m[1])
			}
		}
		for _, m := range goTestPath.FindAllStringSubmatch(mention, -1) {
			if !n.paths[m[1]] {
				missing = append(missing, m[1])
			}
		}
		for _, m := range testLike.FindAllString(mention, -1) {
			if !n.declared[m] {
				missing = append(missing, m)
			}
		}
		missing = append(missing, n.missingFlags(mention)...)
	case strings.HasPrefix(mention, "-"):
		missing = n.missingFlags(mention)
	case pathLike.MatchString(mention):
		if at := strings.TrimSuffix(mention, "/"); !n.paths[at] && !n.paths[path.Dir(at)+"/"+path.Base(at)+"_test.go"] {
			missing = append(missing, mention)
		}
	case nameLike.MatchString(mention):
		if !n.paths[mention] && !n.declared[mention] && !n.says(mention) {
			missing = append(missing, mention)
		}
	}
	return missing
}

// missingFlags returns the flags of a command that nothing defines.
func (n *names) missingFlags(command string) []string {
	var missing []string
	for _, m := range flagLike.FindAllStringSubmatch(command, -1) {
		defined := func(text string) bool { return strings.Contains(text, `"`+m[1]+`"`) }
		if !slices.Contains(toolFlags, m[1]) && !slices.ContainsFunc(n.text, defined) {
			missing = append(missing, "-"+m[1])
		}
	}
	return missing
}

// says reports whether the code or the Makefile has a word: the name of a
// configuration key, of a variable of make, or of a place in the code without a
// declaration of its own. A name of two parts has to be declared, or be a key.
func (n *names) says(word string) bool {
	section, key, both := strings.Cut(word, ".")
	if both && !slices.ContainsFunc([]string{"auth", "target", "limits", "go"},
		func(s string) bool { return s == section }) {
		return false
	}
	if !both {
		key = word
	}
	whole := regexp.MustCompile(`(^|\W)` + regexp.QuoteMeta(key) + `(\W|$)`)
	return slices.ContainsFunc(n.text, whole.MatchString)
}

// knownNames collects what the tree has.
func knownNames(files []*file) *names {
	n := &names{paths: map[string]bool{}, declared: map[string]bool{}, targets: map[string]bool{}}
	for _, f := range files {
		for at := f.path; at != "."; at = path.Dir(at) {
			n.paths[at] = true
		}
		if f.path == "Makefile" {
			for _, m := range makeTarget.FindAllStringSubmatch(f.text, -1) {
				n.targets[m[1]] = true
			}
		}
		if f.path == "Makefile" || f.ast != nil && !strings.HasPrefix(f.path, "scripts/rules/") {
			n.text = append(n.text, f.text)
		}
		if f.ast != nil {
			n.declare(f)
		}
	}
	return n
}

// declare notes the names of a file: alone, after their package's, and a method
// or field after its type's.
func (n *names) declare(f *file) {
	note := func(name string) {
		n.declared[name] = true
		n.declared[f.ast.Name.Name+"."+name] = true
	}
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				note(d.Name.Name)
			} else if name := root(d.Recv.List[0].Type); name != nil {
				note(name.Name + "." + d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						note(name.Name)
					}
				case *ast.TypeSpec:
					note(spec.Name.Name)
					n.declareFields(spec, note)
				}
			}
		}
	}
}

// declareFields notes the fields of a struct and the methods of an interface.
func (n *names) declareFields(spec *ast.TypeSpec, note func(string)) {
	var list *ast.FieldList
	switch t := spec.Type.(type) {
	case *ast.StructType:
		list = t.Fields
	case *ast.InterfaceType:
		list = t.Methods
	default:
		return
	}
	for _, field := range list.List {
		for _, name := range field.Names {
			note(spec.Name.Name + "." + name.Name)
		}
	}
}

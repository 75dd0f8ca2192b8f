package rules

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
)

// code is a function of ours, or a function literal that is kept as a value.
type code struct {
	name       string
	owner      string // the function that it stands in, or itself
	file       *file
	node       ast.Node // *ast.FuncDecl or *ast.FuncLit
	looked     bool
	around     *code                 // the function that calls it where it stands, a literal; nil for others
	calls      []*code               // what it runs, once it has been looked at
	keeps      []*code               // what it has others run
	faults     []string              // what the loop must not do
	locks      map[*types.Var]string // the mutexes that it locks, and where
	parameters []types.Type          // of the parameters that it calls
	from       *code                 // who has led here
	why        string
}

// value is a function that is not only called: it may be run wherever its type is called.
type value struct {
	is    types.Type
	codes []*code
}

// codes are all functions of ours.
type codes struct {
	*ownTypes
	named     map[string]*code // by full name
	methods   map[string][]*code
	values    []value
	literals  map[*ast.FuncLit]*code    // each is code of its own
	receivers map[*ast.Ident]types.Type // the types of what a method is called of
	direct    map[ast.Node]bool         // names and literals that are only called, or run elsewhere
	becomes   map[ast.Node]types.Type   // the type that one is converted to
}

func newCodes(files []*file) *codes {
	c := &codes{ownTypes: newOwnTypes(files), named: map[string]*code{}, methods: map[string][]*code{},
		literals: map[*ast.FuncLit]*code{}, receivers: map[*ast.Ident]types.Type{},
		direct: map[ast.Node]bool{}, becomes: map[ast.Node]types.Type{}}
	c.each(func(f *file, n ast.Node) {
		if decl, ok := n.(*ast.FuncDecl); ok && decl.Body != nil {
			name := c.info.Defs[decl.Name].(*types.Func).FullName()
			made := &code{name: name, owner: name, file: f, node: decl}
			c.named[made.name] = made
			if decl.Recv != nil {
				c.methods[decl.Name.Name] = append(c.methods[decl.Name.Name], made)
			}
		}
		if call, ok := n.(*ast.CallExpr); ok {
			c.direct[nameOf(call.Fun)] = true
			for _, argument := range call.Args {
				if handsOver(c.function(call.Fun)) {
					c.direct[nameOf(argument)] = true
				}
				if to := c.info.Types[call.Fun]; to.IsType() {
					c.becomes[nameOf(argument)] = to.Type
				}
			}
		}
	})
	c.each(c.noteValue)
	for _, f := range c.named {
		c.look(f)
	}
	return c
}

func (c *codes) each(visit func(f *file, n ast.Node)) {
	for _, files := range c.source {
		for _, f := range files {
			ast.Inspect(f.ast, func(n ast.Node) bool {
				if n != nil {
					visit(f, n)
				}
				return true
			})
		}
	}
}

// noteValue keeps a function that is not only called.
func (c *codes) noteValue(f *file, n ast.Node) {
	switch n := n.(type) {
	case *ast.SelectorExpr:
		if s := c.info.Selections[n]; s != nil {
			c.receivers[n.Sel] = s.Recv()
		}
	case *ast.FuncLit:
		owner := c.declaredAround(f, n)
		line := f.fset.Position(n.Pos()).Line
		c.literals[n] = &code{name: fmt.Sprintf("%s:%d", owner, line), owner: owner, file: f, node: n}
		if !c.direct[n] && !slices.Contains(loopElsewhere, f.dir()) {
			c.keep(n, c.info.Types[n].Type, c.literals[n])
		}
	case *ast.Ident:
		if fn := c.function(n); fn != nil && !c.direct[n] && !slices.Contains(loopElsewhere, f.dir()) {
			c.keep(n, fn.Signature(), c.ours(n, fn)...)
		}
	}
}

// declaredAround returns the name of the function that a literal stands in; "" where it is a variable's.
func (c *codes) declaredAround(f *file, n *ast.FuncLit) string {
	for _, d := range f.ast.Decls {
		if decl, ok := d.(*ast.FuncDecl); ok && decl.Pos() <= n.Pos() && n.Pos() < decl.End() {
			return c.info.Defs[decl.Name].(*types.Func).FullName()
		}
	}
	return ""
}

// keep notes a value by its type, or the one that it is converted to.
func (c *codes) keep(n ast.Node, is types.Type, made ...*code) {
	if to := c.becomes[n]; to != nil {
		is = to
	}
	c.values = append(c.values, value{is, made})
}

// ours returns the functions of ours that a name stands for: for a method of an interface, those
// of all types that implement it.
func (c *codes) ours(name ast.Node, f *types.Func) []*code {
	if one := c.named[f.Origin().FullName()]; one != nil {
		return []*code{one}
	}
	id, _ := name.(*ast.Ident)
	of := c.receivers[id]
	if r := f.Signature().Recv(); r != nil && (of == nil || !types.IsInterface(of)) {
		of = r.Type() // the method of an interface that is embedded
	}
	if of == nil || !types.IsInterface(of) {
		return nil
	}
	return c.implementing(f.Name(), of, of)
}

// implementing returns the methods of a name that types of ours have which implement an interface,
// and, where of is no interface, are that type.
func (c *codes) implementing(name string, i, of types.Type) []*code {
	var found []*code
	for _, m := range c.methods[name] {
		t := c.info.Defs[m.node.(*ast.FuncDecl).Name].(*types.Func).Signature().Recv().Type()
		p := types.NewPointer(t)
		face := i.Underlying().(*types.Interface)
		switch {
		case !types.Implements(t, face) && !types.Implements(p, face):
		case types.IsInterface(of), types.Identical(t, of), types.Identical(p, of):
			found = append(found, m)
		}
	}
	return found
}

// nameOf returns the identifier or the literal that an expression of a function ends with.
func nameOf(e ast.Expr) ast.Node {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return e.Sel
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.IndexListExpr:
		return nameOf(e.X)
	case *ast.ParenExpr:
		return nameOf(e.X)
	}
	return e
}

// handsOver reports whether a function only has another goroutine run those that it is given.
func handsOver(f *types.Func) bool {
	return f != nil && slices.Contains(loopHandsOver, f.Origin().FullName())
}

// body returns a function's statements, and its type.
func (c *code) body() (*ast.BlockStmt, *ast.FuncType) {
	if decl, ok := c.node.(*ast.FuncDecl); ok {
		return decl.Body, decl.Type
	}
	literal := c.node.(*ast.FuncLit)
	return literal.Body, literal.Type
}

// fault notes what the loop must not do.
func (c *code) fault(n ast.Node, format string, args ...any) {
	c.faults = append(c.faults, c.file.at(n)+": "+fmt.Sprintf(format, args...))
}

package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// loopEntry is where the goroutine of an event loop begins its work.
const loopEntry = "(*imapproxy/imapproxy.loop).round"

// checkLoop: the code that the event loop runs calls nothing that can block. The
// rule follows every mention of a function or method of package imapproxy, from
// loopEntry on. What belongs to another package must be listed in loopMayCall. A
// mutex of package imapproxy that this code locks makes every function that locks
// it part of this code, since the loop waits for whoever holds it.
func checkLoop(files []*file) []string {
	c := newLoopCheck(files)
	if c == nil {
		return nil
	}
	entry := c.bodies[loopEntry]
	if entry == nil {
		return append(c.problems, fmt.Sprintf("imapproxy: the event loop's entry %s does not exist", loopEntry))
	}
	c.add(loopEntry, "")
	for len(c.queue) > 0 {
		name := c.queue[0]
		c.queue = c.queue[1:]
		c.body(name)
		if len(c.queue) == 0 {
			c.addLockers()
		}
	}
	slices.Sort(c.problems)
	return c.problems
}

// loopCheck follows the calls of the event loop.
type loopCheck struct {
	files    []*file
	info     types.Info
	bodies   map[string]*loopBody
	queue    []string
	reason   map[string]string       // why a function was added; also the set of those added
	locked   map[*types.Var]string   // mutexes that the loop locks, and where
	lockers  map[*types.Var][]string // all functions that lock one
	problems []string
}

// loopBody is a function of package imapproxy.
type loopBody struct {
	file *file
	decl *ast.FuncDecl
}

// noteLocks finds the mutexes that a function locks.
func (c *loopCheck) noteLocks(name string, decl *ast.FuncDecl) {
	ast.Inspect(decl.Body, func(n ast.Node) bool {
		if mutex := c.lockedBy(n); mutex != nil && !slices.Contains(c.lockers[mutex], name) {
			c.lockers[mutex] = append(c.lockers[mutex], name)
		}
		return true
	})
}

// lockedBy returns the mutex that n locks: the field or variable x of x.Lock().
func (c *loopCheck) lockedBy(n ast.Node) *types.Var {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil
	}
	lock, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || lock.Sel.Name != "Lock" && lock.Sel.Name != "RLock" {
		return nil
	}
	name, _ := lock.X.(*ast.Ident)
	if field, ok := lock.X.(*ast.SelectorExpr); ok {
		name = field.Sel
	}
	if name == nil {
		return nil
	}
	mutex, _ := c.info.Uses[name].(*types.Var)
	return mutex
}

// add has a function looked at; why is shown with what is found in it.
func (c *loopCheck) add(name, why string) {
	if _, seen := c.reason[name]; !seen && c.bodies[name] != nil {
		c.reason[name] = why
		c.queue = append(c.queue, name)
	}
}

// addLockers adds every function that holds a mutex which the loop waits for.
func (c *loopCheck) addLockers() {
	for mutex, at := range c.locked {
		for _, name := range c.lockers[mutex] {
			c.add(name, fmt.Sprintf("; it locks %s, as the loop does at %s", mutex.Name(), at))
		}
	}
}

// body looks at a function that the loop runs.
func (c *loopCheck) body(name string) {
	b := c.bodies[name]
	found := func(n ast.Node, what string) {
		why := c.reason[name]
		if name != loopEntry && why == "" {
			why = "; the loop runs " + b.decl.Name.Name
		}
		c.problems = append(c.problems, fmt.Sprintf("%s: %s%s", b.file.at(n), what, why))
	}
	var inspect func(n ast.Node) bool
	inspect = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			return false // another goroutine's
		case *ast.SelectStmt:
			return c.selection(n, found, inspect)
		case *ast.SendStmt:
			found(n, "sends to a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				found(n, "receives from a channel")
			}
		case *ast.RangeStmt:
			if c.isChannel(n.X) {
				found(n, "receives from a channel")
			}
		case *ast.CallExpr:
			if mutex := c.lockedBy(n); mutex != nil && c.locked[mutex] == "" {
				c.locked[mutex] = b.file.at(n)
			}
			if c.runsElsewhere(n) {
				c.mention(n, n.Fun, found)
				return false
			}
			if what := c.valueCalled(b.decl, n.Fun, c.reason[name] != ""); what != "" {
				found(n, "calls the function value "+what)
			}
		case *ast.Ident:
			c.mention(n, n, found)
		}
		return true
	}
	ast.Inspect(b.decl.Body, inspect)
}

// selection looks at a select: one with a default does not wait.
func (c *loopCheck) selection(s *ast.SelectStmt, found func(ast.Node, string), inspect func(ast.Node) bool) bool {
	waits := true
	for _, clause := range s.Body.List {
		if clause.(*ast.CommClause).Comm == nil {
			waits = false
		}
	}
	if waits {
		found(s, "selects without default")
	}
	for _, clause := range s.Body.List {
		for _, statement := range clause.(*ast.CommClause).Body {
			ast.Inspect(statement, inspect)
		}
	}
	return false
}

func (c *loopCheck) isChannel(e ast.Expr) bool {
	t := c.info.Types[e].Type
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Chan)
	return ok
}

// mention follows a function of package imapproxy, and looks another one up.
func (c *loopCheck) mention(at ast.Node, e ast.Expr, found func(ast.Node, string)) {
	var name *ast.Ident
	switch e := e.(type) {
	case *ast.Ident:
		name = e
	case *ast.SelectorExpr:
		name = e.Sel
	default:
		return
	}
	f, ok := c.info.Uses[name].(*types.Func)
	if !ok || f.Pkg() == nil { // nil: error.Error
		return
	}
	full := f.Origin().FullName()
	if c.bodies[full] != nil {
		c.add(full, "")
		return
	}
	if f.Pkg().Path() == module+"/imapproxy" { // a method of an interface: all that implement it
		for full, b := range c.bodies {
			if b.decl.Name.Name == f.Name() && c.implements(b.decl, f) {
				c.add(full, "")
			}
		}
		return
	}
	if !mayCall(f.Pkg().Path(), full) {
		found(at, fmt.Sprintf("mentions %s, which is not in the list of scripts/rules/loop_list_test.go", full))
	}
}

// implements reports whether a method's receiver has all methods of the interface
// that f belongs to.
func (c *loopCheck) implements(decl *ast.FuncDecl, f *types.Func) bool {
	receiver, method := c.info.Defs[decl.Name].(*types.Func).Signature().Recv(), f.Signature().Recv()
	if receiver == nil || method == nil {
		return false
	}
	i, ok := method.Type().Underlying().(*types.Interface)
	if !ok {
		return false
	}
	return types.Implements(receiver.Type(), i) || types.Implements(types.NewPointer(receiver.Type()), i)
}

// runsElsewhere reports whether a call only hands a function over, to be run by
// another goroutine.
func (c *loopCheck) runsElsewhere(call *ast.CallExpr) bool {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	f, ok := c.info.Uses[selector.Sel].(*types.Func)
	return ok && slices.Contains(loopHandsOver, f.FullName())
}

// valueCalled names the field or variable of a function type that is called and
// not listed; "" for anything else. A parameter's function is looked at where the
// loop's code writes or mentions it, so it counts only where others call (others).
func (c *loopCheck) valueCalled(in *ast.FuncDecl, e ast.Expr, others bool) string {
	name := ""
	switch e := e.(type) {
	case *ast.SelectorExpr:
		if v, ok := c.info.Uses[e.Sel].(*types.Var); ok {
			name = fieldName(c.info.Selections[e], v)
		}
	case *ast.Ident:
		if v, ok := c.info.Uses[e].(*types.Var); ok && (others || !isParameter(in, v)) {
			name = in.Name.Name + "." + v.Name()
		}
	}
	if slices.Contains(loopValues, name) {
		return ""
	}
	return name
}

// isParameter reports whether a variable is a parameter of a function.
func isParameter(f *ast.FuncDecl, v *types.Var) bool {
	return f.Type.Pos() <= v.Pos() && v.Pos() < f.Type.End()
}

// fieldName returns a field's name after its type's.
func fieldName(s *types.Selection, v *types.Var) string {
	if s == nil {
		return v.Name()
	}
	t := s.Recv()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	return types.TypeString(t, func(*types.Package) string { return "" }) + "." + v.Name()
}

// mayCall reports whether the list has a function, or the whole of its package.
func mayCall(pkg, full string) bool {
	return !slices.Contains(loopNever, full) &&
		(slices.Contains(loopMayCall, full) || slices.Contains(loopMayCall, pkg+".*"))
}

package rules

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// look finds what a function mentions and locks, and by what it may wait.
func (c *codes) look(in *code) {
	if in.looked {
		return
	}
	in.looked, in.locks = true, map[*types.Var]string{}
	body, _ := in.body()
	c.walk(in, body)
}

func (c *codes) walk(in *code, n ast.Node) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			return false // another goroutine's
		case *ast.SelectStmt:
			c.selection(in, n)
			return false
		case *ast.SendStmt:
			in.fault(n, "sends to a channel")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				in.fault(n, "receives from a channel")
			}
		case *ast.RangeStmt:
			if t := c.info.Types[n.X].Type; t != nil {
				if _, isChannel := t.Underlying().(*types.Chan); isChannel {
					in.fault(n, "receives from a channel")
				}
			}
		case *ast.CallExpr:
			if mutex := c.lockedBy(n); mutex != nil && in.locks[mutex] == "" {
				in.locks[mutex] = in.file.at(n)
			}
			c.calledValue(in, n.Fun)
			c.arguments(in, n)
			if handsOver(c.function(n.Fun)) {
				c.walk(in, n.Fun)
				for _, argument := range n.Args {
					if _, isFunction := c.info.Types[argument].Type.Underlying().(*types.Signature); !isFunction {
						c.walk(in, argument)
					}
				}
				return false
			}
		case *ast.FuncLit:
			c.literal(in, n, c.direct[n])
			return false
		case *ast.Ident:
			switch o := c.info.Uses[n].(type) {
			case *types.Func:
				c.mention(in, n, o)
			case *types.Var:
				if o.Pkg() != nil && slices.Contains(loopNever, o.Pkg().Path()+"."+o.Name()) {
					in.fault(n, "uses %s.%s", o.Pkg().Path(), o.Name())
				}
			}
		}
		return true
	})
}

// literal notes a function literal: run says that it is run where it stands, or by who is given it
// there. What it calls of the parameters of the function around it is followed elsewhere then, as
// in that function.
func (c *codes) literal(in *code, n *ast.FuncLit, run bool) {
	literal := c.literals[n]
	if !run {
		in.keeps = append(in.keeps, literal)
		return
	}
	literal.around = in
	c.look(literal)
	in.calls = append(in.calls, literal)
	in.parameters = append(in.parameters, literal.parameters...)
}

// arguments notes the functions that a call is given. Who gets them may run them; one of ours does
// so where it calls a parameter, and else keeps them.
func (c *codes) arguments(in *code, call *ast.CallExpr) {
	f := c.function(call.Fun)
	if f == nil || handsOver(f) {
		return
	}
	if f.Pkg() != nil && c.source[f.Pkg().Path()] == nil {
		c.passes(in, f.Signature().Params(), call.Args)
	}
	runs := true
	for _, callee := range c.ours(nameOf(call.Fun), f) {
		c.look(callee)
		runs = len(callee.parameters) > 0
	}
	for _, argument := range call.Args {
		if literal, ok := argument.(*ast.FuncLit); ok && runs {
			c.literal(in, literal, true)
		} else if f := c.function(argument); f != nil && runs {
			in.calls = append(in.calls, c.ours(nameOf(argument), f)...)
		}
	}
}

// passes notes the methods of what is passed to a function of another module as an interface.
func (c *codes) passes(in *code, parameters *types.Tuple, arguments []ast.Expr) {
	for i := range min(parameters.Len(), len(arguments)) {
		face, ok := parameters.At(i).Type().Underlying().(*types.Interface)
		name, _ := nameOf(arguments[i]).(*ast.Ident)
		if o := c.info.Uses[name]; !ok || o != nil && o.Pkg() != nil && c.source[o.Pkg().Path()] == nil {
			continue // io.Discard
		}
		for m := range face.Methods() {
			in.calls = append(in.calls, c.implementing(m.Name(), face, c.info.Types[arguments[i]].Type)...)
		}
	}
}

// selection looks at a select: one with a default does not wait.
func (c *codes) selection(in *code, s *ast.SelectStmt) {
	waits := true
	for _, clause := range s.Body.List {
		clause := clause.(*ast.CommClause)
		if clause.Comm == nil {
			waits = false
		}
		for _, statement := range clause.Body {
			c.walk(in, statement)
		}
	}
	if waits {
		in.fault(s, "selects without default")
	}
}

// mention notes a function that is called, or that others may call by its value.
func (c *codes) mention(in *code, at ast.Node, f *types.Func) {
	if ours := c.ours(at, f); c.direct[at] {
		in.calls = append(in.calls, ours...)
	} else {
		in.keeps = append(in.keeps, ours...)
	}
	if f.Pkg() == nil || c.source[f.Pkg().Path()] != nil { // nil: error.Error
		return
	}
	if full := f.Origin().FullName(); !mayCall(f.Pkg().Path(), full) {
		in.fault(at, "mentions %s, which is not in the list of scripts/rules/loop_list_test.go", full)
	}
}

// calledValue notes what a call of a variable, a field or a result may run: every function that is
// kept as a value of its type. What a parameter stands for is followed where it is written.
func (c *codes) calledValue(in *code, e ast.Expr) {
	is := c.info.Types[e]
	if is.IsType() || is.IsBuiltin() {
		return
	}
	name, _ := nameOf(e).(*ast.Ident)
	v, _ := c.info.Uses[name].(*types.Var)
	switch {
	case c.isFollowed(e), v != nil && c.isMade(in, v):
		return
	case v == nil:
	case v.IsField():
		if slices.Contains(loopValues, fieldName(c.info.Selections[e.(*ast.SelectorExpr)], v)) {
			return
		}
	case slices.Contains(loopValues, in.owner+"."+v.Name()):
		return
	case in.hasParameter(v):
		in.parameters = append(in.parameters, is.Type)
		return
	}
	in.calls = append(in.calls, c.valuesOf(is.Type)...)
}

// isFollowed reports whether what an expression stands for is looked at where it is written: it is a
// literal, a function, or the result of one.
func (c *codes) isFollowed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.FuncLit:
		return true
	case *ast.CallExpr:
		return c.function(e.Fun) != nil
	}
	return c.function(e) != nil
}

// isMade reports whether all that a variable is set to in a function is followed.
func (c *codes) isMade(in *code, v *types.Var) bool {
	made, other := false, false
	ast.Inspect(in.node, func(n ast.Node) bool {
		set, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		for i, to := range set.Lhs {
			if name, ok := to.(*ast.Ident); ok && (c.info.Defs[name] == v || c.info.Uses[name] == v) {
				followed := c.isFollowed(set.Rhs[min(i, len(set.Rhs)-1)])
				made, other = made || followed, other || !followed
			}
		}
		return true
	})
	return made && !other
}

// fieldName returns a field's name after its type's.
func fieldName(s *types.Selection, v *types.Var) string {
	t := s.Recv()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	return types.TypeString(t, nil) + "." + v.Name()
}

// valuesOf returns the functions that a call of a type may run.
func (c *codes) valuesOf(called types.Type) []*code {
	var found []*code
	for _, v := range c.values {
		if c.fits(called, v.is) {
			found = append(found, v.codes...)
		}
	}
	return found
}

// tlsFunctions returns the functions that crypto/tls may call by its Config.
func (c *codes) tlsFunctions() []*code {
	var found []*code
	if tls, err := c.Import("crypto/tls"); err == nil {
		for f := range tls.Scope().Lookup("Config").Type().Underlying().(*types.Struct).Fields() {
			if _, isFunction := f.Type().(*types.Signature); isFunction {
				found = append(found, c.valuesOf(f.Type())...)
			}
		}
	}
	return found
}

// hasParameter reports whether a variable is a parameter of a function, or of one around it that
// calls it where it stands.
func (c *code) hasParameter(v *types.Var) bool {
	for ; c != nil; c = c.around {
		if _, t := c.body(); t.Params.Pos() <= v.Pos() && v.Pos() < t.Params.End() {
			return true
		}
	}
	return false
}

// lockedBy returns the mutex that n locks: the field or variable x of x.Lock().
func (c *codes) lockedBy(call *ast.CallExpr) *types.Var {
	lock, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || lock.Sel.Name != "Lock" && lock.Sel.Name != "RLock" {
		return nil
	}
	name, _ := nameOf(lock.X).(*ast.Ident)
	mutex, _ := c.info.Uses[name].(*types.Var)
	if mutex == nil {
		return nil
	}
	return mutex.Origin()
}

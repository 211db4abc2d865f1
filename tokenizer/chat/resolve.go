package chat

// maxTreeDepth bounds the depth of the syntax tree; every later walk of it is recursive.
const maxTreeDepth = 6000

// frame is where a statement stands while names are resolved.
type frame struct {
	syms     *symbols
	fn       *scopeFunc
	topLevel bool
	loop     bool // directly in a loop's body
	block    bool
	soft     bool // under an if: unknown filters fail when reached, not before
	inLoop   bool // break and continue are legal
}

func (f frame) inner(fn *scopeFunc) frame {
	return frame{syms: newSymbols(f.syms, fn), fn: fn, inLoop: f.inLoop && fn == f.fn}
}

type resolver struct{ blocks map[string]*blockStmt }

// resolveTemplate binds every name of the tree and returns the variables of the root function.
func resolveTemplate(t *Template, body []stmt, blocks map[string]*blockStmt, order []*blockStmt) error {
	if err := checkDepth(stmtNodes(body), 0); err != nil {
		return err
	}
	t.body, t.blocks = body, blocks
	r := &resolver{blocks: blocks}
	root := newScopeFunc(nil)
	f := frame{syms: newSymbols(nil, root), fn: root, topLevel: true}
	if undeclared(stmtNodes(body), "self")["self"] {
		ref := f.syms.parameter("self").from(root)
		t.selfRef = &ref
	}
	f.syms.visitAll(stmtNodes(body))
	t.fn, t.enter = root, f.syms.entry()
	if err := r.body(body, f); err != nil {
		return err
	}
	for _, b := range order {
		if err := r.block(b); err != nil {
			return err
		}
	}
	return nil
}

func checkDepth(nodes []node, depth int) error {
	for _, n := range nodes {
		if depth > maxTreeDepth {
			return syntaxError(n.lineno(), "nested more than %d levels deep", maxTreeDepth)
		}
		if err := checkDepth(children(n), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) block(b *blockStmt) error {
	fn := newScopeFunc(nil)
	f := frame{syms: newSymbols(nil, fn), fn: fn, block: true}
	found := undeclared(stmtNodes(b.body), "self", "super")
	if found["self"] {
		ref := f.syms.parameter("self").from(fn)
		b.selfRef = &ref
	}
	if found["super"] {
		ref := f.syms.parameter("super").from(fn)
		b.superRef = &ref
	}
	f.syms.visitAll(stmtNodes(b.body))
	b.fn, b.enter = fn, f.syms.entry()
	return r.body(b.body, f)
}

func (r *resolver) body(body []stmt, f frame) error {
	for _, s := range body {
		if err := r.stmt(s, f); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) stmt(s stmt, f frame) error {
	switch s := s.(type) {
	case *forStmt:
		return r.forStmt(s, f)
	case *ifStmt:
		return r.ifStmt(s, f)
	case *macroStmt:
		v, _ := f.syms.find(s.name)
		s.ref, s.exported = v.from(f.fn), f.topLevel
		return r.macro(&s.macroBody, s.line, f)
	case *callStmt:
		if err := r.macro(&s.macroBody, s.line, f); err != nil || s.call == nil {
			return err
		}
		return r.expr(s.call, f)
	case *filterStmt:
		inner := f.inner(f.fn)
		inner.syms.visitAll(children(s))
		s.enter = inner.syms.entry()
		if err := r.body(s.body, inner); err != nil {
			return err
		}
		return r.expr(s.filter, inner)
	case *withStmt:
		return r.withStmt(s, f)
	case *blockStmt:
		if s.scoped {
			s.locals = f.syms.locals(f.fn)
		}
		return nil
	case *assignStmt:
		s.nsRefs = collectNSRefs(s.target, nil)
		if err := r.expr(s.target, f); err != nil {
			return err
		}
		return r.expr(s.value, f)
	case *assignBlockStmt:
		return r.assignBlock(s, f)
	case *autoescapeStmt:
		inner := f.inner(f.fn)
		inner.syms.visitAll(children(s))
		s.enter = inner.syms.entry()
		if err := r.expr(s.option, inner); err != nil {
			return err
		}
		return r.body(s.body, inner)
	case *loopControlStmt:
		if !f.inLoop {
			return syntaxError(s.line, "break and continue are only allowed inside a loop")
		}
		return nil
	case *loaderStmt:
		if s.tag == "extends" && !f.topLevel {
			return syntaxError(s.line, "cannot use extends from a non top-level scope")
		}
	}
	return r.exprs(children(s), f)
}

func collectNSRefs(e expr, out []*nsRef) []*nsRef {
	switch e := e.(type) {
	case *nsRef:
		out = append(out, e)
	case *tupleExpr:
		for _, item := range e.items {
			out = collectNSRefs(item, out)
		}
	}
	return out
}

func (r *resolver) ifStmt(s *ifStmt, f frame) error {
	f.soft = true
	if err := r.expr(s.test, f); err != nil {
		return err
	}
	if err := r.body(s.body, f); err != nil {
		return err
	}
	for _, e := range s.elifs {
		if err := r.expr(e.test, f); err != nil {
			return err
		}
		if err := r.body(e.body, f); err != nil {
			return err
		}
	}
	return r.body(s.els, f)
}

func (r *resolver) withStmt(s *withStmt, f frame) error {
	inner := f.inner(f.fn)
	inner.syms.visitAll(exprNodes(s.targets))
	inner.syms.visitAll(stmtNodes(s.body))
	s.enter = inner.syms.entry()
	for i := range s.targets {
		if err := r.expr(s.targets[i], inner); err != nil {
			return err
		}
		if err := r.expr(s.values[i], f); err != nil {
			return err
		}
	}
	return r.body(s.body, inner)
}

func (r *resolver) assignBlock(s *assignBlockStmt, f frame) error {
	inner := f.inner(f.fn)
	inner.syms.visitAll(stmtNodes(s.body))
	s.enter = inner.syms.entry()
	if err := r.body(s.body, inner); err != nil {
		return err
	}
	if err := r.expr(s.target, f); err != nil {
		return err
	}
	if s.filter == nil {
		return nil
	}
	return r.expr(s.filter, inner)
}

func (r *resolver) forStmt(s *forStmt, f frame) error {
	if contains(children(s), func(n node) bool {
		name, ok := n.(*nameExpr)
		return ok && name.ctx == ctxStore && name.name == "loop"
	}) {
		return syntaxError(s.line, "can't assign to special loop variable in for-loop target")
	}
	fn := f.fn
	if s.recursive {
		fn = newScopeFunc(f.fn)
		s.loopFn = fn
	}
	loop := f.inner(fn)
	loop.loop, loop.inLoop = true, true
	s.extended = s.recursive || undeclared(stmtNodes(s.body), "loop")["loop"] ||
		contains(children(s), func(n node) bool { b, ok := n.(*blockStmt); return ok && b.scoped })
	if s.extended {
		s.loopRef = loop.syms.parameter("loop").from(fn)
	}
	loop.syms.parameters(s.target)
	loop.syms.visitAll(stmtNodes(s.body))
	s.enter = loop.syms.entry()
	if err := r.forTest(s, f); err != nil {
		return err
	}
	if err := r.expr(s.target, loop); err != nil {
		return err
	}
	if err := r.expr(s.iter, f); err != nil {
		return err
	}
	if err := r.body(s.body, loop); err != nil {
		return err
	}
	els := f.inner(fn)
	els.inLoop = f.inLoop && !s.recursive
	els.syms.visitAll(stmtNodes(s.els))
	s.elseEnter = els.syms.entry()
	return r.body(s.els, els)
}

// forTest resolves {% for x in y if test %}: the filter is a function that runs lazily, beside the loop.
func (r *resolver) forTest(s *forStmt, f frame) error {
	if s.test == nil {
		return nil
	}
	s.testFn = newScopeFunc(f.fn)
	test := f.inner(s.testFn)
	test.syms.parameters(s.target)
	test.syms.visit(s.test)
	s.testEnter = test.syms.entry()
	s.testTarget = cloneTarget(s.target)
	if err := r.expr(s.testTarget, test); err != nil {
		return err
	}
	return r.expr(s.test, test)
}

func cloneTarget(e expr) expr {
	switch e := e.(type) {
	case *nameExpr:
		c := *e
		return &c
	case *tupleExpr:
		c := &tupleExpr{at: e.at}
		for _, item := range e.items {
			c.items = append(c.items, cloneTarget(item))
		}
		return c
	}
	return e
}

func (r *resolver) macro(m *macroBody, line int, f frame) error {
	m.fn = newScopeFunc(f.fn)
	inner := f.inner(m.fn)
	own := (&macroBody{params: m.params, defaults: m.defaults, body: m.body}).children(nil)
	inner.syms.visitAll(own)
	explicit, hasKwargs, hasVarargs := -1, false, false
	for i, p := range m.params {
		switch p.name {
		case "caller":
			explicit = i
		case "kwargs":
			hasKwargs = true
		case "varargs":
			hasVarargs = true
		}
	}
	m.explicitCaller = explicit >= 0
	found := undeclared(stmtNodes(m.body), "caller", "kwargs", "varargs")
	if found["caller"] {
		m.caller = true
		if explicit < 0 {
			m.special = append(m.special, inner.syms.parameter("caller").from(m.fn))
		} else if explicit < len(m.params)-len(m.defaults) {
			return syntaxError(line, "when defining macros or call blocks the special \"caller\" argument must be omitted or be given a default")
		}
	}
	if found["kwargs"] && !hasKwargs {
		m.kwargs = true
		m.special = append(m.special, inner.syms.parameter("kwargs").from(m.fn))
	}
	if found["varargs"] && !hasVarargs {
		m.varargs = true
		m.special = append(m.special, inner.syms.parameter("varargs").from(m.fn))
	}
	m.enter = inner.syms.entry()
	for _, p := range m.params {
		if err := r.expr(p, inner); err != nil {
			return err
		}
	}
	for _, d := range m.defaults {
		if err := r.expr(d, inner); err != nil {
			return err
		}
	}
	return r.body(m.body, inner)
}

func (r *resolver) exprs(nodes []node, f frame) error {
	for _, n := range nodes {
		if err := r.expr(n, f); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) expr(n node, f frame) error {
	switch e := n.(type) {
	case *nameExpr:
		v, ok := f.syms.find(e.name)
		if !ok {
			return syntaxError(e.line, "name %q is not known in this scope", e.name)
		}
		e.ref = v.from(f.fn)
		e.exported = e.ctx == ctxStore && f.topLevel
		return nil
	case *nsRef:
		v, ok := f.syms.find(e.name)
		if !ok {
			return syntaxError(e.line, "name %q is not known in this scope", e.name)
		}
		e.ref = v.from(f.fn)
		return nil
	case *filterExpr:
		if e.fn = builtinFilters[e.name]; e.fn == nil && !f.soft {
			return syntaxError(e.line, "no filter named %q", e.name)
		}
	case *testExpr:
		if e.fn = builtinTests[e.name]; e.fn == nil && !f.soft {
			return syntaxError(e.line, "no test named %q", e.name)
		}
	case *condExpr:
		f.soft = true
	}
	return r.exprs(children(n), f)
}

package chat

import "strconv"

// Names are bound the way Jinja's compiler binds them, because templates depend on it: each frame (template, loop body,
// macro, with, …) decides once, for its whole text, whether a name is its own, its parent's, or the context's; and a
// name that a frame assigns anywhere is unbound, not the context's, until then. Frames that Jinja compiles into one
// Python function share that function's variables; macros, recursive loops and loop filters are functions of their own
// and see the outer ones as closures, late.

// scopeFunc is one function's variables: each is named by frame level and name.
type scopeFunc struct {
	parent *scopeFunc
	depth  int
	slots  map[string]int
}

func newScopeFunc(parent *scopeFunc) *scopeFunc {
	f := &scopeFunc{parent: parent, slots: map[string]int{}}
	if parent != nil {
		f.depth = parent.depth + 1
	}
	return f
}

// variable is a slot of a function, before it is known from where it is read.
type variable struct {
	fn   *scopeFunc
	slot int
}

func (f *scopeFunc) variable(ident string) variable {
	slot, ok := f.slots[ident]
	if !ok {
		slot = len(f.slots)
		f.slots[ident] = slot
	}
	return variable{f, slot}
}

// slotRef is a variable as seen from one function: up that many activations, then the slot.
type slotRef struct{ up, slot int }

func (v variable) from(f *scopeFunc) slotRef { return slotRef{f.depth - v.fn.depth, v.slot} }

type namedRef struct {
	name string
	ref  slotRef
}

type loadAction byte

const (
	loadParameter loadAction = iota // set by whoever enters the frame
	loadResolve                     // from the context
	loadAlias                       // from the enclosing frame
	loadUndefined                   // unbound
)

type load struct {
	v      variable
	action loadAction
	name   string   // loadResolve
	outer  variable // loadAlias
}

// symbols is what one frame knows about names.
type symbols struct {
	parent *symbols
	fn     *scopeFunc
	level  int
	refs   map[string]variable
	loads  map[variable]load
	order  []variable // of loads
	stores map[string]bool
}

func newSymbols(parent *symbols, fn *scopeFunc) *symbols {
	s := &symbols{parent: parent, fn: fn, refs: map[string]variable{}, loads: map[variable]load{}, stores: map[string]bool{}}
	if parent != nil {
		s.level = parent.level + 1
	}
	return s
}

func (s *symbols) copy() *symbols {
	c := newSymbols(s.parent, s.fn)
	c.level = s.level
	for k, v := range s.refs {
		c.refs[k] = v
	}
	for k, v := range s.loads {
		c.loads[k] = v
	}
	c.order = append(c.order, s.order...)
	for k := range s.stores {
		c.stores[k] = true
	}
	return c
}

func (s *symbols) setLoad(l load) {
	if _, ok := s.loads[l.v]; !ok {
		s.order = append(s.order, l.v)
	}
	s.loads[l.v] = l
}

func (s *symbols) define(name string, l load) variable {
	l.v = s.fn.variable(strconv.Itoa(s.level) + " " + name)
	s.refs[name] = l.v
	s.setLoad(l)
	return l.v
}

func (s *symbols) find(name string) (variable, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.refs[name]; ok {
			return v, true
		}
	}
	return variable{}, false
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if _, own := s.refs[name]; own {
		return
	}
	if s.parent != nil {
		if outer, ok := s.parent.find(name); ok {
			s.define(name, load{action: loadAlias, outer: outer})
			return
		}
	}
	s.define(name, load{action: loadUndefined})
}

func (s *symbols) parameter(name string) variable {
	s.stores[name] = true
	return s.define(name, load{action: loadParameter})
}

func (s *symbols) load(name string) {
	if _, ok := s.find(name); !ok {
		s.define(name, load{action: loadResolve, name: name})
	}
}

// branchUpdate merges what the branches of an if learned: a name stored in only some of them still has its outer value
// in the others.
func (s *symbols) branchUpdate(branches ...*symbols) {
	var stored []string
	seen := map[string]bool{}
	for _, b := range branches {
		for name := range b.stores {
			if !s.stores[name] && !seen[name] {
				seen[name] = true
				stored = append(stored, name)
			}
		}
	}
	for _, b := range branches {
		for k, v := range b.refs {
			s.refs[k] = v
		}
		for _, v := range b.order {
			s.setLoad(b.loads[v])
		}
		for name := range b.stores {
			s.stores[name] = true
		}
	}
	for _, name := range stored {
		target, _ := s.find(name)
		if s.parent != nil {
			if outer, ok := s.parent.find(name); ok {
				s.setLoad(load{v: target, action: loadAlias, outer: outer})
				continue
			}
		}
		s.setLoad(load{v: target, action: loadResolve, name: name})
	}
}

// visit notes the names that n uses in the frame it stands in. Bodies with frames of their own are left out.
func (s *symbols) visit(n node) *symbols {
	switch n := n.(type) {
	case *nameExpr:
		switch n.ctx {
		case ctxParam:
			s.parameter(n.name)
		case ctxStore:
			s.store(n.name)
		default:
			s.load(n.name)
		}
		return s
	case *nsRef:
		s.load(n.name)
		return s
	case *ifStmt:
		return s.visitIf(n)
	case *macroStmt:
		s.store(n.name)
		return s
	case *assignStmt:
		return s.visit(n.value).visit(n.target)
	case *forStmt:
		return s.visit(n.iter)
	case *callStmt:
		if n.call != nil {
			return s.visit(n.call)
		}
		return s
	case *filterStmt:
		return s.visit(n.filter)
	case *withStmt:
		return s.visitAll(exprNodes(n.values))
	case *assignBlockStmt:
		return s.visit(n.target)
	case *autoescapeStmt, *blockStmt:
		return s
	}
	return s.visitAll(children(n))
}

func (s *symbols) visitAll(nodes []node) *symbols {
	for _, n := range nodes {
		s.visit(n)
	}
	return s
}

func (s *symbols) visitIf(n *ifStmt) *symbols {
	s.visit(n.test)
	body := s.copy().visitAll(stmtNodes(n.body))
	elifs := s.copy()
	for _, e := range n.elifs {
		elifs.visit(e)
	}
	els := s.copy().visitAll(stmtNodes(n.els))
	s.branchUpdate(body, elifs, els)
	return s
}

func stmtNodes(body []stmt) []node { return appendStmts(nil, body) }

func exprNodes(list []expr) []node { return appendExprs(nil, list...) }

// parameters declares every name in a loop target.
func (s *symbols) parameters(target expr) {
	switch t := target.(type) {
	case *nameExpr:
		s.parameter(t.name)
	case *tupleExpr:
		for _, item := range t.items {
			s.parameters(item)
		}
	}
}

// undeclared returns which of the names are read in nodes before anything there stores them. Blocks are not entered.
func undeclared(nodes []node, names ...string) map[string]bool {
	u := undeclaredFinder{names: map[string]bool{}, found: map[string]bool{}}
	for _, name := range names {
		u.names[name] = true
	}
	u.visitAll(nodes)
	return u.found
}

type undeclaredFinder struct{ names, found map[string]bool }

func (u *undeclaredFinder) visitAll(nodes []node) {
	for _, n := range nodes {
		switch n := n.(type) {
		case *blockStmt:
		case *nameExpr:
			if n.ctx == ctxLoad && u.names[n.name] {
				u.found[n.name] = true
			} else {
				delete(u.names, n.name)
			}
		default:
			u.visitAll(children(n))
		}
	}
}

// contains reports whether any node below satisfies the condition.
func contains(nodes []node, condition func(node) bool) bool {
	for _, n := range nodes {
		if condition(n) || contains(children(n), condition) {
			return true
		}
	}
	return false
}

// frameEntry is what entering and leaving a frame does to its function's variables.
type frameEntry struct {
	loads []frameLoad
}

type frameLoad struct {
	slot   int
	action loadAction
	name   string
	outer  slotRef
}

func (s *symbols) entry() frameEntry {
	var e frameEntry
	for _, v := range s.order {
		l := s.loads[v]
		fl := frameLoad{slot: v.slot, action: l.action, name: l.name}
		if l.action == loadAlias {
			fl.outer = l.outer.from(s.fn)
		}
		e.loads = append(e.loads, fl)
	}
	return e
}

// locals lists what a scoped block sees of the frames around it.
func (s *symbols) locals(fn *scopeFunc) []namedRef {
	var out []namedRef
	seen := map[string]bool{}
	for f := s; f != nil; f = f.parent {
		for name := range f.stores {
			if v, ok := s.find(name); ok && !seen[name] {
				seen[name] = true
				out = append(out, namedRef{name, v.from(fn)})
			}
		}
	}
	return out
}

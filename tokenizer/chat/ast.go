package chat

// node is anything in the syntax tree.
type node interface{ lineno() int }

// at is embedded in every node: the template line it came from.
type at struct{ line int }

func (a at) lineno() int { return a.line }

// expr is a node with a value.
type expr interface {
	node
	eval(r *run, f *activation) (Value, error)
}

// stmt is a node that prints, binds or branches.
type stmt interface {
	node
	exec(r *run, f *activation) (control, error)
}

type nameContext byte

const (
	ctxLoad nameContext = iota
	ctxStore
	ctxParam
)

type (
	nameExpr struct {
		at
		name string
		ctx  nameContext
		ref  slotRef
		// exported: a top-level assignment, visible to blocks through the context.
		exported bool
	}
	// nsRef is the target of {% set namespace.attr = … %}.
	nsRef struct {
		at
		name, attr string
		ref        slotRef
	}
	constExpr struct {
		at
		value Value
	}
	// dataExpr is literal template text.
	dataExpr struct {
		at
		text string
	}
	tupleExpr struct {
		at
		items []expr
	}
	listExpr struct {
		at
		items []expr
	}
	dictExpr struct {
		at
		keys, values []expr
	}
	condExpr struct {
		at
		test, yes, no expr // no may be nil
	}
	callArgs struct {
		args     []expr
		kwNames  []string
		kwValues []expr
		dynArgs  expr // may be nil
		dynKw    expr // may be nil
	}
	filterExpr struct {
		at
		node expr // nil: the captured body of a filter block
		name string
		call callArgs
		fn   *function
	}
	testExpr struct {
		at
		node expr
		name string
		call callArgs
		fn   *function
	}
	callExpr struct {
		at
		node expr
		call callArgs
	}
	getitemExpr struct {
		at
		node, arg expr
	}
	getattrExpr struct {
		at
		node expr
		attr string
	}
	sliceExpr struct {
		at
		start, stop, step expr // each may be nil
	}
	concatExpr struct {
		at
		items []expr
	}
	compareExpr struct {
		at
		first expr
		ops   []string
		rest  []expr
	}
	binExpr struct {
		at
		op          string
		left, right expr
	}
	logicExpr struct {
		at
		and         bool
		left, right expr
	}
	notExpr struct {
		at
		node expr
	}
	unaryExpr struct {
		at
		op   byte
		node expr
	}
)

type (
	outputStmt struct {
		at
		items []expr
	}
	forStmt struct {
		at
		target     expr
		iter       expr
		test       expr // may be nil
		body, els  []stmt
		recursive  bool
		extended   bool // needs the loop object
		loopRef    slotRef
		enter      frameEntry
		elseEnter  frameEntry
		testTarget expr // the target as the filter function binds it
		testEnter  frameEntry
		testFn     *scopeFunc
		loopFn     *scopeFunc // body function of a recursive loop
	}
	ifStmt struct {
		at
		test  expr
		body  []stmt
		elifs []*ifStmt
		els   []stmt
	}
	// macroBody is what {% macro %} and {% call %} share.
	macroBody struct {
		params                  []*nameExpr
		defaults                []expr // for the last len(defaults) parameters
		body                    []stmt
		fn                      *scopeFunc
		enter                   frameEntry
		special                 []slotRef // caller, kwargs, varargs: those that the body asks for, in this order
		caller, kwargs, varargs bool
		explicitCaller          bool
	}
	macroStmt struct {
		at
		macroBody
		name     string
		ref      slotRef
		exported bool
	}
	callStmt struct {
		at
		macroBody
		call *callExpr // nil: {% generation %}, which prints its body
	}
	filterStmt struct {
		at
		filter expr // chain of filterExpr, the innermost with a nil node
		body   []stmt
		enter  frameEntry
	}
	withStmt struct {
		at
		targets, values []expr
		body            []stmt
		enter           frameEntry
	}
	blockStmt struct {
		at
		name             string
		scoped, required bool
		body             []stmt
		fn               *scopeFunc
		enter            frameEntry
		selfRef          *slotRef
		superRef         *slotRef
		locals           []namedRef // a scoped block sees these
	}
	// loaderStmt is include, import, from … import and extends: all need other templates, which there are none of.
	loaderStmt struct {
		at
		tag      string
		template expr
		stores   []*nameExpr
	}
	assignStmt struct {
		at
		target, value expr
		nsRefs        []*nsRef
	}
	assignBlockStmt struct {
		at
		target expr
		filter expr // may be nil
		body   []stmt
		enter  frameEntry
	}
	autoescapeStmt struct {
		at
		option expr
		body   []stmt
		enter  frameEntry
	}
	loopControlStmt struct {
		at
		kind control
	}
)

func appendExprs(out []node, list ...expr) []node {
	for _, e := range list {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

func appendStmts(out []node, list []stmt) []node {
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

func (c *callArgs) children(out []node) []node {
	out = appendExprs(out, c.args...)
	out = appendExprs(out, c.kwValues...)
	return appendExprs(out, c.dynArgs, c.dynKw)
}

func (m *macroBody) children(out []node) []node {
	for _, p := range m.params {
		out = append(out, p)
	}
	out = appendExprs(out, m.defaults...)
	return appendStmts(out, m.body)
}

// children lists a node's children in the order in which names are looked at; the order decides which names a frame
// loads from outside and which it owns.
func children(n node) []node {
	switch n := n.(type) {
	case *tupleExpr:
		return appendExprs(nil, n.items...)
	case *listExpr:
		return appendExprs(nil, n.items...)
	case *dictExpr:
		var out []node
		for i := range n.keys {
			out = append(out, n.keys[i], n.values[i])
		}
		return out
	case *condExpr:
		return appendExprs(nil, n.test, n.yes, n.no)
	case *filterExpr:
		return n.call.children(appendExprs(nil, n.node))
	case *testExpr:
		return n.call.children(appendExprs(nil, n.node))
	case *callExpr:
		return n.call.children(appendExprs(nil, n.node))
	case *getitemExpr:
		return appendExprs(nil, n.node, n.arg)
	case *getattrExpr:
		return appendExprs(nil, n.node)
	case *sliceExpr:
		return appendExprs(nil, n.start, n.stop, n.step)
	case *concatExpr:
		return appendExprs(nil, n.items...)
	case *compareExpr:
		return appendExprs(appendExprs(nil, n.first), n.rest...)
	case *binExpr:
		return appendExprs(nil, n.left, n.right)
	case *logicExpr:
		return appendExprs(nil, n.left, n.right)
	case *notExpr:
		return appendExprs(nil, n.node)
	case *unaryExpr:
		return appendExprs(nil, n.node)
	case stmt:
		return stmtChildren(n)
	}
	return nil
}

func stmtChildren(n stmt) []node {
	switch n := n.(type) {
	case *outputStmt:
		return appendExprs(nil, n.items...)
	case *forStmt:
		out := appendStmts(appendExprs(nil, n.target, n.iter), n.body)
		return appendExprs(appendStmts(out, n.els), n.test)
	case *ifStmt:
		out := appendStmts(appendExprs(nil, n.test), n.body)
		for _, e := range n.elifs {
			out = append(out, e)
		}
		return appendStmts(out, n.els)
	case *macroStmt:
		return n.macroBody.children(nil)
	case *callStmt:
		var out []node
		if n.call != nil {
			out = append(out, n.call)
		}
		return n.macroBody.children(out)
	case *filterStmt:
		return appendExprs(appendStmts(nil, n.body), n.filter)
	case *withStmt:
		out := appendExprs(appendExprs(nil, n.targets...), n.values...)
		return appendStmts(out, n.body)
	case *blockStmt:
		return appendStmts(nil, n.body)
	case *loaderStmt:
		out := appendExprs(nil, n.template)
		for _, s := range n.stores {
			out = append(out, s)
		}
		return out
	case *assignStmt:
		return appendExprs(nil, n.target, n.value)
	case *assignBlockStmt:
		return appendStmts(appendExprs(nil, n.target, n.filter), n.body)
	case *autoescapeStmt:
		return appendStmts(appendExprs(nil, n.option), n.body)
	}
	return nil
}

package chat

// arguments are those of one call.
type arguments struct {
	pos []Value
	kw  *Dict // keys are strings; nil when there are none
}

func (a *arguments) keywords() int {
	if a.kw == nil {
		return 0
	}
	return a.kw.Len()
}

// firstKeyword returns the name of the first keyword argument that is left.
func (a *arguments) firstKeyword() string {
	if a.kw != nil {
		if key, _, _, ok := a.kw.entry(0); ok {
			name, _ := text(key)
			return name
		}
	}
	return ""
}

func (a *arguments) noKeywords(fn string) error {
	if a.keywords() > 0 {
		return typeError("%s() got an unexpected keyword argument %s", fn, strRepr(a.firstKeyword()))
	}
	return nil
}

// bind matches the arguments to parameter names, the first required of which must be given; those not given are
// missing. A name that starts with "/" is positional only (the slash is no part of it).
func (a *arguments) bind(fn string, required int, names ...string) ([]Value, error) {
	if len(a.pos) > len(names) {
		return nil, typeError("%s() takes at most %d arguments (%d given)", fn, len(names), len(a.pos))
	}
	bound := make([]Value, len(names))
	used := 0
	for i, name := range names {
		bound[i] = missing
		if i < len(a.pos) {
			bound[i] = a.pos[i]
		}
		if a.kw == nil || name[0] == '/' {
			continue
		}
		if v, ok := a.kw.Get(name); ok {
			if i < len(a.pos) {
				return nil, typeError("%s() got multiple values for argument %s", fn, strRepr(name))
			}
			bound[i] = v
			used++
		}
	}
	if a.kw != nil && used < a.kw.Len() {
		return nil, a.unexpected(fn, names)
	}
	for i := 0; i < required; i++ {
		if bound[i] == missing {
			return nil, typeError("%s() missing required argument %s", fn, strRepr(names[i]))
		}
	}
	return bound, nil
}

func (a *arguments) unexpected(fn string, names []string) error {
	return a.kw.each(func(key, _ Value) error {
		for _, name := range names {
			if name == key {
				return nil
			}
		}
		s, _ := text(key)
		return typeError("%s() got an unexpected keyword argument %s", fn, strRepr(s))
	})
}

// or returns v, or the default where the argument was not given.
func or(v, byDefault Value) Value {
	if v == missing {
		return byDefault
	}
	return v
}

// function is anything callable that is written in Go: global, method, filter or test.
type function struct {
	name  string
	owner string // class of the value that a method is bound to
	fn    func(r *run, a *arguments) (Value, error)
	attrs map[string]*function // static methods, as dict.fromkeys
}

func method(owner, name string, fn func(r *run, a *arguments) (Value, error)) *function {
	return &function{name: name, owner: owner, fn: fn}
}

// address stands where Python prints the address of an object.
const address = "0x7f0000000000"

func (f *function) class() string {
	switch {
	case f.owner != "":
		return "builtin_function_or_method"
	case f.attrs != nil:
		return "type"
	}
	return "function"
}

func (f *function) repr() string {
	switch {
	case f.owner != "":
		return "<built-in method " + f.name + " of " + f.owner + " object at " + address + ">"
	case f.attrs != nil:
		return "<class '" + f.name + "'>"
	}
	return "<function " + f.name + " at " + address + ">"
}

func callable(v Value) bool {
	switch v.(type) {
	case *function, *macro, *loopContext, *joiner, *blockReference, *undefined:
		return true
	}
	return false
}

// callValue calls any callable value.
func (r *run) callValue(v Value, a *arguments) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	switch v := v.(type) {
	case *function:
		return v.fn(r, a)
	case *macro:
		return v.call(r, a)
	case *loopContext:
		return v.call(r, a)
	case *joiner:
		return v.call(a)
	case *blockReference:
		return v.call(r, a)
	case *undefined:
		return nil, v.err()
	}
	return nil, typeError("'%s' object is not callable", typeName(v))
}

// evaluate computes the arguments of a call; first, where not missing, comes before them.
func (c *callArgs) evaluate(r *run, f *activation, first Value) (*arguments, error) {
	a := &arguments{pos: make([]Value, 0, len(c.args)+1)}
	if first != missing {
		a.pos = append(a.pos, first)
	}
	for _, e := range c.args {
		v, err := r.eval(e, f)
		if err != nil {
			return nil, err
		}
		a.pos = append(a.pos, v)
	}
	for i, e := range c.kwValues {
		v, err := r.eval(e, f)
		if err != nil {
			return nil, err
		}
		if a.kw == nil {
			a.kw = NewDict()
		}
		a.kw.Set(c.kwNames[i], v)
	}
	return a, c.evaluateDynamic(r, f, a)
}

// evaluateDynamic adds *args and **kwargs.
func (c *callArgs) evaluateDynamic(r *run, f *activation, a *arguments) error {
	if c.dynArgs != nil {
		v, err := r.eval(c.dynArgs, f)
		if err != nil {
			return err
		}
		if !iterable(v) {
			return typeError("Value after * must be an iterable, not %s", typeName(v))
		}
		items, err := r.list(v)
		if err != nil {
			return err
		}
		a.pos = append(a.pos, items...)
	}
	if c.dynKw == nil {
		return nil
	}
	v, err := r.eval(c.dynKw, f)
	if err != nil {
		return err
	}
	d, ok := v.(*Dict)
	if !ok {
		if u, ok := v.(*undefined); ok {
			return u.err()
		}
		return typeError("argument after ** must be a mapping, not %s", typeName(v))
	}
	if a.kw == nil {
		a.kw = NewDict()
	}
	return d.each(func(key, value Value) error {
		name, ok := text(key)
		if !ok {
			return typeError("keywords must be strings")
		}
		if _, twice := a.kw.Get(name); twice {
			return typeError("got multiple values for keyword argument %s", strRepr(name))
		}
		a.kw.Set(name, value)
		return r.step(1)
	})
}

func (e *callExpr) eval(r *run, f *activation) (Value, error) { return e.invoke(r, f, nil) }

// invoke calls; caller, when there is one, is the body of a call block.
func (e *callExpr) invoke(r *run, f *activation, caller *macro) (Value, error) {
	fn, err := r.eval(e.node, f)
	if err != nil {
		return nil, err
	}
	if u, ok := fn.(*undefined); ok {
		return nil, atLineOf(u.err(), e.line)
	}
	a, err := e.call.evaluate(r, f, missing)
	if err != nil {
		return nil, atLineOf(err, e.line)
	}
	if caller != nil {
		if a.kw == nil {
			a.kw = NewDict()
		}
		if _, twice := a.kw.Get("caller"); twice {
			return nil, typeError("got multiple values for keyword argument 'caller'")
		}
		a.kw.Set("caller", caller)
	}
	v, err := r.callValue(fn, a)
	return v, atLineOf(err, e.line)
}

// macro is {% macro %}, or the body of {% call %}.
type macro struct {
	name    string
	body    *macroBody
	closure *activation
}

func (m *macro) call(r *run, a *arguments) (Value, error) {
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	b := m.body
	f := newActivation(b.fn, m.closure, m.closure.ctx)
	kw := NewDict()
	if a.kw != nil {
		kw = a.kw.copy()
	}
	foundCaller := b.explicitCaller && len(a.pos) >= len(b.params)
	for i, p := range b.params {
		if i < len(a.pos) {
			f.slots[p.ref.slot] = a.pos[i]
			continue
		}
		if p.name == "caller" {
			foundCaller = true
		}
		if v, ok := kw.pop(p.name); ok {
			f.slots[p.ref.slot] = v
		}
	}
	if err := m.special(f, a, kw, foundCaller); err != nil {
		return nil, err
	}
	if err := f.enter(r, b.enter); err != nil {
		return nil, err
	}
	if err := m.defaults(r, f); err != nil {
		return nil, err
	}
	text, _, err := r.capture(func() (control, error) { return r.exec(b.body, f) })
	if err != nil {
		return nil, err
	}
	return r.safeText(text), nil
}

// special binds caller, kwargs and varargs where the body asks for them, and refuses arguments nobody takes.
func (m *macro) special(f *activation, a *arguments, kw *Dict, foundCaller bool) error {
	b := m.body
	slots := b.special
	set := func(v Value) {
		f.slots[slots[0].slot] = v
		slots = slots[1:]
	}
	if b.caller && !foundCaller {
		caller, ok := kw.pop("caller")
		if !ok || caller == nil {
			caller = &undefined{hint: "No caller defined", object: missing, name: "caller"}
		}
		set(caller)
	}
	if b.kwargs {
		set(kw)
	} else if kw.Len() > 0 {
		name := (&arguments{kw: kw}).firstKeyword()
		return typeError("macro %s takes no keyword argument %s", strRepr(m.name), strRepr(name))
	}
	if b.varargs {
		var rest []Value
		if len(a.pos) > len(b.params) {
			rest = a.pos[len(b.params):]
		}
		set(newTuple(rest...))
	} else if len(a.pos) > len(b.params) {
		return typeError("macro %s takes not more than %d argument(s)", strRepr(m.name), len(b.params))
	}
	return nil
}

func (m *macro) defaults(r *run, f *activation) error {
	b := m.body
	first := len(b.params) - len(b.defaults)
	for i, p := range b.params {
		slot := &f.slots[p.ref.slot]
		if *slot != missing {
			continue
		}
		if i < first {
			*slot = &undefined{hint: "parameter " + strRepr(p.name) + " was not provided", object: missing, name: p.name}
			continue
		}
		v, err := r.eval(b.defaults[i-first], f)
		if err != nil {
			return err
		}
		*slot = v
	}
	return nil
}

// templateReference is "self": its items are the template's blocks.
type templateReference struct{ ctx *context }

// blockReference renders a block when called.
type blockReference struct {
	block *blockStmt
	ctx   *context
}

func (b *blockReference) call(r *run, a *arguments) (Value, error) {
	if _, err := a.bind("BlockReference.__call__", 0); err != nil {
		return nil, err
	}
	text, _, err := r.capture(func() (control, error) { return controlNone, b.block.render(r, b.ctx) })
	if err != nil {
		return nil, err
	}
	return r.safeText(text), nil
}

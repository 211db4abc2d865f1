package chat

// control says how a body ended.
type control byte

const (
	controlNone control = iota
	controlBreak
	controlContinue
)

// exec runs a body.
func (r *run) exec(body []stmt, f *activation) (control, error) {
	if err := r.enter(); err != nil {
		return controlNone, err
	}
	defer r.leave()
	for _, s := range body {
		if err := r.step(1); err != nil {
			return controlNone, atLineOf(err, s.lineno())
		}
		c, err := s.exec(r, f)
		if err != nil {
			return controlNone, atLineOf(err, s.lineno())
		}
		if c != controlNone {
			return c, nil
		}
	}
	return controlNone, nil
}

func (s *outputStmt) exec(r *run, f *activation) (control, error) {
	for _, item := range s.items {
		if data, ok := item.(*dataExpr); ok {
			if err := r.write(data.text); err != nil {
				return controlNone, err
			}
			continue
		}
		v, err := r.eval(item, f)
		if err != nil {
			return controlNone, atLineOf(err, item.lineno())
		}
		if err := r.print(v); err != nil {
			return controlNone, atLineOf(err, item.lineno())
		}
	}
	return controlNone, nil
}

// print writes a value as {{ … }} does.
func (r *run) print(v Value) error {
	if r.autoescape {
		m, err := escape(r, v)
		if err != nil {
			return err
		}
		return r.write(string(m))
	}
	s, err := str(r, v)
	if err != nil {
		return err
	}
	return r.write(s)
}

func (s *ifStmt) exec(r *run, f *activation) (control, error) {
	for branch, i := s, 0; ; i++ {
		ok, err := r.condition(branch.test, f)
		if err != nil {
			return controlNone, atLineOf(err, branch.line)
		}
		if ok {
			return r.exec(branch.body, f)
		}
		if i >= len(s.elifs) {
			return r.exec(s.els, f)
		}
		branch = s.elifs[i]
	}
}

func (r *run) condition(e expr, f *activation) (bool, error) {
	v, err := r.eval(e, f)
	if err != nil {
		return false, err
	}
	return truth(r, v)
}

func (s *assignStmt) exec(r *run, f *activation) (control, error) {
	for _, ns := range s.nsRefs {
		if _, ok := (*f.at(ns.ref)).(*namespace); !ok {
			return controlNone, newError("TemplateRuntimeError", "cannot assign attribute on non-namespace object %q", ns.name)
		}
	}
	v, err := r.eval(s.value, f)
	if err != nil {
		return controlNone, err
	}
	return controlNone, r.assign(s.target, v, f)
}

// assign binds a target: a name, a namespace attribute, or a tuple of targets.
func (r *run) assign(target expr, v Value, f *activation) error {
	switch t := target.(type) {
	case *nameExpr:
		*f.at(t.ref) = v
		if t.exported {
			f.ctx.vars.Set(t.name, v)
		}
		return nil
	case *nsRef:
		ns, ok := (*f.at(t.ref)).(*namespace)
		if !ok {
			return newError("TemplateRuntimeError", "cannot assign attribute on non-namespace object %q", t.name)
		}
		ns.attrs.Set(t.attr, v)
		return nil
	case *tupleExpr:
		return r.unpack(t, v, f)
	}
	return newError("TemplateRuntimeError", "cannot assign to this expression")
}

func (r *run) unpack(t *tupleExpr, v Value, f *activation) error {
	if _, ok := v.(*undefined); !ok && !iterable(v) {
		return typeError("cannot unpack non-iterable %s object", typeName(v))
	}
	it, err := r.iter(v)
	if err != nil {
		return err
	}
	items := make([]Value, 0, len(t.items))
	for len(items) <= len(t.items) {
		item, ok, err := it.next(r)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		items = append(items, item)
	}
	if len(items) < len(t.items) {
		return valueError("not enough values to unpack (expected %d, got %d)", len(t.items), len(items))
	}
	if len(items) > len(t.items) {
		return valueError("too many values to unpack (expected %d)", len(t.items))
	}
	for i, target := range t.items {
		if err := r.assign(target, items[i], f); err != nil {
			return err
		}
	}
	return nil
}

// safeText marks captured output as escaped where autoescape is on.
func (r *run) safeText(s string) Value {
	if r.autoescape {
		return markup(s)
	}
	return s
}

func (s *assignBlockStmt) exec(r *run, f *activation) (control, error) {
	if err := f.enter(r, s.enter); err != nil {
		return controlNone, err
	}
	text, c, err := r.capture(func() (control, error) { return r.exec(s.body, f) })
	if err != nil || c != controlNone {
		return c, err
	}
	v := r.safeText(text)
	if s.filter != nil {
		if v, err = r.applyFilters(s.filter, v, f); err != nil {
			return controlNone, err
		}
	}
	if err := r.assign(s.target, v, f); err != nil {
		return controlNone, err
	}
	f.leave(s.enter)
	return controlNone, nil
}

// applyFilters evaluates a filter chain whose innermost filter takes captured text.
func (r *run) applyFilters(e expr, captured Value, f *activation) (Value, error) {
	filter, ok := e.(*filterExpr)
	if !ok {
		return captured, nil
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	defer r.leave()
	v, err := r.applyFilters(filter.node, captured, f)
	if err != nil {
		return nil, err
	}
	return filter.apply(r, v, f)
}

func (s *filterStmt) exec(r *run, f *activation) (control, error) {
	if err := f.enter(r, s.enter); err != nil {
		return controlNone, err
	}
	text, c, err := r.capture(func() (control, error) { return r.exec(s.body, f) })
	if err != nil || c != controlNone {
		return c, err
	}
	v, err := r.applyFilters(s.filter, r.safeText(text), f)
	if err != nil {
		return controlNone, err
	}
	f.leave(s.enter)
	// The result is printed as it is, unescaped even under autoescape.
	text, err = str(r, v)
	if err != nil {
		return controlNone, err
	}
	if _, ok := v.(string); !ok {
		if _, ok := v.(markup); !ok {
			return controlNone, typeError("sequence item 0: expected str instance, %s found", typeName(v))
		}
	}
	return controlNone, r.write(text)
}

func (s *withStmt) exec(r *run, f *activation) (control, error) {
	if err := f.enter(r, s.enter); err != nil {
		return controlNone, err
	}
	for i, target := range s.targets {
		v, err := r.eval(s.values[i], f)
		if err != nil {
			return controlNone, err
		}
		if err := r.assign(target, v, f); err != nil {
			return controlNone, err
		}
	}
	c, err := r.exec(s.body, f)
	if err == nil && c == controlNone {
		f.leave(s.enter)
	}
	return c, err
}

func (s *autoescapeStmt) exec(r *run, f *activation) (control, error) {
	if err := f.enter(r, s.enter); err != nil {
		return controlNone, err
	}
	on, err := r.condition(s.option, f)
	if err != nil {
		return controlNone, err
	}
	outer := r.autoescape
	r.autoescape = on
	c, err := r.exec(s.body, f)
	if c == controlNone {
		r.autoescape = outer
		f.leave(s.enter)
	}
	return c, err
}

func (s *loopControlStmt) exec(*run, *activation) (control, error) { return s.kind, nil }

func (s *loaderStmt) exec(r *run, f *activation) (control, error) {
	v, err := r.eval(s.template, f)
	if err != nil {
		return controlNone, err
	}
	name, err := repr(r, v)
	if err != nil {
		return controlNone, err
	}
	return controlNone, typeError("{%% %s %s %%}: no loader for this environment: a chat template stands alone", s.tag, name)
}

func (s *blockStmt) exec(r *run, f *activation) (control, error) {
	ctx := f.ctx
	if s.scoped {
		ctx = &context{parent: f.ctx.parent, vars: f.ctx.vars.copy()}
		for _, local := range s.locals {
			if v := *f.at(local.ref); v != missing {
				ctx.vars.Set(local.name, v)
			}
		}
	}
	if s.required {
		return controlNone, newError("TemplateRuntimeError", "required block %q not found", s.name)
	}
	return controlNone, s.render(r, ctx)
}

// render runs the block's body: a function that sees the context, not the frames around the block.
func (s *blockStmt) render(r *run, ctx *context) error {
	f := newActivation(s.fn, nil, ctx)
	if s.selfRef != nil {
		f.slots[s.selfRef.slot] = &templateReference{ctx}
	}
	if s.superRef != nil {
		f.slots[s.superRef.slot] = undefinedHint("there is no parent block called " + strRepr(s.name) + ".")
	}
	if err := f.enter(r, s.enter); err != nil {
		return err
	}
	_, err := r.exec(s.body, f)
	return err
}

func (s *macroStmt) exec(r *run, f *activation) (control, error) {
	m := &macro{name: s.name, body: &s.macroBody, closure: f}
	*f.at(s.ref) = m
	if s.exported {
		f.ctx.vars.Set(s.name, m)
	}
	return controlNone, nil
}

func (s *callStmt) exec(r *run, f *activation) (control, error) {
	caller := &macro{name: "", body: &s.macroBody, closure: f}
	var v Value
	var err error
	if s.call == nil {
		v, err = caller.call(r, &arguments{})
	} else {
		v, err = s.call.invoke(r, f, caller)
	}
	if err != nil {
		return controlNone, err
	}
	out, ok := text(v)
	if !ok {
		// Python joins the pieces of output, and refuses what is no string.
		return controlNone, typeError("sequence item 0: expected str instance, %s found", typeName(v))
	}
	return controlNone, r.write(out)
}

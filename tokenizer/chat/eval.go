package chat

// eval computes an expression, counting it against the limits.
func (r *run) eval(e expr, f *activation) (Value, error) {
	if c, ok := e.(*constExpr); ok {
		return c.value, nil
	}
	if err := r.step(1); err != nil {
		return nil, err
	}
	if err := r.enter(); err != nil {
		return nil, err
	}
	v, err := e.eval(r, f)
	r.leave()
	return v, err
}

// evalAll computes a list of expressions.
func (r *run) evalAll(list []expr, f *activation) ([]Value, error) {
	items := make([]Value, len(list))
	for i, e := range list {
		v, err := r.eval(e, f)
		if err != nil {
			return nil, err
		}
		items[i] = v
	}
	return items, nil
}

func (e *nameExpr) eval(_ *run, f *activation) (Value, error) {
	v := *f.at(e.ref)
	if v == missing {
		return undefinedName(e.name), nil
	}
	return v, nil
}

func (e *nsRef) eval(*run, *activation) (Value, error) {
	return nil, newError("TemplateRuntimeError", "namespace reference %s.%s is only for assignment", e.name, e.attr)
}

func (e *constExpr) eval(*run, *activation) (Value, error) { return e.value, nil }

func (e *dataExpr) eval(*run, *activation) (Value, error) { return e.text, nil }

func (e *tupleExpr) eval(r *run, f *activation) (Value, error) {
	items, err := r.evalAll(e.items, f)
	return &tuple{items: items}, err
}

func (e *listExpr) eval(r *run, f *activation) (Value, error) {
	items, err := r.evalAll(e.items, f)
	return &List{items}, err
}

func (e *dictExpr) eval(r *run, f *activation) (Value, error) {
	d := NewDict()
	for i := range e.keys {
		key, err := r.eval(e.keys[i], f)
		if err != nil {
			return nil, err
		}
		value, err := r.eval(e.values[i], f)
		if err != nil {
			return nil, err
		}
		if err := d.store(key, value); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (e *condExpr) eval(r *run, f *activation) (Value, error) {
	ok, err := r.condition(e.test, f)
	if err != nil {
		return nil, err
	}
	if ok {
		return r.eval(e.yes, f)
	}
	if e.no == nil {
		return undefinedHint("the inline if-expression evaluated to false and no else section was defined."), nil
	}
	return r.eval(e.no, f)
}

func (e *logicExpr) eval(r *run, f *activation) (Value, error) {
	left, err := r.eval(e.left, f)
	if err != nil {
		return nil, err
	}
	ok, err := truth(r, left)
	if err != nil || ok != e.and {
		return left, err
	}
	return r.eval(e.right, f)
}

func (e *notExpr) eval(r *run, f *activation) (Value, error) {
	ok, err := r.condition(e.node, f)
	return !ok, err
}

func (e *unaryExpr) eval(r *run, f *activation) (Value, error) {
	v, err := r.eval(e.node, f)
	if err != nil {
		return nil, err
	}
	v, err = unary(e.op, v)
	return v, atLineOf(err, e.line)
}

func (e *binExpr) eval(r *run, f *activation) (Value, error) {
	left, err := r.eval(e.left, f)
	if err != nil {
		return nil, err
	}
	right, err := r.eval(e.right, f)
	if err != nil {
		return nil, err
	}
	v, err := binary(r, e.op, left, right)
	return v, atLineOf(err, e.line)
}

func (e *concatExpr) eval(r *run, f *activation) (Value, error) {
	items, err := r.evalAll(e.items, f)
	if err != nil {
		return nil, err
	}
	v, err := concat(r, items)
	return v, atLineOf(err, e.line)
}

func (e *compareExpr) eval(r *run, f *activation) (Value, error) {
	left, err := r.eval(e.first, f)
	if err != nil {
		return nil, err
	}
	for i, op := range e.ops {
		right, err := r.eval(e.rest[i], f)
		if err != nil {
			return nil, err
		}
		ok, err := compare(r, op, left, right)
		if err != nil {
			return nil, atLineOf(err, e.line)
		}
		if !ok {
			return false, nil
		}
		left = right
	}
	return true, nil
}

func (e *filterExpr) eval(r *run, f *activation) (Value, error) {
	v, err := r.eval(e.node, f)
	if err != nil {
		return nil, err
	}
	return e.apply(r, v, f)
}

// apply runs the filter on a value.
func (e *filterExpr) apply(r *run, v Value, f *activation) (Value, error) {
	a, err := e.call.evaluate(r, f, v)
	if err != nil {
		return nil, err
	}
	if e.fn == nil {
		return nil, &Error{Kind: "TemplateRuntimeError", Message: "No filter named " + strRepr(e.name) + " found.", Line: e.line}
	}
	v, err = e.fn.fn(r, a)
	return v, atLineOf(err, e.line)
}

func (e *testExpr) eval(r *run, f *activation) (Value, error) {
	v, err := r.eval(e.node, f)
	if err != nil {
		return nil, err
	}
	a, err := e.call.evaluate(r, f, v)
	if err != nil {
		return nil, err
	}
	if e.fn == nil {
		return nil, &Error{Kind: "TemplateRuntimeError", Message: "No test named " + strRepr(e.name) + " found.", Line: e.line}
	}
	v, err = e.fn.fn(r, a)
	return v, atLineOf(err, e.line)
}

func (e *getattrExpr) eval(r *run, f *activation) (Value, error) {
	v, err := r.eval(e.node, f)
	if err != nil {
		return nil, err
	}
	v, err = getattr(r, v, e.attr)
	return v, atLineOf(err, e.line)
}

func (e *getitemExpr) eval(r *run, f *activation) (Value, error) {
	v, err := r.eval(e.node, f)
	if err != nil {
		return nil, err
	}
	arg, err := r.eval(e.arg, f)
	if err != nil {
		return nil, err
	}
	if s, ok := arg.(*sliceValue); ok {
		v, err = slice(r, v, s)
	} else {
		v, err = getitem(r, v, arg)
	}
	return v, atLineOf(err, e.line)
}

func (e *sliceExpr) eval(r *run, f *activation) (Value, error) {
	s := &sliceValue{}
	for _, part := range []struct {
		e  expr
		to *Value
	}{{e.start, &s.start}, {e.stop, &s.stop}, {e.step, &s.step}} {
		if part.e == nil {
			continue
		}
		v, err := r.eval(part.e, f)
		if err != nil {
			return nil, err
		}
		*part.to = v
	}
	return s, nil
}

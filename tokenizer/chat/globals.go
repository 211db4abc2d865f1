package chat

// globals are the names that every template sees unless its context has them.
var globals map[string]Value

// maxRange is the longest range that the sandbox permits.
const maxRange = 100000

func init() {
	global := func(name string, fn func(*run, *arguments) (Value, error)) Value {
		return &function{name: name, fn: fn}
	}
	globals = map[string]Value{
		"range":           global("safe_range", rangeFunc),
		"dict":            &function{name: "dict", fn: dictFunc, attrs: map[string]*function{"fromkeys": {name: "fromkeys", owner: "type", fn: dictFromKeys}}},
		"namespace":       &function{name: "jinja2.utils.Namespace", fn: namespaceFunc, attrs: map[string]*function{}},
		"cycler":          &function{name: "jinja2.utils.Cycler", fn: cyclerFunc, attrs: map[string]*function{}},
		"joiner":          &function{name: "jinja2.utils.Joiner", fn: joinerFunc, attrs: map[string]*function{}},
		"raise_exception": global("raise_exception", raiseFunc),
		"strftime_now":    global("strftime_now", strftimeFunc),
		"lipsum": global("generate_lorem_ipsum", func(*run, *arguments) (Value, error) {
			return nil, newError("TemplateRuntimeError", "lipsum is not available: rendering is deterministic, and it makes random text")
		}),
	}
}

func rangeFunc(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("range", 1, "/start", "/stop", "/step")
	if err != nil {
		return nil, err
	}
	var n [3]int64
	for i, arg := range args {
		if arg == missing {
			continue
		}
		if u, ok := arg.(*undefined); ok {
			return nil, u.err()
		}
		v, err := indexOf(arg)
		if err != nil {
			return nil, err
		}
		n[i] = int64(v)
	}
	v := &rangeValue{n[0], n[1], n[2]}
	if args[1] == missing {
		v.start, v.stop = 0, n[0]
	}
	if args[2] == missing {
		v.step = 1
	} else if v.step == 0 {
		return nil, valueError("range() arg 3 must not be zero")
	}
	if v.len() > maxRange {
		return nil, newError("OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	return v, nil
}

// dictFrom is dict(mapping or pairs, **kwargs).
func dictFrom(r *run, a *arguments) (*Dict, error) {
	if len(a.pos) > 1 {
		return nil, typeError("dict expected at most 1 argument, got %d", len(a.pos))
	}
	d := NewDict()
	if len(a.pos) == 1 {
		if err := dictUpdate(r, d, a.pos[0]); err != nil {
			return nil, err
		}
	}
	if a.kw == nil {
		return d, nil
	}
	return d, a.kw.each(func(key, value Value) error { return d.store(key, value) })
}

func dictUpdate(r *run, d *Dict, from Value) error {
	switch v := from.(type) {
	case *Dict:
		return v.each(func(key, value Value) error {
			if err := r.step(1); err != nil {
				return err
			}
			return d.store(key, value)
		})
	case *undefined:
		// Python asks for keys(), which an undefined value refuses.
		return v.err()
	}
	pairs, err := r.list(from)
	if err != nil {
		return err
	}
	for i, pair := range pairs {
		if !iterable(pair) {
			return typeError("cannot convert dictionary update sequence element #%d to a sequence", i)
		}
		items, err := r.list(pair)
		if err != nil {
			return err
		}
		if len(items) != 2 {
			return valueError("dictionary update sequence element #%d has length %d; 2 is required", i, len(items))
		}
		if err := d.store(items[0], items[1]); err != nil {
			return err
		}
	}
	return nil
}

func dictFunc(r *run, a *arguments) (Value, error) { return dictFrom(r, a) }

func namespaceFunc(r *run, a *arguments) (Value, error) {
	d, err := dictFrom(r, a)
	if err != nil {
		return nil, err
	}
	return &namespace{d}, nil
}

func raiseFunc(r *run, a *arguments) (Value, error) {
	args, err := a.bind("raise_exception", 1, "message")
	if err != nil {
		return nil, err
	}
	message, err := str(r, args[0])
	if err != nil {
		return nil, err
	}
	return nil, newError("TemplateError", "%s", message)
}

// cycler gives its items in turn.
type cycler struct {
	items []Value
	pos   int
}

func cyclerFunc(_ *run, a *arguments) (Value, error) {
	if err := a.noKeywords("Cycler.__init__"); err != nil {
		return nil, err
	}
	if len(a.pos) == 0 {
		return nil, newError("RuntimeError", "at least one item has to be provided")
	}
	return &cycler{items: a.pos}, nil
}

func (c *cycler) attr(name string) (Value, bool, error) {
	switch name {
	case "items":
		return newTuple(c.items...), true, nil
	case "pos":
		return int64(c.pos), true, nil
	case "current":
		return c.items[c.pos], true, nil
	case "next":
		return method("Cycler", "next", func(_ *run, a *arguments) (Value, error) {
			v := c.items[c.pos]
			_, err := a.bind("next", 0)
			c.pos = (c.pos + 1) % len(c.items)
			return v, err
		}), true, nil
	case "reset":
		return method("Cycler", "reset", func(_ *run, a *arguments) (Value, error) {
			_, err := a.bind("reset", 0)
			c.pos = 0
			return nil, err
		}), true, nil
	}
	return nil, false, nil
}

// joiner is empty the first time it is called, and its separator from then on.
type joiner struct {
	sep  Value
	used bool
}

func joinerFunc(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("Joiner.__init__", 0, "sep")
	if err != nil {
		return nil, err
	}
	return &joiner{sep: or(args[0], ", ")}, nil
}

func (j *joiner) call(a *arguments) (Value, error) {
	if _, err := a.bind("Joiner.__call__", 0); err != nil {
		return nil, err
	}
	if !j.used {
		j.used = true
		return "", nil
	}
	return j.sep, nil
}

func (j *joiner) attr(name string) (Value, bool, error) {
	switch name {
	case "sep":
		return j.sep, true, nil
	case "used":
		return j.used, true, nil
	}
	return nil, false, nil
}

package chat

// builtinTests are what stands behind "is".
var builtinTests map[string]*function

func init() {
	builtinTests = map[string]*function{}
	add := func(names []string, params []string, f func(r *run, args []Value) (bool, error)) {
		for _, name := range names {
			builtinTests[name] = &function{name: "test_" + name, fn: func(r *run, a *arguments) (Value, error) {
				args, err := a.bind("test_"+name, len(params)+1, append([]string{"value"}, params...)...)
				if err != nil {
					return nil, err
				}
				return f(r, args)
			}}
		}
	}
	plain := func(name string, f func(v Value) bool) {
		add([]string{name}, nil, func(_ *run, args []Value) (bool, error) { return f(args[0]), nil })
	}
	operator := func(op string, names ...string) {
		// operator.eq and its like take their arguments by position alone.
		add(append(names, op), []string{"/other"}, func(r *run, args []Value) (bool, error) { return compare(r, op, args[0], args[1]) })
	}
	operator("==", "eq", "equalto")
	operator("!=", "ne")
	operator(">", "gt", "greaterthan")
	operator(">=", "ge")
	operator("<", "lt", "lessthan")
	operator("<=", "le")
	add([]string{"in"}, []string{"seq"}, func(r *run, args []Value) (bool, error) { return containsValue(r, args[1], args[0]) })
	add([]string{"odd"}, nil, func(r *run, args []Value) (bool, error) { return remainderIs(r, args[0], int64(2), 1) })
	add([]string{"even"}, nil, func(r *run, args []Value) (bool, error) { return remainderIs(r, args[0], int64(2), 0) })
	add([]string{"divisibleby"}, []string{"num"}, func(r *run, args []Value) (bool, error) { return remainderIs(r, args[0], args[1], 0) })
	add([]string{"sameas"}, []string{"other"}, func(_ *run, args []Value) (bool, error) { return same(args[0], args[1]), nil })
	add([]string{"filter"}, nil, func(_ *run, args []Value) (bool, error) { return named(builtinFilters, args[0]) })
	add([]string{"test"}, nil, func(_ *run, args []Value) (bool, error) { return named(builtinTests, args[0]) })
	add([]string{"lower"}, nil, func(r *run, args []Value) (bool, error) { return caseTest(r, args[0], "islower") })
	add([]string{"upper"}, nil, func(r *run, args []Value) (bool, error) { return caseTest(r, args[0], "isupper") })
	plain("defined", func(v Value) bool { return !isUndefined(v) })
	plain("undefined", isUndefined)
	plain("none", func(v Value) bool { return v == nil })
	plain("boolean", func(v Value) bool { _, ok := v.(bool); return ok })
	plain("true", func(v Value) bool { return v == true })
	plain("false", func(v Value) bool { return v == false })
	plain("integer", func(v Value) bool { _, isBool := v.(bool); return isInt(v) && !isBool })
	plain("float", func(v Value) bool { _, ok := v.(float64); return ok })
	plain("number", isNumber)
	plain("string", func(v Value) bool { _, ok := text(v); return ok })
	plain("mapping", func(v Value) bool { _, ok := v.(*Dict); return ok })
	plain("iterable", iterable)
	plain("callable", callable)
	plain("escaped", func(v Value) bool { _, ok := v.(markup); return ok })
	plain("sequence", isSequence)
}

func isUndefined(v Value) bool {
	_, ok := v.(*undefined)
	return ok
}

// isSequence: has a length and can be subscripted. An undefined value's subscripting raises only when called.
func isSequence(v Value) bool {
	switch v.(type) {
	case string, markup, bytesValue, *List, *tuple, *Dict, *rangeValue, *undefined:
		return true
	}
	return false
}

func remainderIs(r *run, v, divisor Value, want int64) (bool, error) {
	m, err := binary(r, "%", v, divisor)
	if err != nil {
		return false, err
	}
	return equal(r, m, want)
}

// same is Python's "is". Text and numbers, which Python mostly shares when they are equal, compare by value.
func same(a, b Value) bool {
	if typeName(a) != typeName(b) {
		return false
	}
	if isNumber(a) {
		return compareNumbers(a, b) == 0
	}
	if t, ok := a.(*tuple); ok && len(t.items) == 0 {
		u, ok := b.(*tuple)
		return ok && len(u.items) == 0
	}
	return a == b
}

func named(table map[string]*function, v Value) (bool, error) {
	if _, err := keyOf(v); err != nil {
		return false, err
	}
	name, _ := text(v)
	return table[name] != nil, nil
}

func caseTest(r *run, v Value, name string) (bool, error) {
	s, err := str(r, v)
	if err != nil {
		return false, err
	}
	ok, err := strMethods[name](r, s, &arguments{})
	return ok == true, err
}

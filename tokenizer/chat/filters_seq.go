package chat

import "strings"

// attrPath is the attribute argument of sort, map, join and others: names and indices joined by dots.
type attrPath []Value

func parseAttrPath(v Value) attrPath {
	switch v := v.(type) {
	case nil:
		return nil
	case string, markup:
		s, _ := text(v)
		var path attrPath
		for _, part := range strings.Split(s, ".") {
			path = append(path, indexOrName(part))
		}
		return path
	}
	return attrPath{v}
}

// get follows the path; an undefined step becomes the default, when there is one.
func (p attrPath) get(r *run, v, byDefault Value) (Value, error) {
	for _, part := range p {
		var err error
		if v, err = getitem(r, v, part); err != nil {
			return nil, err
		}
		if byDefault != nil && isUndefined(v) {
			v = byDefault
		}
	}
	return v, nil
}

func ignoreCase(v Value, caseSensitive bool) Value {
	if s, ok := text(v); ok && !caseSensitive {
		return lower(s)
	}
	return v
}

func filterLength(r *run, a *arguments) (Value, error) {
	args, err := a.bind("len", 1, "/obj")
	if err != nil {
		return nil, err
	}
	n, err := length(r, args[0])
	return int64(n), err
}

func filterList(r *run, a *arguments) (Value, error) {
	args, err := a.bind("list", 1, "value")
	if err != nil {
		return nil, err
	}
	items, err := r.list(args[0])
	return &List{items}, err
}

func filterItems(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("items", 1, "value")
	if err != nil {
		return nil, err
	}
	var source iterationSource
	return newGenerator("do_items", func(r *run) (Value, bool, error) {
		if source == nil {
			switch v := args[0].(type) {
			case *undefined:
				return nil, false, nil
			case *Dict:
				source = dictSource(v, "dict_items")
			default:
				return nil, false, typeError("Can only get item pairs from a mapping.")
			}
		}
		return source.next(r)
	}), nil
}

// lazy is a generator over the items of v that is not read before it is used; start runs first.
func lazy(name string, v Value, start func(r *run) (func(Value) (Value, bool, error), error)) *iterator {
	var source iterationSource
	var each func(Value) (Value, bool, error)
	return newGenerator(name, func(r *run) (Value, bool, error) {
		if source == nil {
			any, err := truth(r, v)
			if err != nil || !any {
				return nil, false, err
			}
			if each, err = start(r); err != nil {
				return nil, false, err
			}
			if source, err = r.iter(v); err != nil {
				return nil, false, err
			}
		}
		for {
			item, ok, err := source.next(r)
			if err != nil || !ok {
				return nil, false, err
			}
			out, keep, err := each(item)
			if err != nil || keep {
				return out, keep, err
			}
		}
	})
}

func filterMap(_ *run, a *arguments) (Value, error) {
	if len(a.pos) == 0 {
		return nil, typeError("map() missing argument 'value'")
	}
	return lazy("sync_do_map", a.pos[0], func(r *run) (func(Value) (Value, bool, error), error) {
		f, err := prepareMap(r, a)
		return func(item Value) (Value, bool, error) {
			v, err := f(item)
			return v, true, err
		}, err
	}), nil
}

func prepareMap(r *run, a *arguments) (func(Value) (Value, error), error) {
	if len(a.pos) == 1 && a.kw != nil {
		if attribute, ok := a.kw.Get("attribute"); ok {
			byDefault, _ := a.kw.Get("default")
			extra := a.kw.copy()
			extra.pop("attribute")
			extra.pop("default")
			if extra.Len() > 0 {
				return nil, filterError("Unexpected keyword argument %s", strRepr((&arguments{kw: extra}).firstKeyword()))
			}
			path := parseAttrPath(attribute)
			return func(item Value) (Value, error) { return path.get(r, item, byDefault) }, nil
		}
	}
	if len(a.pos) < 2 {
		return nil, filterError("map requires a filter argument")
	}
	return func(item Value) (Value, error) {
		f, err := lookupFunction(builtinFilters, "filter", a.pos[1])
		if err != nil {
			return nil, err
		}
		return f.fn(r, withFirst(item, a.pos[2:], a.kw))
	}, nil
}

func withFirst(first Value, rest []Value, kw *Dict) *arguments {
	return &arguments{pos: append([]Value{first}, rest...), kw: kw}
}

func lookupFunction(table map[string]*function, what string, name Value) (*function, error) {
	if _, err := keyOf(name); err != nil {
		return nil, err
	}
	s, ok := text(name)
	if f := table[s]; ok && f != nil {
		return f, nil
	}
	message := "No " + what + " named " + quoted(name) + "."
	if u, ok := name.(*undefined); ok {
		message += " (" + u.message() + "; did you forget to quote the callable name?)"
	}
	return nil, newError("TemplateRuntimeError", "%s", message)
}

// selector makes select, reject, selectattr and rejectattr.
func selector(name string, byAttr, reject bool) func(*run, *arguments) (Value, error) {
	return func(_ *run, a *arguments) (Value, error) {
		if len(a.pos) == 0 {
			return nil, typeError("%s() missing argument 'value'", name)
		}
		return lazy("select_or_reject", a.pos[0], func(r *run) (func(Value) (Value, bool, error), error) {
			rest := a.pos[1:]
			var path attrPath
			if byAttr {
				if len(rest) == 0 {
					return nil, filterError("Missing parameter for attribute name")
				}
				path, rest = parseAttrPath(rest[0]), rest[1:]
			}
			return func(item Value) (Value, bool, error) {
				v, err := path.get(r, item, nil)
				if err != nil {
					return nil, false, err
				}
				pass, err := passes(r, v, rest, a.kw)
				return item, pass != reject, err
			}, nil
		}), nil
	}
}

// passes applies a test by name, or truth where there is none.
func passes(r *run, v Value, test []Value, kw *Dict) (bool, error) {
	if len(test) == 0 {
		return truth(r, v)
	}
	f, err := lookupFunction(builtinTests, "test", test[0])
	if err != nil {
		return false, err
	}
	result, err := f.fn(r, withFirst(v, test[1:], kw))
	if err != nil {
		return false, err
	}
	return truth(r, result)
}

func filterDictsort(r *run, a *arguments) (Value, error) {
	args, err := a.bind("dictsort", 1, "value", "case_sensitive", "by", "reverse")
	if err != nil {
		return nil, err
	}
	by, _ := text(or(args[2], "key"))
	if by != "key" && by != "value" {
		return nil, filterError("You can only sort by either \"key\" or \"value\"")
	}
	d, ok := args[0].(*Dict)
	if !ok {
		if u, ok := args[0].(*undefined); ok {
			return nil, u.err()
		}
		return nil, newError("AttributeError", "'%s' object has no attribute 'items'", typeName(args[0]))
	}
	sensitive, err := truth(r, or(args[1], false))
	if err != nil {
		return nil, err
	}
	reverse, err := truth(r, or(args[3], false))
	if err != nil {
		return nil, err
	}
	items := dictItems(d, "dict_items")
	keys := dictItems(d, map[string]string{"key": "dict_keys", "value": "dict_values"}[by])
	for i := range keys {
		keys[i] = ignoreCase(keys[i], sensitive)
	}
	items, err = sortValues(r, items, keys, reverse)
	return &List{items}, err
}

func filterSort(r *run, a *arguments) (Value, error) {
	args, err := a.bind("sort", 1, "value", "reverse", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	reverse, err := truth(r, or(args[1], false))
	if err != nil {
		return nil, err
	}
	sensitive, err := truth(r, or(args[2], false))
	if err != nil {
		return nil, err
	}
	items, err := r.list(args[0])
	if err != nil {
		return nil, err
	}
	paths := []attrPath{parseAttrPath(or(args[3], nil))}
	if s, ok := text(args[3]); ok {
		paths = nil
		for _, part := range strings.Split(s, ",") {
			paths = append(paths, parseAttrPath(part))
		}
	}
	keys := make([]Value, len(items))
	for i, item := range items {
		key := &List{}
		for _, path := range paths {
			v, err := path.get(r, item, nil)
			if err != nil {
				return nil, err
			}
			key.Items = append(key.Items, ignoreCase(v, sensitive))
		}
		keys[i] = key
	}
	items, err = sortValues(r, items, keys, reverse)
	return &List{items}, err
}

func filterUnique(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("unique", 1, "value", "case_sensitive", "attribute")
	if err != nil {
		return nil, err
	}
	path := parseAttrPath(or(args[2], nil))
	seen := NewDict()
	var source iterationSource
	return newGenerator("sync_do_unique", func(r *run) (Value, bool, error) {
		sensitive, err := truth(r, or(args[1], false))
		if err != nil {
			return nil, false, err
		}
		if source == nil {
			if source, err = r.iter(args[0]); err != nil {
				return nil, false, err
			}
		}
		for {
			item, ok, err := source.next(r)
			if err != nil || !ok {
				return nil, false, err
			}
			key, err := path.get(r, item, nil)
			if err != nil {
				return nil, false, err
			}
			key = ignoreCase(key, sensitive)
			_, dup, err := seen.lookup(key)
			if err != nil {
				return nil, false, err
			}
			if !dup {
				return item, true, seen.store(key, nil)
			}
		}
	}), nil
}

func filterExtreme(name, op string) func(*run, *arguments) (Value, error) {
	return func(r *run, a *arguments) (Value, error) {
		args, err := a.bind(name, 1, "value", "case_sensitive", "attribute")
		if err != nil {
			return nil, err
		}
		sensitive, err := truth(r, or(args[1], false))
		if err != nil {
			return nil, err
		}
		items, err := r.list(args[0])
		if err != nil {
			return nil, err
		}
		if len(items) == 0 {
			return undefinedHint("No aggregated item, sequence was empty."), nil
		}
		path := parseAttrPath(or(args[2], nil))
		var best, bestKey Value
		for i, item := range items {
			key, err := path.get(r, item, nil)
			if err != nil {
				return nil, err
			}
			key = ignoreCase(key, sensitive)
			better := i == 0
			if !better {
				if better, err = ordered(r, op, key, bestKey); err != nil {
					return nil, err
				}
			}
			if better {
				best, bestKey = item, key
			}
		}
		return best, nil
	}
}

func filterJoin(r *run, a *arguments) (Value, error) {
	args, err := a.bind("join", 1, "value", "d", "attribute")
	if err != nil {
		return nil, err
	}
	items, err := r.list(args[0])
	if err != nil {
		return nil, err
	}
	if attribute := or(args[2], nil); attribute != nil {
		path := parseAttrPath(attribute)
		for i, item := range items {
			if items[i], err = path.get(r, item, nil); err != nil {
				return nil, err
			}
		}
	}
	sep, err := str(r, or(args[1], ""))
	if err != nil {
		return nil, err
	}
	safe := false
	if r.autoescape {
		_, safe = args[1].(markup)
		for _, item := range items {
			_, isMarkup := item.(markup)
			safe = safe || isMarkup
		}
		if _, isMarkup := args[1].(markup); safe && !isMarkup {
			sep = escapeText(sep)
		}
	}
	parts := make([]string, len(items))
	n := 0
	for i, item := range items {
		if parts[i], err = str(r, item); err != nil {
			return nil, err
		}
		if _, isMarkup := item.(markup); safe && !isMarkup {
			parts[i] = escapeText(parts[i])
		}
		n += len(parts[i]) + len(sep)
		if err := r.fits(n); err != nil {
			return nil, err
		}
	}
	if err := r.made(n); err != nil {
		return nil, err
	}
	if out := strings.Join(parts, sep); !safe {
		return out, nil
	} else {
		return markup(out), nil
	}
}

func filterFirst(r *run, a *arguments) (Value, error) {
	args, err := a.bind("first", 1, "seq")
	if err != nil {
		return nil, err
	}
	it, err := r.iter(args[0])
	if err != nil {
		return nil, err
	}
	v, ok, err := it.next(r)
	if err == nil && !ok {
		return undefinedHint("No first item, sequence was empty."), nil
	}
	return v, err
}

func filterLast(r *run, a *arguments) (Value, error) {
	args, err := a.bind("last", 1, "seq")
	if err != nil {
		return nil, err
	}
	switch v := args[0].(type) {
	case *List:
		if n := len(v.Items); n > 0 {
			return v.Items[n-1], nil
		}
		return undefinedHint("No last item, sequence was empty."), nil
	case *undefined:
		// reversed() looks for __reversed__, falls back to the sequence protocol, and finds a length of zero.
		return undefinedHint("No last item, sequence was empty."), nil
	}
	rev, err := r.reversed(args[0])
	if err != nil {
		return nil, err
	}
	v, ok, err := rev.(*iterator).next(r)
	if err == nil && !ok {
		return undefinedHint("No last item, sequence was empty."), nil
	}
	return v, err
}

func filterReverse(r *run, a *arguments) (Value, error) {
	args, err := a.bind("reverse", 1, "value")
	if err != nil {
		return nil, err
	}
	if s, ok := text(args[0]); ok {
		chars := []rune(s)
		for i, j := 0, len(chars)-1; i < j; i, j = i+1, j-1 {
			chars[i], chars[j] = chars[j], chars[i]
		}
		return sameText(args[0], string(chars)), r.made(len(s))
	}
	switch args[0].(type) {
	case *iterator, *loopContext, *set:
		items, err := r.list(args[0])
		if err != nil {
			return nil, err
		}
		for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
			items[i], items[j] = items[j], items[i]
		}
		return &List{items}, nil
	case *undefined:
		return newIterator("reversed", func(*run) (Value, bool, error) { return nil, false, nil }), nil
	}
	rev, err := r.reversed(args[0])
	if isKind(err, "TypeError") {
		return nil, filterError("argument must be iterable")
	}
	return rev, err
}

func filterSlice(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("slice", 2, "value", "slices", "fill_with")
	if err != nil {
		return nil, err
	}
	var items []Value
	number, slices, offset := -1, 0, 0
	return newGenerator("sync_do_slice", func(r *run) (Value, bool, error) {
		if number < 0 {
			if items, err = r.list(args[0]); err != nil {
				return nil, false, err
			}
			if slices, err = indexOf(args[1]); err != nil {
				return nil, false, err
			}
			if slices == 0 {
				return nil, false, newError("ZeroDivisionError", "integer division or modulo by zero")
			}
			number = 0
		}
		if number >= slices {
			return nil, false, nil
		}
		each, extra := len(items)/slices, len(items)%slices
		start := offset + number*each
		if number < extra {
			offset++
		}
		part := append([]Value(nil), items[start:offset+(number+1)*each]...)
		if fill := or(args[2], nil); fill != nil && number >= extra {
			part = append(part, fill)
		}
		number++
		return &List{part}, true, r.step(len(part))
	}), nil
}

func filterBatch(_ *run, a *arguments) (Value, error) {
	args, err := a.bind("batch", 2, "value", "linecount", "fill_with")
	if err != nil {
		return nil, err
	}
	var source iterationSource
	var pending []Value
	started, done := false, false
	return newGenerator("do_batch", func(r *run) (Value, bool, error) {
		if source == nil {
			if source, err = r.iter(args[0]); err != nil {
				return nil, false, err
			}
		}
		for !done {
			item, ok, err := source.next(r)
			if err != nil {
				return nil, false, err
			}
			if !ok {
				done = true
				break
			}
			full, err := equal(r, int64(len(pending)), args[1])
			if err != nil {
				return nil, false, err
			}
			if full {
				out := pending
				pending = []Value{item}
				return &List{out}, true, nil
			}
			pending = append(pending, item)
			started = true
		}
		if !started || len(pending) == 0 {
			return nil, false, nil
		}
		out := pending
		pending = nil
		out, err := fillBatch(r, out, args[1], or(args[2], nil))
		return &List{out}, err == nil, err
	}), nil
}

// fillBatch pads the last batch.
func fillBatch(r *run, out []Value, count, fill Value) ([]Value, error) {
	if fill == nil {
		return out, nil
	}
	less, err := ordered(r, "<", int64(len(out)), count)
	if err != nil || !less {
		return out, err
	}
	n, err := indexOf(count)
	if err != nil {
		return nil, err
	}
	if n > r.options.MaxSteps {
		return nil, r.step(r.options.MaxSteps + 1)
	}
	if err := r.step(n); err != nil {
		return nil, err
	}
	for len(out) < n {
		out = append(out, fill)
	}
	return out, nil
}

func filterGroupBy(r *run, a *arguments) (Value, error) {
	args, err := a.bind("groupby", 2, "value", "attribute", "default", "case_sensitive")
	if err != nil {
		return nil, err
	}
	sensitive, err := truth(r, or(args[3], false))
	if err != nil {
		return nil, err
	}
	items, err := r.list(args[0])
	if err != nil {
		return nil, err
	}
	path, byDefault := parseAttrPath(args[1]), or(args[2], nil)
	keyOfItem := func(item Value) (Value, error) {
		v, err := path.get(r, item, byDefault)
		return ignoreCase(v, sensitive), err
	}
	keys := make([]Value, len(items))
	for i, item := range items {
		if keys[i], err = keyOfItem(item); err != nil {
			return nil, err
		}
	}
	if items, err = sortValues(r, items, keys, false); err != nil {
		return nil, err
	}
	var groups []Value
	var current *List
	var currentKey Value
	for _, item := range items {
		key, err := keyOfItem(item)
		if err != nil {
			return nil, err
		}
		together := false
		if current != nil {
			if together, err = equal(r, key, currentKey); err != nil {
				return nil, err
			}
		}
		if together {
			current.Items = append(current.Items, item)
			continue
		}
		shown := key
		if !sensitive {
			if shown, err = path.get(r, item, byDefault); err != nil {
				return nil, err
			}
		}
		current, currentKey = &List{[]Value{item}}, key
		groups = append(groups, &tuple{items: []Value{shown, current}, grouped: true})
	}
	return &List{groups}, nil
}

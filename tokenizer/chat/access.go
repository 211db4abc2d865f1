package chat

import (
	"math"
	"strings"
	"unicode/utf8"
)

// getattr is value.name: the attribute, else the item of that name, else undefined.
func getattr(r *run, v Value, name string) (Value, error) {
	a, ok, err := attribute(r, v, name)
	if err != nil || ok {
		return a, err
	}
	item, ok, err := itemOf(r, v, name)
	if err != nil || ok {
		return item, err
	}
	return undefinedMember(v, name), nil
}

// getitem is value[key]: the item, else the attribute of that name, else undefined.
func getitem(r *run, v, key Value) (Value, error) {
	item, ok, err := itemOf(r, v, key)
	if err != nil || ok {
		return item, err
	}
	if name, isText := text(key); isText {
		a, ok, err := attribute(r, v, name)
		if err != nil || ok {
			return a, err
		}
	}
	return undefinedMember(v, key), nil
}

// itemOf is Python's v[key] where a TypeError or LookupError means "no such item".
func itemOf(r *run, v, key Value) (Value, bool, error) {
	switch v := v.(type) {
	case *Dict:
		item, ok, err := v.lookup(key)
		if isKind(err, "TypeError") {
			return nil, false, nil
		}
		return item, ok, err
	case *List:
		return sequenceItem(v.Items, key)
	case *tuple:
		return sequenceItem(v.items, key)
	case string:
		c, ok := charAt(v, key)
		return c, ok, r.step(len(v) / 64)
	case markup:
		c, ok := charAt(string(v), key)
		return markup(c), ok, r.step(len(v) / 64)
	case bytesValue:
		if i, ok := position(key, len(v)); ok {
			return int64(v[i]), true, nil
		}
	case *rangeValue:
		if i, ok := position(key, int(v.len())); ok {
			return v.at(int64(i)), true, nil
		}
	case *undefined:
		return nil, false, v.err()
	case *templateReference:
		if name, ok := text(key); ok {
			if b := r.template.blocks[name]; b != nil {
				return &blockReference{b, v.ctx}, true, nil
			}
		}
	}
	return nil, false, nil
}

func sequenceItem(items []Value, key Value) (Value, bool, error) {
	if i, ok := position(key, len(items)); ok {
		return items[i], true, nil
	}
	return nil, false, nil
}

// position turns an index, negative from the end, into an offset.
func position(key Value, n int) (int, bool) {
	i, ok := smallInt(key)
	if !ok {
		return 0, false
	}
	if i < 0 {
		i += int64(n)
	}
	return int(i), i >= 0 && i < int64(n)
}

func charAt(s string, key Value) (string, bool) {
	i, ok := smallInt(key)
	if !ok {
		return "", false
	}
	if i < 0 {
		for p := len(s); p > 0; {
			_, n := utf8.DecodeLastRuneInString(s[:p])
			if i++; i == 0 {
				return s[p-n : p], true
			}
			p -= n
		}
		return "", false
	}
	for p := 0; p < len(s); i-- {
		_, n := utf8.DecodeRuneInString(s[p:])
		if i == 0 {
			return s[p : p+n], true
		}
		p += n
	}
	return "", false
}

// attribute is Python's getattr as the sandbox permits it: an attribute that exists but is not allowed is an undefined
// value that raises a SecurityError when used.
func attribute(r *run, v Value, name string) (Value, bool, error) {
	switch v := v.(type) {
	case *undefined:
		if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") {
			return nil, false, nil
		}
		return nil, false, v.err()
	case *namespace:
		item, ok := v.attrs.Get(name)
		if ok && strings.HasPrefix(name, "_") {
			return unsafeMember(v, name), true, nil
		}
		return item, ok, nil
	case *loopContext:
		return v.attr(r, name)
	case *cycler:
		return v.attr(name)
	case *joiner:
		return v.attr(name)
	case *macro:
		return v.attr(name)
	case *blockReference:
		if name == "super" {
			return undefinedHint("there is no parent block called " + strRepr(v.block.name) + "."), true, nil
		}
	case *tuple:
		if v.grouped && name == "grouper" {
			return v.items[0], true, nil
		}
		if v.grouped && name == "list" {
			return v.items[1], true, nil
		}
	case *rangeValue:
		switch name {
		case "start":
			return v.start, true, nil
		case "stop":
			return v.stop, true, nil
		case "step":
			return v.step, true, nil
		}
	case *function:
		if f := v.attrs[name]; f != nil {
			return f, true, nil
		}
	}
	return methodOf(v, name)
}

func unsafeMember(v Value, name string) *undefined {
	return &undefined{
		hint:   "access to attribute " + strRepr(name) + " of " + strRepr(typeName(v)) + " object is unsafe.",
		object: v, name: name, unsafe: true,
	}
}

func (m *macro) attr(name string) (Value, bool, error) {
	switch name {
	case "name":
		if m.name == "" {
			return nil, true, nil
		}
		return m.name, true, nil
	case "arguments":
		var names []Value
		for _, p := range m.body.params {
			names = append(names, p.name)
		}
		return newTuple(names...), true, nil
	case "catch_kwargs":
		return m.body.kwargs, true, nil
	case "catch_varargs":
		return m.body.varargs, true, nil
	case "caller":
		return m.body.caller, true, nil
	case "explicit_caller":
		return m.body.explicitCaller, true, nil
	}
	return nil, false, nil
}

// bounds resolves a slice on a sequence of n items, as Python's slice.indices.
func (s *sliceValue) bounds(n int) (start, stop, step int, err error) {
	if step, err = sliceIndex(s.step, 1); err != nil {
		return
	}
	if step == 0 {
		return 0, 0, 0, valueError("slice step cannot be zero")
	}
	low, high := 0, n
	first, last := 0, n
	if step < 0 {
		low, high = -1, n-1
		first, last = n-1, -1
	}
	clamp := func(v Value, unset int) (int, error) {
		if v == nil {
			return unset, nil
		}
		i, err := sliceIndex(v, 0)
		if err != nil {
			return 0, err
		}
		if i < 0 {
			i += n
		}
		return min(max(i, low), high), nil
	}
	if start, err = clamp(s.start, first); err != nil {
		return
	}
	stop, err = clamp(s.stop, last)
	return
}

func sliceIndex(v Value, unset int) (int, error) {
	if v == nil {
		return unset, nil
	}
	i, err := indexOf(v)
	if err != nil {
		return 0, typeError("slice indices must be integers or None or have an __index__ method")
	}
	// Leave room for adding a length.
	return min(max(i, math.MinInt/2), math.MaxInt/2), nil
}

func sliceItems(r *run, items []Value, s *sliceValue) ([]Value, error) {
	start, stop, step, err := s.bounds(len(items))
	if err != nil {
		return nil, err
	}
	var out []Value
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		out = append(out, items[i])
	}
	return out, r.step(len(out))
}

func sliceString(r *run, s string, by *sliceValue) (string, error) {
	if err := r.made(len(s)); err != nil {
		return "", err
	}
	chars := []rune(s)
	start, stop, step, err := by.bounds(len(chars))
	if err != nil {
		return "", err
	}
	if step == 1 {
		if start >= stop {
			return "", nil
		}
		return string(chars[start:stop]), nil
	}
	var b strings.Builder
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		b.WriteRune(chars[i])
	}
	return b.String(), nil
}

// slice is value[start:stop:step].
func slice(r *run, v Value, s *sliceValue) (Value, error) {
	switch v := v.(type) {
	case string:
		return sliceString(r, v, s)
	case markup:
		out, err := sliceString(r, string(v), s)
		return markup(out), err
	case *List:
		items, err := sliceItems(r, v.Items, s)
		return &List{items}, err
	case *tuple:
		items, err := sliceItems(r, v.items, s)
		return &tuple{items: items}, err
	case *rangeValue:
		start, stop, step, err := s.bounds(int(v.len()))
		if err != nil {
			return nil, err
		}
		return &rangeValue{v.start + int64(start)*v.step, v.start + int64(stop)*v.step, v.step * int64(step)}, nil
	case bytesValue:
		var out []byte
		start, stop, step, err := s.bounds(len(v))
		for i := start; err == nil && (step > 0 && i < stop || step < 0 && i > stop); i += step {
			out = append(out, v[i])
		}
		return bytesValue(out), err
	case *undefined:
		return nil, v.err()
	case *Dict:
		return nil, typeError("unhashable type: 'slice'")
	}
	return nil, typeError("'%s' object is not subscriptable", typeName(v))
}

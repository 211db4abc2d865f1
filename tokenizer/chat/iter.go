package chat

import "unicode/utf8"

// iterator is a Python iterator or generator: lazy, and read once.
type iterator struct {
	kind string // class name
	name string // of the function, for generators
	pull func(r *run) (Value, bool, error)
	done bool
}

func newIterator(kind string, pull func(r *run) (Value, bool, error)) *iterator {
	return &iterator{kind: kind, pull: pull}
}

func (it *iterator) next(r *run) (Value, bool, error) {
	if it.done {
		return nil, false, nil
	}
	if err := r.enter(); err != nil {
		return nil, false, err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return nil, false, err
	}
	v, ok, err := it.pull(r)
	if err != nil || !ok {
		it.done = true
		it.pull = nil
	}
	return v, ok, err
}

func newGenerator(name string, pull func(r *run) (Value, bool, error)) *iterator {
	return &iterator{kind: "generator", name: name, pull: pull}
}

func (it *iterator) description() string {
	if it.name != "" {
		return "generator object " + it.name + " at " + address
	}
	return it.kind + " object at " + address
}

// sliceSource yields the items of a Go slice.
type sliceSource struct {
	items []Value
	pos   int
}

func (s *sliceSource) next(r *run) (Value, bool, error) {
	if s.pos >= len(s.items) {
		return nil, false, nil
	}
	s.pos++
	return s.items[s.pos-1], true, r.step(1)
}

// pullSource yields what a function gives.
type pullSource func(r *run) (Value, bool, error)

func (p pullSource) next(r *run) (Value, bool, error) {
	if err := r.step(1); err != nil {
		return nil, false, err
	}
	return p(r)
}

// iterable reports whether Python's iter(v) works.
func iterable(v Value) bool {
	switch v.(type) {
	case string, markup, bytesValue, *List, *tuple, *Dict, *dictView, *set, *rangeValue, *undefined, *iterator, *loopContext:
		return true
	}
	return false
}

// iter is Python's iter(v).
func (r *run) iter(v Value) (iterationSource, error) {
	switch v := v.(type) {
	case *List:
		return &sliceSource{items: v.Items}, nil
	case *tuple:
		return &sliceSource{items: v.items}, nil
	case string:
		return charSource(v), nil
	case markup:
		return charSource(string(v)), nil
	case bytesValue:
		pos := 0
		return pullSource(func(*run) (Value, bool, error) {
			if pos >= len(v) {
				return nil, false, nil
			}
			pos++
			return int64(v[pos-1]), true, nil
		}), nil
	case *Dict:
		return dictSource(v, "dict_keys"), nil
	case *dictView:
		return dictSource(v.dict, v.kind), nil
	case *set:
		return dictSource(v.dict, "dict_keys"), nil
	case *rangeValue:
		i, n := int64(0), v.len()
		return pullSource(func(*run) (Value, bool, error) {
			if i >= n {
				return nil, false, nil
			}
			i++
			return v.at(i - 1), true, nil
		}), nil
	case *undefined:
		return &sliceSource{}, nil
	case *iterator:
		return v, nil
	case *loopContext:
		return pullSource(func(r *run) (Value, bool, error) {
			item, ok, err := v.next(r)
			return newTuple(item, v), ok, err
		}), nil
	}
	return nil, typeError("'%s' object is not iterable", typeName(v))
}

func charSource(s string) iterationSource {
	return pullSource(func(*run) (Value, bool, error) {
		if s == "" {
			return nil, false, nil
		}
		_, n := utf8.DecodeRuneInString(s)
		c := s[:n]
		s = s[n:]
		return c, true, nil
	})
}

func dictSource(d *Dict, kind string) iterationSource {
	pos := 0
	return pullSource(func(*run) (Value, bool, error) {
		key, value, next, ok := d.entry(pos)
		pos = next
		if !ok {
			return nil, false, nil
		}
		switch kind {
		case "dict_keys":
			return key, true, nil
		case "dict_values":
			return value, true, nil
		}
		return newTuple(key, value), true, nil
	})
}

// drain reads a source to its end.
func (r *run) drain(it iterationSource) ([]Value, error) {
	var items []Value
	for {
		v, ok, err := it.next(r)
		if err != nil {
			return nil, err
		}
		if !ok {
			return items, nil
		}
		items = append(items, v)
	}
}

// list is Python's list(v), as a Go slice of its own.
func (r *run) list(v Value) ([]Value, error) {
	it, err := r.iter(v)
	if err != nil {
		return nil, err
	}
	return r.drain(it)
}

// reversed is Python's reversed(v).
func (r *run) reversed(v Value) (Value, error) {
	var kind string
	switch v := v.(type) {
	case *List:
		kind = "list_reverseiterator"
	case *Dict:
		kind = "dict_reversekeyiterator"
	case *dictView:
		kind = map[string]string{"dict_keys": "dict_reversekeyiterator", "dict_values": "dict_reversevalueiterator", "dict_items": "dict_reverseitemiterator"}[v.kind]
	case *rangeValue:
		kind = "range_iterator"
	case *tuple, string, markup, bytesValue:
		kind = "reversed"
	default:
		return nil, typeError("'%s' object is not reversible", typeName(v))
	}
	items, err := r.list(v)
	if err != nil {
		return nil, err
	}
	pos := len(items)
	return newIterator(kind, func(*run) (Value, bool, error) {
		if pos == 0 {
			return nil, false, nil
		}
		pos--
		return items[pos], true, nil
	}), nil
}

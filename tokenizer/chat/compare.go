package chat

import (
	"math"
	"math/big"
	"sort"
	"strings"
)

func compare(r *run, op string, left, right Value) (bool, error) {
	switch op {
	case "==":
		return equal(r, left, right)
	case "!=":
		same, err := equal(r, left, right)
		return !same, err
	case "in":
		return containsValue(r, right, left)
	case "not in":
		in, err := containsValue(r, right, left)
		return !in, err
	}
	return ordered(r, op, left, right)
}

// equal is Python's ==.
func equal(r *run, a, b Value) (bool, error) {
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	if err := r.step(1); err != nil {
		return false, err
	}
	if isNumber(a) {
		return isNumber(b) && compareNumbers(a, b) == 0, nil
	}
	if s, ok := text(a); ok {
		t, ok := text(b)
		return ok && s == t, nil
	}
	switch a := a.(type) {
	case nil:
		return b == nil, nil
	case *undefined:
		_, ok := b.(*undefined)
		return ok, nil
	case *List:
		if b, ok := b.(*List); ok {
			return equalItems(r, a.Items, b.Items)
		}
		return false, nil
	case *tuple:
		if b, ok := b.(*tuple); ok {
			return equalItems(r, a.items, b.items)
		}
		return false, nil
	case *Dict:
		if b, ok := b.(*Dict); ok {
			return equalDicts(r, a, b)
		}
		return false, nil
	case *rangeValue:
		if b, ok := b.(*rangeValue); ok {
			n := a.len()
			return n == b.len() && (n == 0 || a.start == b.start && (n == 1 || a.step == b.step)), nil
		}
		return false, nil
	case *set, *dictView:
		x, okX := setOf(a)
		y, okY := setOf(b)
		if okX && okY {
			return x.Len() == y.Len() && subset(x, y), nil
		}
	}
	return a == b, nil
}

func subset(a, b *Dict) bool {
	for i, key := range a.keys {
		if key == missing {
			continue
		}
		if _, ok := b.index[a.hashed[i]]; !ok {
			return false
		}
	}
	return true
}

func equalItems(r *run, a, b []Value) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	for i := range a {
		if same, err := equal(r, a[i], b[i]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func equalDicts(r *run, a, b *Dict) (bool, error) {
	if a.Len() != b.Len() {
		return false, nil
	}
	for i, key := range a.keys {
		if key == missing {
			continue
		}
		j, ok := b.index[a.hashed[i]]
		if !ok {
			return false, nil
		}
		if same, err := equal(r, a.values[i], b.values[j]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// compareNumbers orders two numbers exactly: -1, 0, 1, or 2 where one is not a number.
func compareNumbers(a, b Value) int {
	x, xSmall := smallInt(a)
	y, ySmall := smallInt(b)
	if xSmall && ySmall {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	f, fFloat := a.(float64)
	g, gFloat := b.(float64)
	switch {
	case fFloat && gFloat:
		switch {
		case f < g:
			return -1
		case f > g:
			return 1
		case f == g:
			return 0
		}
		return 2
	case fFloat:
		return compareFloatInt(f, b)
	case gFloat:
		if c := compareFloatInt(g, a); c != 2 {
			return -c
		}
		return 2
	}
	m, _ := bigOf(a)
	n, _ := bigOf(b)
	return m.Cmp(n)
}

func compareFloatInt(f float64, n Value) int {
	switch {
	case math.IsNaN(f):
		return 2
	case math.IsInf(f, 1):
		return 1
	case math.IsInf(f, -1):
		return -1
	}
	b, _ := bigOf(n)
	return new(big.Float).SetFloat64(f).Cmp(new(big.Float).SetInt(b))
}

func holds(op string, c int) bool {
	switch op {
	case "<":
		return c == -1
	case "<=":
		return c == -1 || c == 0
	case ">":
		return c == 1
	}
	return c == 1 || c == 0
}

// ordered is <, <=, > and >=.
func ordered(r *run, op string, a, b Value) (bool, error) {
	if u, ok := a.(*undefined); ok {
		return false, u.err()
	}
	if isNumber(a) && isNumber(b) {
		return holds(op, compareNumbers(a, b)), nil
	}
	if s, ok := text(a); ok {
		if t, ok := text(b); ok {
			return holds(op, strings.Compare(s, t)), nil
		}
	}
	if u, ok := b.(*undefined); ok {
		return false, u.err()
	}
	switch x := a.(type) {
	case *List:
		if y, ok := b.(*List); ok {
			return orderedItems(r, op, x.Items, y.Items)
		}
	case *tuple:
		if y, ok := b.(*tuple); ok {
			return orderedItems(r, op, x.items, y.items)
		}
	case bytesValue:
		if y, ok := b.(bytesValue); ok {
			return holds(op, strings.Compare(string(x), string(y))), nil
		}
	case *set, *dictView:
		s, okS := setOf(a)
		t, okT := setOf(b)
		if okS && okT {
			return orderedSets(op, s, t), nil
		}
	}
	return false, typeError("'%s' not supported between instances of '%s' and '%s'", op, typeName(a), typeName(b))
}

func orderedSets(op string, s, t *Dict) bool {
	switch op {
	case "<":
		return s.Len() < t.Len() && subset(s, t)
	case "<=":
		return subset(s, t)
	case ">":
		return t.Len() < s.Len() && subset(t, s)
	}
	return subset(t, s)
}

func orderedItems(r *run, op string, a, b []Value) (bool, error) {
	if err := r.enter(); err != nil {
		return false, err
	}
	defer r.leave()
	for i := 0; i < len(a) && i < len(b); i++ {
		same, err := equal(r, a[i], b[i])
		if err != nil {
			return false, err
		}
		if !same {
			return ordered(r, op, a[i], b[i])
		}
	}
	return ordered(r, op, int64(len(a)), int64(len(b)))
}

// containsValue is "item in container".
func containsValue(r *run, container, item Value) (bool, error) {
	switch c := container.(type) {
	case string, markup:
		s, _ := text(c)
		sub, ok := text(item)
		if !ok {
			return false, typeError("'in <string>' requires string as left operand, not %s", typeName(item))
		}
		return strings.Contains(s, sub), r.step(len(s) / 256)
	case *Dict:
		_, ok, err := c.lookup(item)
		return ok, err
	case *set:
		_, ok, err := c.dict.lookup(item)
		return ok, err
	case *dictView:
		if c.kind == "dict_keys" {
			_, ok, err := c.dict.lookup(item)
			return ok, err
		}
	case bytesValue:
		if sub, ok := item.(bytesValue); ok {
			return strings.Contains(string(c), string(sub)), nil
		}
	case *templateReference:
		return false, nil
	}
	if !iterable(container) {
		return false, typeError("argument of type '%s' is not iterable", typeName(container))
	}
	it, err := r.iter(container)
	if err != nil {
		return false, err
	}
	for {
		v, ok, err := it.next(r)
		if err != nil || !ok {
			return false, err
		}
		if same, err := equal(r, v, item); err != nil || same {
			return same, err
		}
	}
}

// sortValues sorts items stably by their keys, as Python's sorted.
func sortValues(r *run, items, keys []Value, reverse bool) ([]Value, error) {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	var failed error
	sort.SliceStable(order, func(i, j int) bool {
		if failed != nil {
			return false
		}
		a, b := keys[order[i]], keys[order[j]]
		if reverse {
			a, b = b, a
		}
		less, err := ordered(r, "<", a, b)
		if err == nil {
			err = r.step(1)
		}
		if err != nil {
			failed = err
		}
		return less
	})
	out := make([]Value, len(items))
	for i, at := range order {
		out[i] = items[at]
	}
	return out, failed
}

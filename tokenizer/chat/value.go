package chat

import (
	"math"
	"math/big"
	"strings"
	"unicode"
)

// Value is a template value, of one of these Go types:
//
//	nil         None
//	bool        bool
//	int64       int; *big.Int where 64 bits do not hold it
//	float64     float
//	string      str, UTF-8
//	*List       list
//	*Dict       dict, in insertion order
//
// The engine has more of its own (tuples, ranges, iterators, functions, undefined values).
type Value = any

type (
	// markup is a string that is already escaped for HTML.
	markup string

	// List is a list.
	List struct{ Items []Value }

	// tuple is an immutable sequence; pair marks a groupby result, whose elements have names.
	tuple struct {
		items   []Value
		grouped bool
	}

	// undefined is what a missing name, attribute or item evaluates to.
	undefined struct {
		hint   string
		object Value // where the attribute was looked for; missing when it was a name
		name   Value
		unsafe bool // the sandbox refuses it: a SecurityError when used
	}

	// namespace is the mutable object of {% set ns.attr = … %}.
	namespace struct{ attrs *Dict }

	rangeValue struct{ start, stop, step int64 }

	// dictView is what keys(), values() and items() return.
	dictView struct {
		dict *Dict
		kind string // "dict_keys", "dict_values", "dict_items"
	}

	// set is an unordered collection, kept in insertion order: the result of arithmetic on dict keys.
	set struct{ dict *Dict }

	// bytesValue is the result of str.encode.
	bytesValue string

	// sliceValue is start:stop:step inside a subscript.
	sliceValue struct{ start, stop, step Value }

	missingType struct{}
)

// missing marks a variable or argument without value.
var missing = missingType{}

// maxIntDigits is the longest decimal integer that Python converts from or to text.
const maxIntDigits = 4300

// maxIntBits bounds integers: arithmetic on larger ones is an error.
const maxIntBits = 1 << 17

// NewList returns a list of the items.
func NewList(items ...Value) *List { return &List{items} }

func newTuple(items ...Value) *tuple { return &tuple{items: items} }

// normalizeInt keeps integers in the smallest of their two forms.
func normalizeInt(n *big.Int) Value {
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// typeName is the name that Python gives the value's class.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *List:
		return "list"
	case *tuple:
		if v.grouped {
			return "_GroupTuple"
		}
		return "tuple"
	case *Dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *rangeValue:
		return "range"
	case *dictView:
		return v.kind
	case *set:
		return "set"
	case bytesValue:
		return "bytes"
	case *sliceValue:
		return "slice"
	case *iterator:
		return v.kind
	case *function:
		return v.class()
	case *macro:
		return "Macro"
	case *loopContext:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	case *joiner:
		return "Joiner"
	case *blockReference:
		return "BlockReference"
	case *templateReference:
		return "TemplateReference"
	}
	return "object"
}

// describeType names a value's type as undefined messages do.
func describeType(v Value) string {
	if v == nil {
		return "None"
	}
	return typeName(v) + " object"
}

func (u *undefined) message() string {
	if u.hint != "" {
		return u.hint
	}
	if u.object == missing {
		return quoted(u.name) + " is undefined"
	}
	if name, ok := u.name.(string); ok {
		return "'" + describeType(u.object) + "' has no attribute " + quoted(name)
	}
	return describeType(u.object) + " has no element " + quoted(u.name)
}

func quoted(v Value) string {
	s, err := shortRepr(v)
	if err != nil {
		return "?"
	}
	return s
}

// err is the error of using an undefined value.
func (u *undefined) err() error {
	if u.unsafe {
		return newError("SecurityError", "%s", u.message())
	}
	return newError("UndefinedError", "%s", u.message())
}

func undefinedName(name string) *undefined { return &undefined{object: missing, name: name} }

func undefinedHint(hint string) *undefined { return &undefined{object: missing, hint: hint} }

func undefinedMember(object, name Value) *undefined { return &undefined{object: object, name: name} }

// text returns the characters of a str or Markup.
func text(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// truth is Python's bool(v).
func truth(r *run, v Value) (bool, error) {
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	case int64:
		return v != 0, nil
	case *big.Int:
		return v.Sign() != 0, nil
	case float64:
		return v != 0, nil
	case string:
		return v != "", nil
	case markup:
		return v != "", nil
	case bytesValue:
		return v != "", nil
	case *undefined:
		return false, nil
	case *List, *tuple, *Dict, *dictView, *rangeValue, *set, *loopContext:
		n, err := length(r, v)
		return n > 0, err
	}
	return true, nil
}

// length is Python's len(v).
func length(r *run, v Value) (int, error) {
	switch v := v.(type) {
	case string:
		return runeCount(v), nil
	case markup:
		return runeCount(string(v)), nil
	case bytesValue:
		return len(v), nil
	case *List:
		return len(v.Items), nil
	case *tuple:
		return len(v.items), nil
	case *Dict:
		return v.Len(), nil
	case *dictView:
		return v.dict.Len(), nil
	case *set:
		return v.dict.Len(), nil
	case *rangeValue:
		return int(v.len()), nil
	case *undefined:
		return 0, nil
	case *loopContext:
		return v.length(r)
	}
	return 0, typeError("object of type '%s' has no len()", typeName(v))
}

func (v *rangeValue) len() int64 {
	var span, step uint64
	switch {
	case v.step > 0 && v.start < v.stop:
		span, step = uint64(v.stop)-uint64(v.start), uint64(v.step)
	case v.step < 0 && v.start > v.stop:
		span, step = uint64(v.start)-uint64(v.stop), -uint64(v.step)
	default:
		return 0
	}
	n := (span-1)/step + 1
	if n > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}

func (v *rangeValue) at(i int64) Value { return v.start + i*v.step }

// bigOf returns any integer (bool included) as a big one.
func bigOf(v Value) (*big.Int, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewInt(1), true
		}
		return big.NewInt(0), true
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

// smallInt returns an integer (bool included) that fits 64 bits.
func smallInt(v Value) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

func isInt(v Value) bool {
	switch v.(type) {
	case bool, int64, *big.Int:
		return true
	}
	return false
}

func isNumber(v Value) bool {
	_, float := v.(float64)
	return float || isInt(v)
}

// floatOf converts a number to float; integers beyond the float range are an OverflowError.
func floatOf(v Value) (float64, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case int64:
		return float64(v), nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			return 0, newError("OverflowError", "int too large to convert to float")
		}
		return f, nil
	case *undefined:
		return 0, v.err()
	}
	return 0, typeError("must be real number, not %s", typeName(v))
}

// indexOf converts an argument that must be an integer of machine size (__index__).
func indexOf(v Value) (int, error) {
	switch v := v.(type) {
	case bool, int64:
		n, _ := smallInt(v)
		return int(n), nil
	case *big.Int:
		if v.Sign() < 0 {
			return math.MinInt, nil
		}
		return math.MaxInt, nil
	case *undefined:
		return 0, typeError("'Undefined' object cannot be interpreted as an integer")
	}
	return 0, typeError("'%s' object cannot be interpreted as an integer", typeName(v))
}

// isSpace is Python's str.isspace for one character.
func isSpace(c rune) bool {
	return c == ' ' || c >= '\t' && c <= '\r' || c >= 0x1c && c <= 0x1f || c >= 0x80 && unicode.IsSpace(c)
}

// isBlank reports whether s is not empty and all white space.
func isBlank(s string) bool {
	return s != "" && strings.TrimLeftFunc(s, isSpace) == ""
}

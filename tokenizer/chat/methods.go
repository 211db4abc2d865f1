package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

type methodFunc func(r *run, self Value, a *arguments) (Value, error)

// methodOf returns a bound method or a plain attribute of a value, an unsafe mark for what the sandbox refuses, or
// ok false when the value has no attribute of that name.
func methodOf(v Value, name string) (Value, bool, error) {
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") && universalDunder(name) {
		return unsafeMember(v, name), true, nil
	}
	var table map[string]methodFunc
	refused := ""
	switch v := v.(type) {
	case string, markup:
		table = strMethods
		if m := markupMethods[name]; m != nil {
			if _, ok := v.(markup); ok {
				return bind(name, v, m), true, nil
			}
		}
	case *List:
		table, refused = listMethods, " append clear pop reverse insert sort extend remove "
	case *tuple, *rangeValue:
		table = sequenceMethods
	case *Dict:
		table, refused = dictMethods, " clear pop popitem setdefault update "
	case *set:
		table, refused = setMethods, " add clear difference_update discard pop remove symmetric_difference_update update "
	case *dictView:
		table = viewMethods
	case bytesValue:
		table = bytesMethods
	case bool, int64, *big.Int, float64:
		return numberAttribute(v, name)
	case *iterator:
		switch name {
		case "send", "throw", "close", "gi_frame", "gi_code", "gi_running", "gi_yieldfrom":
			if v.kind == "generator" {
				return unsafeMember(v, name), true, nil
			}
		}
	}
	if strings.Contains(refused, " "+name+" ") {
		return unsafeMember(v, name), true, nil
	}
	if m := table[name]; m != nil {
		return bind(name, v, m), true, nil
	}
	return nil, false, nil
}

func bind(name string, self Value, m methodFunc) *function {
	return method(typeName(self), name, func(r *run, a *arguments) (Value, error) { return m(r, self, a) })
}

// universalDunder reports whether every Python object has the attribute.
func universalDunder(name string) bool {
	switch name {
	case "__class__", "__doc__", "__init__", "__new__", "__repr__", "__str__", "__eq__", "__ne__", "__hash__", "__dir__",
		"__getattribute__", "__setattr__", "__delattr__", "__sizeof__", "__reduce__", "__reduce_ex__", "__format__",
		"__init_subclass__", "__subclasshook__", "__lt__", "__le__", "__gt__", "__ge__", "__getstate__":
		return true
	}
	return false
}

func numberAttribute(v Value, name string) (Value, bool, error) {
	if f, ok := v.(float64); ok {
		switch name {
		case "real":
			return f, true, nil
		case "imag":
			return 0.0, true, nil
		}
		if m := floatMethods[name]; m != nil {
			return bind(name, v, m), true, nil
		}
		return nil, false, nil
	}
	n, _ := bigOf(v)
	switch name {
	case "real", "numerator":
		return normalizeInt(n), true, nil
	case "imag":
		return int64(0), true, nil
	case "denominator":
		return int64(1), true, nil
	}
	if m := intMethods[name]; m != nil {
		return bind(name, v, m), true, nil
	}
	return nil, false, nil
}

var intMethods = map[string]methodFunc{
	"bit_length": func(_ *run, self Value, a *arguments) (Value, error) {
		n, _ := bigOf(self)
		_, err := a.bind("bit_length", 0)
		return int64(n.BitLen()), err
	},
	"bit_count": func(_ *run, self Value, a *arguments) (Value, error) {
		n, _ := bigOf(self)
		_, err := a.bind("bit_count", 0)
		return int64(strings.Count(new(big.Int).Abs(n).Text(2), "1")), err
	},
	"conjugate": func(_ *run, self Value, a *arguments) (Value, error) {
		n, _ := bigOf(self)
		_, err := a.bind("conjugate", 0)
		return normalizeInt(n), err
	},
	"as_integer_ratio": func(_ *run, self Value, a *arguments) (Value, error) {
		n, _ := bigOf(self)
		_, err := a.bind("as_integer_ratio", 0)
		return newTuple(normalizeInt(n), int64(1)), err
	},
}

var floatMethods = map[string]methodFunc{
	"is_integer": func(_ *run, self Value, a *arguments) (Value, error) {
		f := self.(float64)
		_, err := a.bind("is_integer", 0)
		return f == math.Trunc(f) && !math.IsInf(f, 0), err
	},
	"conjugate": func(_ *run, self Value, a *arguments) (Value, error) {
		_, err := a.bind("conjugate", 0)
		return self, err
	},
	"as_integer_ratio": func(_ *run, self Value, a *arguments) (Value, error) {
		if _, err := a.bind("as_integer_ratio", 0); err != nil {
			return nil, err
		}
		q := new(big.Rat)
		if q.SetFloat64(self.(float64)) == nil {
			return nil, newError("OverflowError", "cannot convert %s to integer ratio", floatRepr(self.(float64)))
		}
		return newTuple(normalizeInt(q.Num()), normalizeInt(q.Denom())), nil
	},
	"hex": func(_ *run, self Value, a *arguments) (Value, error) {
		_, err := a.bind("hex", 0)
		return floatHex(self.(float64)), err
	},
}

// floatHex writes a float as Python's float.hex: 13 hexadecimal digits.
func floatHex(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return floatRepr(f)
	}
	if f == 0 {
		return strings.Replace(floatRepr(f), "0.0", "0x0.0p+0", 1)
	}
	s := strconv.FormatFloat(f, 'x', 13, 64)
	mantissa, exponent, _ := strings.Cut(s, "p")
	n, _ := strconv.Atoi(exponent)
	sign := "+"
	if n < 0 {
		sign, n = "-", -n
	}
	return mantissa + "p" + sign + strconv.Itoa(n)
}

func itemsOf(r *run, v Value) ([]Value, error) {
	switch v := v.(type) {
	case *List:
		return v.Items, nil
	case *tuple:
		return v.items, nil
	}
	return r.list(v)
}

// sequenceMethods are those of tuples and ranges.
var sequenceMethods = map[string]methodFunc{"count": listCount, "index": listIndex}

var listMethods = map[string]methodFunc{
	"count": listCount,
	"index": listIndex,
	"copy": func(r *run, self Value, a *arguments) (Value, error) {
		if _, err := a.bind("copy", 0); err != nil {
			return nil, err
		}
		items, err := joinItems(r, self.(*List).Items, nil)
		return &List{items}, err
	},
}

func listCount(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("count", 1, "/value")
	if err != nil {
		return nil, err
	}
	items, err := itemsOf(r, self)
	if err != nil {
		return nil, err
	}
	n := int64(0)
	for _, item := range items {
		same, err := equal(r, item, args[0])
		if err != nil {
			return nil, err
		}
		if same {
			n++
		}
	}
	return n, nil
}

func listIndex(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("index", 1, "/value", "/start", "/stop")
	if err != nil {
		return nil, err
	}
	items, err := itemsOf(r, self)
	if err != nil {
		return nil, err
	}
	start, stop, _, err := (&sliceValue{start: or(args[1], nil), stop: or(args[2], nil)}).bounds(len(items))
	if err != nil {
		return nil, err
	}
	for i := start; i < stop; i++ {
		same, err := equal(r, items[i], args[0])
		if err != nil {
			return nil, err
		}
		if same {
			return int64(i), nil
		}
	}
	s, err := repr(r, args[0])
	if err != nil {
		return nil, err
	}
	return nil, valueError("%s is not in %s", s, typeName(self))
}

func viewMethod(kind string) methodFunc {
	return func(_ *run, self Value, a *arguments) (Value, error) {
		_, err := a.bind(strings.TrimPrefix(kind, "dict_"), 0)
		return &dictView{self.(*Dict), kind}, err
	}
}

var dictMethods = map[string]methodFunc{
	"keys":   viewMethod("dict_keys"),
	"values": viewMethod("dict_values"),
	"items":  viewMethod("dict_items"),
	"get": func(_ *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind("get", 1, "/key", "/default")
		if err != nil {
			return nil, err
		}
		v, ok, err := self.(*Dict).lookup(args[0])
		if err != nil || ok {
			return v, err
		}
		return or(args[1], nil), nil
	},
	"copy": func(r *run, self Value, a *arguments) (Value, error) {
		if _, err := a.bind("copy", 0); err != nil {
			return nil, err
		}
		d := self.(*Dict)
		return d.copy(), r.madeItems(d.Len())
	},
	"fromkeys": func(r *run, _ Value, a *arguments) (Value, error) { return dictFromKeys(r, a) },
}

func dictFromKeys(r *run, a *arguments) (Value, error) {
	args, err := a.bind("fromkeys", 1, "/iterable", "/value")
	if err != nil {
		return nil, err
	}
	keys, err := r.list(args[0])
	if err != nil {
		return nil, err
	}
	d := NewDict()
	for _, key := range keys {
		if err := d.store(key, or(args[1], nil)); err != nil {
			return nil, err
		}
	}
	return d, nil
}

var viewMethods = map[string]methodFunc{
	"isdisjoint": setDisjoint,
	"mapping": func(_ *run, self Value, _ *arguments) (Value, error) {
		return nil, typeError("'mappingproxy' object is not callable")
	},
}

func setDisjoint(r *run, self Value, a *arguments) (Value, error) {
	args, err := a.bind("isdisjoint", 1, "/other")
	if err != nil {
		return nil, err
	}
	d, ok := setOf(self)
	if !ok {
		return nil, typeError("isdisjoint needs hashable items")
	}
	items, err := r.list(args[0])
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		_, in, err := d.lookup(item)
		if err != nil || in {
			return false, err
		}
	}
	return true, nil
}

var setMethods = map[string]methodFunc{
	"isdisjoint": setDisjoint,
	"difference": func(r *run, self Value, a *arguments) (Value, error) {
		d := self.(*set).dict
		for _, other := range a.pos {
			rest, err := difference(r, d, other)
			if err != nil {
				return nil, err
			}
			d = rest.(*set).dict
		}
		return &set{d.copy()}, nil
	},
	"union": func(r *run, self Value, a *arguments) (Value, error) {
		d := self.(*set).dict.copy()
		for _, other := range a.pos {
			items, err := r.list(other)
			if err != nil {
				return nil, err
			}
			for _, item := range items {
				if err := d.store(item, nil); err != nil {
					return nil, err
				}
			}
		}
		return &set{d}, nil
	},
	"copy": func(_ *run, self Value, _ *arguments) (Value, error) { return &set{self.(*set).dict.copy()}, nil },
}

var bytesMethods = map[string]methodFunc{
	"decode": func(r *run, self Value, a *arguments) (Value, error) {
		args, err := a.bind("decode", 0, "encoding", "errors")
		if err != nil {
			return nil, err
		}
		if err := onlyUTF8(or(args[0], "utf-8")); err != nil {
			return nil, err
		}
		s := string(self.(bytesValue))
		return strings.ToValidUTF8(s, "\uFFFD"), r.made(len(s))
	},
	"hex": func(r *run, self Value, a *arguments) (Value, error) {
		if _, err := a.bind("hex", 0); err != nil {
			return nil, err
		}
		var b strings.Builder
		for _, c := range []byte(self.(bytesValue)) {
			b.WriteString(strconv.FormatInt(int64(c)+0x100, 16)[1:])
		}
		return b.String(), r.made(b.Len())
	},
}

func onlyUTF8(encoding Value) error {
	name, ok := text(encoding)
	if !ok {
		return typeError("encoding must be str, not %s", typeName(encoding))
	}
	switch strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name)) {
	case "utf8", "u8":
		return nil
	}
	return newError("LookupError", "unknown encoding: %s (only utf-8 is supported)", name)
}

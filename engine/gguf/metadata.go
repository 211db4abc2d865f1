package gguf

import "fmt"

// Metadata is the ordered set of keys and typed values at the head of a file. It is independent of the mapped file: its
// values stay valid after [File.Close]. It is safe for concurrent use.
//
// The typed getters return the value, whether the key is present, and an error where it is present with another type
// or an impossible content. The error is a [*FormatError] that names the file, the key, the type found and the type
// expected. Getters that return a slice make a new one at each call; the strings in it share the metadata's memory.
type Metadata struct {
	path    string
	entries []entry
	index   map[string]int
}

type entry struct {
	key string
	value
}

func newMetadata(path string, entries []entry) *Metadata {
	m := &Metadata{path: path, entries: entries, index: make(map[string]int, len(entries))}
	for i, e := range entries {
		m.index[e.key] = i
	}
	return m
}

// Len returns the number of keys.
func (m *Metadata) Len() int { return len(m.entries) }

// Keys returns the keys in the order of the file.
func (m *Metadata) Keys() []string {
	keys := make([]string, len(m.entries))
	for i, e := range m.entries {
		keys[i] = e.key
	}
	return keys
}

// Has reports whether the key is present.
func (m *Metadata) Has(key string) bool {
	_, ok := m.index[key]
	return ok
}

// ValueInfo describes a value without unpacking it.
type ValueInfo struct {
	Type  ValueType
	Elem  ValueType // of an array
	Count int       // elements of an array, 1 otherwise
	Bytes int       // packed size in the file
}

// Info describes the value of a key; false where the key is absent.
func (m *Metadata) Info(key string) (ValueInfo, bool) {
	v, ok := m.get(key)
	return ValueInfo{Type: v.kind, Elem: v.elem, Count: v.count, Bytes: len(v.data)}, ok
}

// Value returns the value of a key as Go has it, in its own width (uint8 to uint64, int8 to int64, float32, float64,
// bool, string), a slice of these, or []any for an array of arrays; nil where the key is absent.
func (m *Metadata) Value(key string) any {
	v, ok := m.get(key)
	if !ok {
		return nil
	}
	return v.unpack()
}

// String returns a string value.
func (m *Metadata) String(key string) (s string, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return "", false, nil
	}
	if v.kind != StringValue {
		return "", true, m.mismatch(key, v, "string")
	}
	s, _ = cutString(v.data)
	return s, true, nil
}

// Bool returns a bool value.
func (m *Metadata) Bool(key string) (b, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return false, false, nil
	}
	if v.kind != BoolValue {
		return false, true, m.mismatch(key, v, "bool")
	}
	return v.data[0] != 0, true, nil
}

// Uint returns the value of any integer type; a negative one is an error.
func (m *Metadata) Uint(key string) (n uint64, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return 0, false, nil
	}
	if !v.kind.isInteger() {
		return 0, true, m.mismatch(key, v, "an integer")
	}
	n = number(v.data, v.kind, 0)
	if signed, fits := integer(v.data, v.kind, 0); fits && signed < 0 {
		return 0, true, m.badValue(key, fmt.Sprint(signed), "an integer of at least 0")
	}
	return n, true, nil
}

// Int returns the value of any integer type; one beyond an int64 is an error.
func (m *Metadata) Int(key string) (n int64, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return 0, false, nil
	}
	if !v.kind.isInteger() {
		return 0, true, m.mismatch(key, v, "an integer")
	}
	n, fits := integer(v.data, v.kind, 0)
	if !fits {
		return 0, true, m.badValue(key, fmt.Sprint(uint64(n)), "an integer below 2^63")
	}
	return n, true, nil
}

// Float returns the value of any float or integer type.
func (m *Metadata) Float(key string) (f float64, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return 0, false, nil
	}
	if !v.kind.isFloat() && !v.kind.isInteger() {
		return 0, true, m.mismatch(key, v, "a number")
	}
	return float(v.data, v.kind, 0), true, nil
}

// Strings returns an array of strings. An empty array of any type is taken for one, here and in the next three:
// writers differ in the type that they give to nothing.
func (m *Metadata) Strings(key string) (all []string, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return nil, false, nil
	}
	if !v.isArrayOf(func(t ValueType) bool { return t == StringValue }) {
		return nil, true, m.mismatch(key, v, "an array of strings")
	}
	return stringsOf(v.data, v.count), true, nil
}

// Ints returns an array of any integer type.
func (m *Metadata) Ints(key string) (all []int64, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return nil, false, nil
	}
	if !v.isArrayOf(ValueType.isInteger) {
		return nil, true, m.mismatch(key, v, "an array of integers")
	}
	all = make([]int64, v.count)
	for i := range all {
		n, fits := integer(v.data, v.elem, i)
		if !fits {
			return nil, true, m.badValue(key, fmt.Sprintf("%d in element %d", uint64(n), i), "integers below 2^63")
		}
		all[i] = n
	}
	return all, true, nil
}

// Floats returns an array of any float or integer type.
func (m *Metadata) Floats(key string) (all []float64, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return nil, false, nil
	}
	if !v.isArrayOf(func(t ValueType) bool { return t.isFloat() || t.isInteger() }) {
		return nil, true, m.mismatch(key, v, "an array of numbers")
	}
	all = make([]float64, v.count)
	for i := range all {
		all[i] = float(v.data, v.elem, i)
	}
	return all, true, nil
}

// Bools returns an array of bools.
func (m *Metadata) Bools(key string) (all []bool, present bool, err error) {
	v, ok := m.get(key)
	if !ok {
		return nil, false, nil
	}
	if !v.isArrayOf(func(t ValueType) bool { return t == BoolValue }) {
		return nil, true, m.mismatch(key, v, "an array of bools")
	}
	all = make([]bool, v.count)
	for i := range all {
		all[i] = v.data[i] != 0
	}
	return all, true, nil
}

// get finds a value; a nil Metadata has no keys.
func (m *Metadata) get(key string) (value, bool) {
	if m == nil {
		return value{}, false
	}
	i, ok := m.index[key]
	if !ok {
		return value{}, false
	}
	return m.entries[i].value, true
}

func (v value) isArrayOf(fits func(ValueType) bool) bool {
	return v.kind == ArrayValue && (v.count == 0 || fits(v.elem))
}

func (m *Metadata) mismatch(key string, v value, expected string) error {
	return &FormatError{Path: m.path, Key: key, Err: ErrValueType, Found: v.describe(), Expected: expected}
}

func (m *Metadata) badValue(key, found, expected string) error {
	return &FormatError{Path: m.path, Key: key, Err: ErrValue, Found: found, Expected: expected}
}

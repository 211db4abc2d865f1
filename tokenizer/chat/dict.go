package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Dict is a dictionary that keeps its keys in the order in which they were first set, as Python's and JSON's do. The
// zero value is ready to use. A Dict may be read by several goroutines, as long as none changes it.
type Dict struct {
	index   map[hashKey]int
	keys    []Value
	values  []Value
	hashed  []hashKey
	removed int
}

// hashKey identifies equal keys: numbers of any type by value, strings by text.
type hashKey struct {
	kind byte // 'n' number, 's' string, 'f' float without integer value, '0' None, 't' tuple, 'u' undefined, 'p' by identity
	num  int64
	text string
	ptr  any
}

// maxKeyBytes bounds the text that a tuple's key is made of: tuples may share their parts, and so be far larger than
// the memory that they take.
const maxKeyBytes = 1 << 20

// keyOf returns the key under which v is stored, or an error for unhashable values.
func keyOf(v Value) (hashKey, error) {
	switch v := v.(type) {
	case string:
		return hashKey{kind: 's', text: v}, nil
	case markup:
		return hashKey{kind: 's', text: string(v)}, nil
	case nil:
		return hashKey{kind: '0'}, nil
	case bool, int64:
		n, _ := smallInt(v)
		return hashKey{kind: 'n', num: n}, nil
	case *big.Int:
		return hashKey{kind: 'b', text: v.Text(36)}, nil
	case float64:
		return floatKey(v), nil
	case bytesValue:
		return hashKey{kind: 'y', text: string(v)}, nil
	case *undefined:
		return hashKey{kind: 'u'}, nil
	case *rangeValue:
		return hashKey{kind: 'r', text: strconv.FormatInt(v.start, 36) + " " + strconv.FormatInt(v.len(), 36) + " " + strconv.FormatInt(v.step, 36)}, nil
	case *tuple:
		var b strings.Builder
		err := tupleKey(&b, v, 0)
		return hashKey{kind: 't', text: b.String()}, err
	case *dictView:
		if v.kind != "dict_values" {
			return hashKey{}, typeError("unhashable type: '%s'", typeName(v))
		}
	case *List, *Dict, *set, *sliceValue:
		return hashKey{}, typeError("unhashable type: '%s'", typeName(v))
	}
	return hashKey{kind: 'p', ptr: v}, nil
}

// tupleKey writes the keys of a tuple's items, each with its length in front, so that different tuples differ.
func tupleKey(b *strings.Builder, t *tuple, depth int) error {
	if depth > maxDataDepth {
		return newError("RecursionError", "data nested more than %d levels deep", maxDataDepth)
	}
	for _, item := range t.items {
		if b.Len() > maxKeyBytes {
			return newError("LimitError", "tuple of more than %d bytes as a key", maxKeyBytes)
		}
		if inner, ok := item.(*tuple); ok {
			b.WriteByte('(')
			if err := tupleKey(b, inner, depth+1); err != nil {
				return err
			}
			b.WriteByte(')')
			continue
		}
		k, err := keyOf(item)
		if err != nil {
			return err
		}
		if k.kind == 'p' {
			return typeError("unsupported key in a tuple: '%s'", typeName(item))
		}
		b.WriteByte(k.kind)
		b.WriteString(strconv.FormatInt(k.num, 36))
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(len(k.text)))
		b.WriteByte(':')
		b.WriteString(k.text)
	}
	return nil
}

func floatKey(f float64) hashKey {
	if f == math.Trunc(f) && math.Abs(f) < 1<<62 {
		return hashKey{kind: 'n', num: int64(f)}
	}
	if f == math.Trunc(f) && !math.IsInf(f, 0) {
		n, _ := new(big.Float).SetFloat64(f).Int(nil)
		if n.IsInt64() {
			return hashKey{kind: 'n', num: n.Int64()}
		}
		return hashKey{kind: 'b', text: n.Text(36)}
	}
	return hashKey{kind: 'f', text: strconv.FormatFloat(f, 'g', -1, 64)}
}

// NewDict returns an empty dictionary.
func NewDict() *Dict { return &Dict{} }

// Len returns the number of entries.
func (d *Dict) Len() int { return len(d.keys) - d.removed }

// Get returns the value of a string key.
func (d *Dict) Get(key string) (Value, bool) {
	i, ok := d.index[hashKey{kind: 's', text: key}]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// Set sets the value of a string key; an existing key keeps its place.
func (d *Dict) Set(key string, value Value) {
	d.put(hashKey{kind: 's', text: key}, key, value)
}

func (d *Dict) put(h hashKey, key, value Value) {
	if i, ok := d.index[h]; ok {
		d.values[i] = value
		return
	}
	if d.index == nil {
		d.index = map[hashKey]int{}
	}
	d.index[h] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
	d.hashed = append(d.hashed, h)
}

func (d *Dict) lookup(key Value) (Value, bool, error) {
	h, err := keyOf(key)
	if err != nil {
		return nil, false, err
	}
	i, ok := d.index[h]
	if !ok {
		return nil, false, nil
	}
	return d.values[i], true, nil
}

func (d *Dict) store(key, value Value) error {
	h, err := keyOf(key)
	if err != nil {
		return err
	}
	d.put(h, key, value)
	return nil
}

// pop removes a string key and returns its value.
func (d *Dict) pop(key string) (Value, bool) {
	h := hashKey{kind: 's', text: key}
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	v := d.values[i]
	delete(d.index, h)
	d.keys[i], d.values[i] = missing, missing
	d.removed++
	return v, true
}

// each calls f for every entry in order until it returns an error.
func (d *Dict) each(f func(key, value Value) error) error {
	for i := range d.keys {
		if d.keys[i] == missing {
			continue
		}
		if err := f(d.keys[i], d.values[i]); err != nil {
			return err
		}
	}
	return nil
}

// entry returns the first entry at or after place i and the place behind it; ok is false at the end.
func (d *Dict) entry(i int) (key, value Value, next int, ok bool) {
	for ; i < len(d.keys); i++ {
		if d.keys[i] != missing {
			return d.keys[i], d.values[i], i + 1, true
		}
	}
	return nil, nil, i, false
}

func (d *Dict) copy() *Dict {
	c := NewDict()
	for i := range d.keys {
		if d.keys[i] != missing {
			c.put(d.hashed[i], d.keys[i], d.values[i])
		}
	}
	return c
}

package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// ValueType is the type of a metadata value, in the numbering of the format.
type ValueType uint32

// The metadata value types of GGUF.
const (
	Uint8Value   ValueType = 0
	Int8Value    ValueType = 1
	Uint16Value  ValueType = 2
	Int16Value   ValueType = 3
	Uint32Value  ValueType = 4
	Int32Value   ValueType = 5
	Float32Value ValueType = 6
	BoolValue    ValueType = 7
	StringValue  ValueType = 8
	ArrayValue   ValueType = 9
	Uint64Value  ValueType = 10
	Int64Value   ValueType = 11
	Float64Value ValueType = 12
)

// valueTypes gives each type its name and its bytes; 0 bytes where the length varies.
var valueTypes = [...]struct {
	name  string
	bytes int
}{
	Uint8Value: {"uint8", 1}, Int8Value: {"int8", 1}, Uint16Value: {"uint16", 2}, Int16Value: {"int16", 2},
	Uint32Value: {"uint32", 4}, Int32Value: {"int32", 4}, Float32Value: {"float32", 4}, BoolValue: {"bool", 1},
	StringValue: {"string", 0}, ArrayValue: {"array", 0},
	Uint64Value: {"uint64", 8}, Int64Value: {"int64", 8}, Float64Value: {"float64", 8},
}

// Known reports whether t is a value type of the format.
func (t ValueType) Known() bool { return uint64(t) < uint64(len(valueTypes)) }

// String returns the type's name: "uint32", "string", "array".
func (t ValueType) String() string {
	if t.Known() {
		return valueTypes[t].name
	}
	return fmt.Sprintf("value type %d", uint32(t))
}

// bytes returns the fixed length of a value, 0 for strings and arrays.
func (t ValueType) bytes() int { return valueTypes[t].bytes }

func (t ValueType) isInteger() bool {
	return t.Known() && t.bytes() > 0 && !t.isFloat() && t != BoolValue
}

func (t ValueType) isFloat() bool { return t == Float32Value || t == Float64Value }

// value is one metadata value as the file holds it. Arrays stay packed: a vocabulary of 260 thousand strings is one
// string here. Whoever makes a value has checked that data holds count whole elements, so that readers need not.
type value struct {
	kind  ValueType
	elem  ValueType // of an array
	count int       // elements of an array, 1 otherwise
	data  string    // the elements; a string is a uint64 length and its bytes, an inner array its type, count, elements
}

// describe names the value's type in an error: "uint32", "array of 12 strings".
func (v value) describe() string {
	if v.kind == ArrayValue {
		return fmt.Sprintf("array of %d %s", v.count, v.elem)
	}
	return v.kind.String()
}

// bytesOf views a string as bytes without a copy; they must not be written to.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// number returns the bits of the i-th number of a value whose elements have type t, sign extended.
func number(data string, t ValueType, i int) uint64 {
	b := bytesOf(data)[i*t.bytes():]
	switch t {
	case Uint8Value, BoolValue:
		return uint64(b[0])
	case Int8Value:
		return uint64(int64(int8(b[0])))
	case Uint16Value:
		return uint64(binary.LittleEndian.Uint16(b))
	case Int16Value:
		return uint64(int64(int16(binary.LittleEndian.Uint16(b))))
	case Uint32Value, Float32Value:
		return uint64(binary.LittleEndian.Uint32(b))
	case Int32Value:
		return uint64(int64(int32(binary.LittleEndian.Uint32(b))))
	}
	return binary.LittleEndian.Uint64(b)
}

// integer returns the i-th element of an integer value; false where it does not fit an int64.
func integer(data string, t ValueType, i int) (int64, bool) {
	n := number(data, t, i)
	return int64(n), t != Uint64Value || n <= math.MaxInt64
}

// float returns the i-th element of a float or integer value.
func float(data string, t ValueType, i int) float64 {
	n := number(data, t, i)
	switch t {
	case Float32Value:
		return float64(math.Float32frombits(uint32(n)))
	case Float64Value:
		return math.Float64frombits(n)
	case Uint64Value:
		return float64(n)
	}
	return float64(int64(n))
}

// cutString splits the first string off packed strings.
func cutString(data string) (first, rest string) {
	n := binary.LittleEndian.Uint64(bytesOf(data))
	return data[8 : 8+n], data[8+n:]
}

// stringsOf unpacks strings. They share the memory of data, so that this is one allocation.
func stringsOf(data string, count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i], data = cutString(data)
	}
	return all
}

// convert unpacks numbers into a Go slice of their own type.
func convert[T any](v value, from func(bits uint64) T) []T {
	all := make([]T, v.count)
	for i := range all {
		all[i] = from(number(v.data, v.elem, i))
	}
	return all
}

// unpack returns the value as Go has it: a number, bool or string, a slice of these, or []any for an array of arrays.
func (v value) unpack() any {
	if v.kind != ArrayValue {
		return v.unpackScalar()
	}
	switch v.elem {
	case Uint8Value:
		return []byte(v.data)
	case Int8Value:
		return convert(v, func(n uint64) int8 { return int8(n) })
	case Uint16Value:
		return convert(v, func(n uint64) uint16 { return uint16(n) })
	case Int16Value:
		return convert(v, func(n uint64) int16 { return int16(n) })
	case Uint32Value:
		return convert(v, func(n uint64) uint32 { return uint32(n) })
	case Int32Value:
		return convert(v, func(n uint64) int32 { return int32(n) })
	case Uint64Value:
		return convert(v, func(n uint64) uint64 { return n })
	case Int64Value:
		return convert(v, func(n uint64) int64 { return int64(n) })
	case Float32Value:
		return convert(v, func(n uint64) float32 { return math.Float32frombits(uint32(n)) })
	case Float64Value:
		return convert(v, math.Float64frombits)
	case BoolValue:
		return convert(v, func(n uint64) bool { return n != 0 })
	case StringValue:
		return stringsOf(v.data, v.count)
	}
	return v.unpackArrays()
}

// unpackArrays unpacks an array of arrays; the parser has bounded the depth.
func (v value) unpackArrays() []any {
	all := make([]any, v.count)
	data := v.data
	for i := range all {
		var inner value
		inner, data = cutArray(data)
		all[i] = inner.unpack()
	}
	return all
}

// cutArray splits the first array, which begins with its element type and count, off packed arrays.
func cutArray(data string) (first value, rest string) {
	elem := ValueType(binary.LittleEndian.Uint32(bytesOf(data)))
	count := int(binary.LittleEndian.Uint64(bytesOf(data[4:])))
	data = data[12:]
	rest = data
	switch elem {
	case StringValue:
		for range count {
			_, rest = cutString(rest)
		}
	case ArrayValue:
		for range count {
			_, rest = cutArray(rest)
		}
	default:
		rest = rest[count*elem.bytes():]
	}
	return value{kind: ArrayValue, elem: elem, count: count, data: data[:len(data)-len(rest)]}, rest
}

func (v value) unpackScalar() any {
	if v.kind == StringValue {
		s, _ := cutString(v.data)
		return s
	}
	n := number(v.data, v.kind, 0)
	switch v.kind {
	case Uint8Value:
		return uint8(n)
	case Int8Value:
		return int8(n)
	case Uint16Value:
		return uint16(n)
	case Int16Value:
		return int16(n)
	case Uint32Value:
		return uint32(n)
	case Int32Value:
		return int32(n)
	case Float32Value:
		return math.Float32frombits(uint32(n))
	case BoolValue:
		return n != 0
	case Uint64Value:
		return n
	case Int64Value:
		return int64(n)
	}
	return math.Float64frombits(n)
}

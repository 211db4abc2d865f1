package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// encodeValue packs a Go value as the format does. It takes what value.unpack gives: the numbers of fixed width, bool
// and string, slices of these, and []any for an array of arrays. int and uint are refused: the key's meaning fixes a
// width, and a guess would make a file that other programs misread.
func encodeValue(v any) (value, error) {
	if kind, data, ok := encodeScalar(v); ok {
		if kind == StringValue && len(data)-8 > maxStringBytes {
			return value{}, &FormatError{Err: ErrLimit, Found: fmt.Sprintf("string of %d bytes", len(data)-8),
				Expected: fmt.Sprintf("at most %d", maxStringBytes)}
		}
		return value{kind: kind, count: 1, data: string(data)}, nil
	}
	elem, count, data, fault := encodeArray(v, 1)
	if fault != nil {
		return value{}, fault
	}
	return value{kind: ArrayValue, elem: elem, count: count, data: string(data)}, nil
}

func encodeScalar(v any) (ValueType, []byte, bool) {
	le := binary.LittleEndian
	switch v := v.(type) {
	case uint8:
		return Uint8Value, []byte{v}, true
	case int8:
		return Int8Value, []byte{byte(v)}, true
	case uint16:
		return Uint16Value, le.AppendUint16(nil, v), true
	case int16:
		return Int16Value, le.AppendUint16(nil, uint16(v)), true
	case uint32:
		return Uint32Value, le.AppendUint32(nil, v), true
	case int32:
		return Int32Value, le.AppendUint32(nil, uint32(v)), true
	case float32:
		return Float32Value, le.AppendUint32(nil, math.Float32bits(v)), true
	case bool:
		return BoolValue, appendBool(nil, v), true
	case string:
		return StringValue, appendString(nil, v), true
	case uint64:
		return Uint64Value, le.AppendUint64(nil, v), true
	case int64:
		return Int64Value, le.AppendUint64(nil, uint64(v)), true
	case float64:
		return Float64Value, le.AppendUint64(nil, math.Float64bits(v)), true
	}
	return 0, nil, false
}

func encodeArray(v any, depth int) (elem ValueType, count int, data []byte, fault *FormatError) {
	le := binary.LittleEndian
	switch v := v.(type) {
	case []uint8:
		elem, count, data = Uint8Value, len(v), v
	case []int8:
		elem, count, data = pack(Int8Value, v, func(b []byte, n int8) []byte { return append(b, byte(n)) })
	case []uint16:
		elem, count, data = pack(Uint16Value, v, le.AppendUint16)
	case []int16:
		elem, count, data = pack(Int16Value, v, func(b []byte, n int16) []byte { return le.AppendUint16(b, uint16(n)) })
	case []uint32:
		elem, count, data = pack(Uint32Value, v, le.AppendUint32)
	case []int32:
		elem, count, data = pack(Int32Value, v, func(b []byte, n int32) []byte { return le.AppendUint32(b, uint32(n)) })
	case []uint64:
		elem, count, data = pack(Uint64Value, v, le.AppendUint64)
	case []int64:
		elem, count, data = pack(Int64Value, v, func(b []byte, n int64) []byte { return le.AppendUint64(b, uint64(n)) })
	case []float32:
		elem, count, data = pack(Float32Value, v, func(b []byte, f float32) []byte {
			return le.AppendUint32(b, math.Float32bits(f))
		})
	case []float64:
		elem, count, data = pack(Float64Value, v, func(b []byte, f float64) []byte {
			return le.AppendUint64(b, math.Float64bits(f))
		})
	case []bool:
		elem, count, data = pack(BoolValue, v, appendBool)
	case []string:
		elem, count, data = pack(StringValue, v, appendString)
		fault = longString(v)
	case []any:
		elem, count = ArrayValue, len(v)
		data, fault = encodeArrays(v, depth)
	default:
		fault = &FormatError{Err: ErrValueType, Found: fmt.Sprintf("a Go value of type %T", v),
			Expected: "a number of fixed width, a bool, a string, or a slice of these"}
	}
	if fault == nil && count > maxArrayElements {
		fault = &FormatError{Err: ErrLimit, Found: fmt.Sprintf("array of %d %s", count, elem),
			Expected: fmt.Sprintf("at most %d elements", maxArrayElements)}
	}
	return elem, count, data, fault
}

func longString(all []string) *FormatError {
	for i, s := range all {
		if len(s) > maxStringBytes {
			return &FormatError{Err: ErrLimit, Found: fmt.Sprintf("string of %d bytes in element %d", len(s), i),
				Expected: fmt.Sprintf("at most %d", maxStringBytes)}
		}
	}
	return nil
}

// encodeArrays packs arrays with their heads; depth counts the arrays around the elements.
func encodeArrays(all []any, depth int) ([]byte, *FormatError) {
	if depth >= maxArrayDepth {
		return nil, &FormatError{Err: ErrLimit, Found: fmt.Sprintf("arrays nested %d deep", depth+1),
			Expected: fmt.Sprintf("at most %d", maxArrayDepth)}
	}
	var data []byte
	for _, v := range all {
		elem, count, inner, fault := encodeArray(v, depth+1)
		if fault != nil {
			return nil, fault
		}
		data = appendArrayHead(data, elem, count)
		data = append(data, inner...)
	}
	return data, nil
}

func pack[T any](elem ValueType, all []T, to func([]byte, T) []byte) (ValueType, int, []byte) {
	data := make([]byte, 0, len(all)*max(elem.bytes(), 16))
	for _, v := range all {
		data = to(data, v)
	}
	return elem, len(all), data
}

func appendArrayHead(b []byte, elem ValueType, count int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(elem))
	return binary.LittleEndian.AppendUint64(b, uint64(count))
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// appendEntry adds a key with its value to a header.
func appendEntry(b []byte, e entry) []byte {
	b = appendString(b, e.key)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.kind))
	if e.kind == ArrayValue {
		b = appendArrayHead(b, e.elem, e.count)
	}
	return append(b, e.data...)
}

// entryBytes returns how much appendEntry adds.
func entryBytes(e entry) int {
	n := 8 + len(e.key) + 4 + len(e.data)
	if e.kind == ArrayValue {
		n += 4 + 8
	}
	return n
}

// appendTensor adds a row of the tensor table; offset counts from the start of the data.
func appendTensor(b []byte, t *Tensor, offset int64) []byte {
	b = appendString(b, t.Name)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
	for _, n := range t.Shape {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
	return binary.LittleEndian.AppendUint64(b, uint64(offset))
}

package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unsafe"
)

// header is everything before the tensors' data, checked.
type header struct {
	version   uint32
	alignment int
	entries   []entry
	tensors   []Tensor
	bytes     int // length of the header, before the padding that leads to the data
}

// parser walks the header of one file. Keys, strings and names that it returns share the memory of data; a fault never
// does, since data may be a mapped file that is about to be unmapped.
type parser struct {
	path string
	data []byte // the file's first bytes, at least the whole header where the file is sound
	at   int
	size int64 // the whole file

	innerArrays int // met so far
}

// parseHeader checks and returns the header of the file that begins with data and has size bytes in all.
func parseHeader(path string, data []byte, size int64) (header, error) {
	p := &parser{path: path, data: data, size: size}
	if len(p.data) > maxHeaderBytes {
		p.data = p.data[:maxHeaderBytes]
	}
	h, fault := p.header()
	if fault != nil {
		fault.Path = path
		return header{}, fault
	}
	return h, nil
}

func (p *parser) header() (h header, fault *FormatError) {
	if h.version, fault = p.preamble(); fault != nil {
		return h, fault
	}
	tensors, fault := p.count("tensors", maxTensors, minTensorEntry)
	if fault != nil {
		return h, fault
	}
	keys, fault := p.count("keys", maxKeys, minKeyEntry)
	if fault != nil {
		return h, fault
	}
	if h.entries, fault = p.keys(keys); fault != nil {
		return h, fault
	}
	if h.alignment, fault = alignmentOf(h.entries); fault != nil {
		return h, fault
	}
	if h.tensors, fault = p.tensors(tensors); fault != nil {
		return h, fault
	}
	h.bytes = p.at
	return h, checkLayout(&h, p.size)
}

// preamble reads the magic letters and the version.
func (p *parser) preamble() (uint32, *FormatError) {
	if !bytes.HasPrefix(p.data, []byte("GGUF")) {
		found := looksLike(p.data)
		if bytes.HasPrefix(p.data, []byte("FUGG")) {
			return 0, &FormatError{Err: ErrBigEndian, Found: "the magic letters reversed",
				Expected: "a little-endian file: convert the model again"}
		}
		return 0, &FormatError{Err: ErrNotGGUF, Found: found, Expected: "the letters GGUF at the start"}
	}
	p.at = 4
	version, fault := p.uint32("the version")
	switch {
	case fault != nil:
		return 0, fault
	case version >= minVersion && version <= maxVersion:
		return version, nil
	case version == 1:
		return 0, &FormatError{Err: ErrVersion, Found: "version 1, with 32-bit counts",
			Expected: "version 2 or 3: convert the model again"}
	case version != 0 && bits.ReverseBytes32(version) <= maxVersion:
		return 0, &FormatError{Err: ErrBigEndian, Found: fmt.Sprintf("version %d in big-endian bytes",
			bits.ReverseBytes32(version)), Expected: "a little-endian file: convert the model again"}
	}
	return 0, &FormatError{Err: ErrVersion, Found: fmt.Sprintf("version %d", version), Expected: "version 2 or 3"}
}

// count reads how many keys or tensors follow and holds it against the limit and against the bytes that are left, each
// entry taking at least least bytes.
func (p *parser) count(what string, limit, least int) (int, *FormatError) {
	n, fault := p.uint64("the number of " + what)
	if fault != nil {
		return 0, fault
	}
	if n > uint64(limit) {
		return 0, p.fault(ErrLimit, fmt.Sprintf("%d %s", n, what), fmt.Sprintf("at most %d", limit)).from(p.at - 8)
	}
	if left := len(p.data) - p.at; int(n) > left/least {
		return 0, p.short(fmt.Sprintf("%d %s", n, what), int(n)*least)
	}
	return int(n), nil
}

func (p *parser) keys(n int) ([]entry, *FormatError) {
	entries := make([]entry, 0, n)
	seen := make(map[string]struct{}, n)
	for i := range n {
		start := p.at
		key, fault := p.name("key", i, maxKeyBytes)
		if fault != nil {
			return nil, fault
		}
		if _, twice := seen[key]; twice {
			return nil, p.fault(ErrDuplicate, "the key twice", "each key once").of(key, "").from(start)
		}
		seen[key] = struct{}{}
		v, fault := p.value()
		if fault != nil {
			return nil, fault.of(key, "")
		}
		entries = append(entries, entry{key, v})
	}
	return entries, nil
}

// name reads the name of the i-th key or tensor.
func (p *parser) name(what string, i, limit int) (string, *FormatError) {
	start := p.at
	n, fault := p.uint64("the length of a name")
	if fault != nil {
		return "", fault
	}
	switch {
	case n == 0:
		return "", p.fault(ErrName, fmt.Sprintf("%s %d without a name", what, i), "a name").from(start)
	case n > uint64(limit):
		return "", p.fault(ErrLimit, fmt.Sprintf("%s %d with a name of %d bytes", what, i, n),
			fmt.Sprintf("at most %d", limit)).from(start)
	case n > uint64(len(p.data)-p.at):
		return "", p.short(fmt.Sprintf("the name of %s %d", what, i), int(n))
	}
	return p.take(int(n)), nil
}

// value reads a value with its type and checks all of it.
func (p *parser) value() (value, *FormatError) {
	kind, fault := p.valueType("value")
	if fault != nil {
		return value{}, fault
	}
	v := value{kind: kind, count: 1}
	start := p.at
	if kind == ArrayValue {
		if v.elem, v.count, fault = p.arrayHead(); fault != nil {
			return value{}, fault
		}
		start = p.at
		fault = p.skipElements(v.elem, v.count, 1)
	} else {
		fault = p.skipElements(kind, 1, 0)
	}
	v.data = view(p.data[start:p.at])
	return v, fault
}

func (p *parser) valueType(of string) (ValueType, *FormatError) {
	start := p.at
	n, fault := p.uint32("the type of a value")
	if fault == nil && !ValueType(n).Known() {
		fault = p.fault(ErrValueType, fmt.Sprintf("%s type %d", of, n), "0 (uint8) to 12 (float64)").from(start)
	}
	return ValueType(n), fault
}

func (p *parser) arrayHead() (elem ValueType, count int, fault *FormatError) {
	if elem, fault = p.valueType("array element"); fault != nil {
		return 0, 0, fault
	}
	n, fault := p.uint64("the length of an array")
	if fault != nil {
		return 0, 0, fault
	}
	if n > maxArrayElements {
		return 0, 0, p.fault(ErrLimit, fmt.Sprintf("array of %d %s", n, elem),
			fmt.Sprintf("at most %d elements", maxArrayElements))
	}
	return elem, int(n), nil
}

// skipElements checks count elements of one type and moves past them. depth is the number of arrays around them.
func (p *parser) skipElements(t ValueType, count, depth int) *FormatError {
	switch t {
	case StringValue:
		return p.skipStrings(count)
	case ArrayValue:
		return p.skipArrays(count, depth)
	case BoolValue:
		return p.skipBools(count)
	}
	if n := count * t.bytes(); n <= len(p.data)-p.at {
		p.at += n
		return nil
	}
	return p.short(fmt.Sprintf("%d of %s", count, t), count*t.bytes())
}

func (p *parser) skipStrings(count int) *FormatError {
	data, at := p.data, p.at
	for i := range count {
		if len(data)-at < 8 {
			p.at = at
			return p.short(fmt.Sprintf("string %d of %d", i+1, count), 8)
		}
		n := binary.LittleEndian.Uint64(data[at:])
		at += 8
		if n > uint64(len(data)-at) || n > maxStringBytes {
			p.at = at
			if n > maxStringBytes {
				return p.fault(ErrLimit, fmt.Sprintf("string of %d bytes", n), fmt.Sprintf("at most %d", maxStringBytes))
			}
			return p.short(fmt.Sprintf("string %d of %d", i+1, count), int(n))
		}
		at += int(n)
	}
	p.at = at
	return nil
}

func (p *parser) skipArrays(count, depth int) *FormatError {
	if depth >= maxArrayDepth {
		return p.fault(ErrLimit, fmt.Sprintf("arrays nested %d deep", depth+1), fmt.Sprintf("at most %d", maxArrayDepth))
	}
	if p.innerArrays += count; p.innerArrays > maxInnerArrays {
		return p.fault(ErrLimit, fmt.Sprintf("%d arrays in arrays", p.innerArrays), fmt.Sprintf("at most %d", maxInnerArrays))
	}
	for range count {
		elem, n, fault := p.arrayHead()
		if fault == nil {
			fault = p.skipElements(elem, n, depth+1)
		}
		if fault != nil {
			return fault
		}
	}
	return nil
}

func (p *parser) skipBools(count int) *FormatError {
	if count > len(p.data)-p.at {
		return p.short(fmt.Sprintf("%d of bool", count), count)
	}
	for i, b := range p.data[p.at : p.at+count] {
		if b > 1 {
			p.at += i
			return p.fault(ErrValue, fmt.Sprintf("bool of value %d", b), "0 or 1")
		}
	}
	p.at += count
	return nil
}

// uint32 reads a number; what says in an error what it is.
func (p *parser) uint32(what string) (uint32, *FormatError) {
	if len(p.data)-p.at < 4 {
		return 0, p.short(what, 4)
	}
	p.at += 4
	return binary.LittleEndian.Uint32(p.data[p.at-4:]), nil
}

func (p *parser) uint64(what string) (uint64, *FormatError) {
	if len(p.data)-p.at < 8 {
		return 0, p.short(what, 8)
	}
	p.at += 8
	return binary.LittleEndian.Uint64(p.data[p.at-8:]), nil
}

// take returns the next n bytes, which the caller knows to be there.
func (p *parser) take(n int) string {
	p.at += n
	return view(p.data[p.at-n : p.at])
}

// view returns bytes as a string without a copy.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (p *parser) fault(err error, found, expected string) *FormatError {
	return &FormatError{Err: err, Found: found, Expected: expected, Offset: int64(p.at)}
}

// short is the fault of data that ends before something of n bytes, the file's end or the header's limit.
func (p *parser) short(what string, n int) *FormatError {
	if int64(len(p.data)) < p.size && len(p.data) == maxHeaderBytes {
		return p.fault(ErrLimit, fmt.Sprintf("keys and tensor table of more than %d bytes", maxHeaderBytes), "less")
	}
	return p.fault(ErrTruncated, fmt.Sprintf("%d bytes left in a file of %d", len(p.data)-p.at, p.size),
		fmt.Sprintf("%d or more for %s: is the download complete?", n, what))
}

// of names the key or tensor that a fault is in. The names are copied: see parser.
func (e *FormatError) of(key, tensor string) *FormatError {
	e.Key, e.Tensor = strings.Clone(key), strings.Clone(tensor)
	return e
}

func (e *FormatError) from(offset int) *FormatError {
	e.Offset = int64(offset)
	return e
}

// alignmentOf returns what tensors are aligned to: general.alignment, or 32.
func alignmentOf(entries []entry) (int, *FormatError) {
	for _, e := range entries {
		if e.key != keyAlignment {
			continue
		}
		if e.kind != Uint32Value {
			return 0, (&FormatError{Err: ErrValueType, Found: e.describe(), Expected: "uint32"}).of(keyAlignment, "")
		}
		return checkAlignment(number(e.data, e.kind, 0))
	}
	return defaultAlignment, nil
}

func checkAlignment(n uint64) (int, *FormatError) {
	if n < minAlignment || n > maxAlignment || bits.OnesCount64(n) != 1 {
		return 0, &FormatError{Key: keyAlignment, Err: ErrAlignment, Found: fmt.Sprint(n),
			Expected: fmt.Sprintf("a power of two from %d to %d", minAlignment, maxAlignment)}
	}
	return int(n), nil
}

// alignUp rounds a file offset up to a multiple of a power of two; false where it does not fit an int64.
func alignUp(n int64, alignment int) (int64, bool) {
	mask := int64(alignment) - 1
	if n > math.MaxInt64-mask {
		return 0, false
	}
	return (n + mask) &^ mask, true
}

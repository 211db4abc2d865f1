package gguf

import (
	"fmt"
	"math"
	"math/bits"
)

// Type is the data type of a tensor, in the numbering that GGUF files use.
type Type uint32

// The tensor types of GGUF. A type that is missing from the sequence was withdrawn from the format.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q8_1    Type = 9
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	Q8_K    Type = 15
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
	Q1_0    Type = 41
	Q2_0    Type = 42
)

// geometry says how a type packs its elements: a block of this many elements takes this many bytes.
type geometry struct {
	name     string
	elements int
	bytes    int
}

var geometries = [...]geometry{
	F32:     {"F32", 1, 4},
	F16:     {"F16", 1, 2},
	Q4_0:    {"Q4_0", 32, 18},
	Q4_1:    {"Q4_1", 32, 20},
	Q5_0:    {"Q5_0", 32, 22},
	Q5_1:    {"Q5_1", 32, 24},
	Q8_0:    {"Q8_0", 32, 34},
	Q8_1:    {"Q8_1", 32, 36},
	Q2_K:    {"Q2_K", 256, 84},
	Q3_K:    {"Q3_K", 256, 110},
	Q4_K:    {"Q4_K", 256, 144},
	Q5_K:    {"Q5_K", 256, 176},
	Q6_K:    {"Q6_K", 256, 210},
	Q8_K:    {"Q8_K", 256, 292},
	IQ2_XXS: {"IQ2_XXS", 256, 66},
	IQ2_XS:  {"IQ2_XS", 256, 74},
	IQ3_XXS: {"IQ3_XXS", 256, 98},
	IQ1_S:   {"IQ1_S", 256, 50},
	IQ4_NL:  {"IQ4_NL", 32, 18},
	IQ3_S:   {"IQ3_S", 256, 110},
	IQ2_S:   {"IQ2_S", 256, 82},
	IQ4_XS:  {"IQ4_XS", 256, 136},
	I8:      {"I8", 1, 1},
	I16:     {"I16", 1, 2},
	I32:     {"I32", 1, 4},
	I64:     {"I64", 1, 8},
	F64:     {"F64", 1, 8},
	IQ1_M:   {"IQ1_M", 256, 56},
	BF16:    {"BF16", 1, 2},
	TQ1_0:   {"TQ1_0", 256, 54},
	TQ2_0:   {"TQ2_0", 256, 66},
	MXFP4:   {"MXFP4", 32, 17},
	NVFP4:   {"NVFP4", 64, 36},
	Q1_0:    {"Q1_0", 128, 18},
	Q2_0:    {"Q2_0", 64, 18},
}

// withdrawn names the type numbers that the format once had, so that an old file gets a better answer than a number.
var withdrawn = map[Type]string{
	4: "Q4_2", 5: "Q4_3",
	31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8",
	36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
}

var typesByName = func() map[string]Type {
	names := make(map[string]Type, len(geometries))
	for t, g := range geometries {
		if g.elements > 0 {
			names[g.name] = Type(t)
		}
	}
	return names
}()

// Known reports whether t is a tensor type of the format.
func (t Type) Known() bool { return uint64(t) < uint64(len(geometries)) && geometries[t].elements > 0 }

// String returns the type's name as the field writes it ("Q4_K", "F16"), or "type N" for a number that is not known.
func (t Type) String() string {
	if t.Known() {
		return geometries[t].name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// BlockSize returns the number of elements in one block: 1 for plain types, 0 for an unknown type.
func (t Type) BlockSize() int {
	if !t.Known() {
		return 0
	}
	return geometries[t].elements
}

// BlockBytes returns the number of bytes of one block, 0 for an unknown type.
func (t Type) BlockBytes() int {
	if !t.Known() {
		return 0
	}
	return geometries[t].bytes
}

// ParseType returns the type of that name. Names are upper case, as [Type.String] gives them.
func ParseType(name string) (Type, bool) {
	t, ok := typesByName[name]
	return t, ok
}

// Types returns every known type in the order of their numbers.
func Types() []Type {
	types := make([]Type, 0, len(typesByName))
	for t := range geometries {
		if Type(t).Known() {
			types = append(types, Type(t))
		}
	}
	return types
}

// describeType names a type number in an error, withdrawn ones included.
func describeType(t Type) string {
	if name, ok := withdrawn[t]; ok {
		return fmt.Sprintf("type %d (%s, withdrawn from the format: quantize the model again)", uint32(t), name)
	}
	return t.String()
}

// SizeOf returns the bytes that a tensor of this type and shape takes. The shape is in GGUF order: shape[0] is the
// length of a row. The error says which rule is broken; it wraps [ErrShape] or [ErrTensorType].
func SizeOf(t Type, shape []int64) (int64, error) {
	if fault := checkShape(t, shape); fault != nil {
		return 0, fault
	}
	size, _ := sizeOf(t, shape)
	return size, nil
}

// checkShape returns nil where a tensor of type t may have this shape.
func checkShape(t Type, shape []int64) *FormatError {
	if !t.Known() {
		return &FormatError{Err: ErrTensorType, Found: describeType(t), Expected: "a tensor type of the format"}
	}
	if len(shape) == 0 || len(shape) > maxDims {
		return &FormatError{Err: ErrShape, Found: fmt.Sprintf("%d dimensions", len(shape)),
			Expected: fmt.Sprintf("1 to %d", maxDims)}
	}
	for i, n := range shape {
		if n <= 0 {
			return &FormatError{Err: ErrShape, Found: fmt.Sprintf("length %d in dimension %d of %v", n, i, shape),
				Expected: "at least 1"}
		}
	}
	if shape[0]%int64(t.BlockSize()) != 0 {
		return &FormatError{Err: ErrShape, Found: fmt.Sprintf("rows of %d elements", shape[0]),
			Expected: fmt.Sprintf("a multiple of %d, the block size of %s", t.BlockSize(), t)}
	}
	if _, ok := sizeOf(t, shape); !ok {
		return &FormatError{Err: ErrShape, Found: fmt.Sprintf("shape %v", shape),
			Expected: "fewer than 2^63 elements and bytes"}
	}
	return nil
}

// sizeOf multiplies out the bytes of a shape that is otherwise sound; false where they do not fit an int64. The element
// count must fit as well: whoever walks the tensor counts elements.
func sizeOf(t Type, shape []int64) (int64, bool) {
	elements := uint64(1)
	for _, n := range shape {
		high, low := bits.Mul64(elements, uint64(n))
		if high != 0 || low > math.MaxInt64 {
			return 0, false
		}
		elements = low
	}
	high, size := bits.Mul64(elements/uint64(t.BlockSize()), uint64(t.BlockBytes()))
	return int64(size), high == 0 && size <= math.MaxInt64
}

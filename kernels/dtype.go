package kernels

/*
#include "types.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// DType is a tensor's data type, numbered as in GGUF.
type DType uint32

// The data types of GGUF. Names are the format's own.
const (
	F32     DType = 0
	F16     DType = 1
	Q4_0    DType = 2
	Q4_1    DType = 3
	Q5_0    DType = 6
	Q5_1    DType = 7
	Q8_0    DType = 8
	Q2_K    DType = 10
	Q3_K    DType = 11
	Q4_K    DType = 12
	Q5_K    DType = 13
	Q6_K    DType = 14
	IQ2_XXS DType = 16
	IQ2_XS  DType = 17
	IQ3_XXS DType = 18
	IQ1_S   DType = 19
	IQ4_NL  DType = 20
	IQ3_S   DType = 21
	IQ2_S   DType = 22
	IQ4_XS  DType = 23
	I8      DType = 24
	I16     DType = 25
	I32     DType = 26
	I64     DType = 27
	F64     DType = 28
	IQ1_M   DType = 29
	BF16    DType = 30
	TQ1_0   DType = 34
	TQ2_0   DType = 35
	MXFP4   DType = 39
	NVFP4   DType = 40
	Q1_0    DType = 41
	Q2_0    DType = 42
)

// Family says how a type's weights are reached, and so which matrix product serves it.
type Family uint32

const (
	FamilyNone  Family = 0 // I8 to I64, F64: stored and converted, never multiplied
	FamilyFloat Family = 1 // F32, F16, BF16
	Family32    Family = 2 // a float scale every 32 weights (NVFP4: every 16)
	Family256   Family = 3 // integer scales every 16 weights under a float scale every 256
)

type dtypeTraits struct {
	name        string
	block       int64 // weights; 0 marks a number that is no type
	blockBytes  int64
	family      Family
	quantizable bool
}

// dtypes is types.c's table, copied once: the compiler's initialised constants are the single definition.
var dtypes = func() (table [C.INFER_DTYPE_COUNT]dtypeTraits) {
	for i := range table {
		if t := C.infer_type_traits(C.enum_infer_dtype(i)); t != nil {
			table[i] = dtypeTraits{C.GoString(t.name), int64(t.block), int64(t.block_bytes), Family(t.family), t.quantizable != 0}
		}
	}
	return table
}()

func (t DType) traits() dtypeTraits {
	if uint64(t) < uint64(len(dtypes)) {
		return dtypes[t]
	}
	return dtypeTraits{}
}

// Known reports whether t is a type that this package defines.
func (t DType) Known() bool { return t.traits().block > 0 }

// String returns the format's name of the type, for example "Q4_K", and "type 99" for an unknown number.
func (t DType) String() string {
	if name := t.traits().name; name != "" {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Block returns the number of weights in a block: 1 for plain numbers, 0 for an unknown type.
func (t DType) Block() int64 { return t.traits().block }

// BlockBytes returns the bytes of a block, 0 for an unknown type.
func (t DType) BlockBytes() int64 { return t.traits().blockBytes }

// Family returns the type's family, FamilyNone for an unknown type.
func (t DType) Family() Family { return t.traits().family }

// Quantizable reports whether [Quantize] writes the type.
func (t DType) Quantizable() bool { return t.traits().quantizable }

// maxElements bounds a count of weights so that no size computed from it overflows (8 bytes an element at most).
const maxElements = 1 << 56

// RowBytes returns the bytes of a row of cols weights. cols must be a whole number of blocks.
func (t DType) RowBytes(cols int64) (int64, error) {
	traits := t.traits()
	switch {
	case traits.block == 0:
		return 0, fmt.Errorf("unknown data type %d", uint32(t))
	case cols < 0 || cols > maxElements:
		return 0, fmt.Errorf("%s: a row of %d weights, expected 0 to %d", t, cols, int64(maxElements))
	case cols%traits.block != 0:
		return 0, fmt.Errorf("%s: a row of %d weights is not a whole number of blocks of %d", t, cols, traits.block)
	}
	return cols / traits.block * traits.blockBytes, nil
}

// rowBytes is RowBytes for callers that word the error themselves.
func (t DType) rowBytes(cols int64) (int64, bool) {
	n, err := t.RowBytes(cols)
	return n, err == nil
}

// ParseDType finds a type by its name, in any case: "q4_k", "BF16".
func ParseDType(name string) (DType, error) {
	for i, t := range dtypes {
		if t.name != "" && strings.EqualFold(t.name, name) {
			return DType(i), nil
		}
	}
	return 0, fmt.Errorf("unknown data type %q", name)
}

// DTypes returns every type in the order of their numbers.
func DTypes() []DType {
	var all []DType
	for i := range dtypes {
		if t := DType(i); t.Known() {
			all = append(all, t)
		}
	}
	return all
}

// Dequantize converts the whole of src, blocks of type t, to dst. Sizes must agree exactly. A weight is rounded at most
// once; integers and F64 round to nearest.
func Dequantize(dst []float32, t DType, src []byte) error {
	want, err := t.RowBytes(int64(len(dst)))
	if err != nil {
		return err
	}
	if int64(len(src)) != want {
		return fmt.Errorf("%s: %d weights take %d bytes, found %d", t, len(dst), want, len(src))
	}
	if len(dst) == 0 {
		return nil
	}
	status := C.infer_dequantize(C.enum_infer_dtype(t), unsafe.Pointer(&src[0]), C.int64_t(len(dst)), (*C.float)(&dst[0]))
	return typeStatus(t, "dequantize", status)
}

// typeStatus turns a status of types.h into an error. Sizes are checked before C is called: only a fault of this package
// gets here with one.
func typeStatus(t DType, doing string, status C.int) error {
	switch status {
	case C.INFER_TYPE_OK:
		return nil
	case C.INFER_TYPE_UNKNOWN:
		return fmt.Errorf("%s: unknown data type %d", doing, uint32(t))
	case C.INFER_TYPE_UNSUPPORTED:
		return fmt.Errorf("%s: not possible for data type %s", doing, t)
	case C.INFER_TYPE_BAD_VALUE:
		return fmt.Errorf("%s: %s: a value that the type cannot hold", doing, t)
	case C.INFER_TYPE_BAD_SIZE:
		return fmt.Errorf("%s: %s: not a whole number of blocks", doing, t)
	}
	return fmt.Errorf("%s: %s: status %d", doing, t, int(status))
}

// F16ToF32 widens an IEEE half: exact.
func F16ToF32(h uint16) float32 { return float32(C.infer_f16_to_f32(C.uint16_t(h))) }

// F32ToF16 narrows to an IEEE half, to nearest, ties to even.
func F32ToF16(f float32) uint16 { return uint16(C.infer_f32_to_f16(C.float(f))) }

// BF16ToF32 widens a bfloat16: exact.
func BF16ToF32(h uint16) float32 { return float32(C.infer_bf16_to_f32(C.uint16_t(h))) }

// F32ToBF16 narrows to a bfloat16, to nearest, ties to even.
func F32ToBF16(f float32) uint16 { return uint16(C.infer_f32_to_bf16(C.float(f))) }

// unpacked32 mirrors struct infer_unpacked32: w[i] = d[i/16]*q[i] + m.
type unpacked32 struct {
	q [32]int8
	d [2]float32
	m float32
}

// unpacked256 mirrors struct infer_unpacked256: w[i] = d*scale[i/16]*q[i] - dmin*min[i/16].
type unpacked256 struct {
	q          [256]int8
	scale, min [16]int16
	d, dmin    float32
}

// The mirrors' sizes, compared when the package compiles.
var (
	_ [unsafe.Sizeof(C.struct_infer_unpacked32{})]byte  = [unsafe.Sizeof(unpacked32{})]byte{}
	_ [unsafe.Sizeof(C.struct_infer_unpacked256{})]byte = [unsafe.Sizeof(unpacked256{})]byte{}
)

// unpack32 unpacks a whole number of blocks of a type of Family32.
func unpack32(t DType, src []byte) ([]unpacked32, error) {
	traits := t.traits()
	if traits.family != Family32 || len(src) == 0 || int64(len(src))%traits.blockBytes != 0 {
		return nil, fmt.Errorf("unpack %s: %d bytes", t, len(src))
	}
	out := make([]unpacked32, int64(len(src))/traits.blockBytes*(traits.block/32))
	status := C.infer_unpack32(C.enum_infer_dtype(t), unsafe.Pointer(&src[0]), C.int64_t(len(out)),
		(*C.struct_infer_unpacked32)(unsafe.Pointer(&out[0])))
	return out, typeStatus(t, "unpack", status)
}

// unpack256 unpacks a whole number of blocks of a type of Family256.
func unpack256(t DType, src []byte) ([]unpacked256, error) {
	traits := t.traits()
	if traits.family != Family256 || len(src) == 0 || int64(len(src))%traits.blockBytes != 0 {
		return nil, fmt.Errorf("unpack %s: %d bytes", t, len(src))
	}
	out := make([]unpacked256, int64(len(src))/traits.blockBytes)
	status := C.infer_unpack256(C.enum_infer_dtype(t), unsafe.Pointer(&src[0]), C.int64_t(len(out)),
		(*C.struct_infer_unpacked256)(unsafe.Pointer(&out[0])))
	return out, typeStatus(t, "unpack", status)
}

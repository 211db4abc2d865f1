package arch

import (
	"encoding/binary"
	"math"
)

func appendFloat(data []byte, f float32) []byte {
	return binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
}

// appendHalf packs a value as an IEEE half, to nearest, ties to even.
func appendHalf(data []byte, f float32) []byte {
	const (
		sign     = 1 << 31
		infinity = 0x7f800000
		overflow = 0x47800000 // 65536: from here on a half is infinite
		normal   = 0x38800000 // 2^-14: the smallest normal half
	)
	bits := math.Float32bits(f)
	negative, size := uint16(bits>>16)&0x8000, bits&^sign
	var half uint16
	switch {
	case size > infinity:
		half = 0x7e00
	case size >= overflow:
		half = 0x7c00
	case size < normal: // adding 0.5 leaves the fraction in the lowest bits, rounded by the addition
		half = uint16(math.Float32bits(math.Float32frombits(size)+0.5) - 0x3f000000)
	default: // half of the last place less a bit, made up by an odd last place; the exponent's bias changes by 112
		half = uint16((size + 0xfff + size>>13&1 - 112<<23) >> 13)
	}
	return binary.LittleEndian.AppendUint16(data, negative|half)
}

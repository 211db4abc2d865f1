package kernels

import "fmt"

// DType is a tensor's data type, numbered as in GGUF.
type DType uint32

const (
	F32 DType = 0
	F16 DType = 1
	I32 DType = 26
)

var geometry = map[DType][2]int64{0: {1, 4}, 1: {1, 2}, 2: {32, 18}, 3: {32, 20}, 6: {32, 22}, 7: {32, 24}, 8: {32, 34}, 10: {256, 84}, 11: {256, 110}, 12: {256, 144}, 13: {256, 176}, 14: {256, 210}, 26: {1, 4}, 30: {1, 2}}

func (t DType) String() string { return fmt.Sprintf("type%d", uint32(t)) }

func (t DType) rowBytes(cols int64) (int64, bool) {
	g, ok := geometry[t]
	if !ok || cols%g[0] != 0 {
		return 0, false
	}
	return cols / g[0] * g[1], true
}

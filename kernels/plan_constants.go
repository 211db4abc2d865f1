package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Constant registers a table of float32 computed when the plan is recorded, as a vector.
func (p *Plan) Constant(name string, data []float32) Ref {
	packed := make([]byte, 0, 4*len(data))
	for _, v := range data {
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(v))
	}
	return p.ConstantStack(name, F32, int64(len(data)), 1, 1, packed)
}

// ConstantStack registers matrices computed when the plan is recorded: mats of them, each [rows, cols], one after the
// other as in GGUF.
func (p *Plan) ConstantStack(name string, t DType, cols, rows, mats int64, data []byte) Ref {
	stride, ok := t.rowBytes(cols)
	if !ok || cols < 1 || rows < 1 || mats < 1 || int64(len(data)) != stride*rows*mats {
		p.Fail("constant %s: %d bytes for %d matrices of %d rows of %d %s", name, len(data), mats, rows, cols, t)
		return None
	}
	r := p.add(name, Tensor{Buffer: 0, DType: t, RowsKind: RowsFixed, Stride: stride, Cols: cols, Rows: rows, Mats: mats, MatStride: stride * rows})
	p.constants = append(p.constants, constant{r, data})
	return r
}

// ConstantValues returns the values of a constant; nil for any other tensor.
func (p *Plan) ConstantValues(r Ref) []float32 {
	for _, c := range p.constants {
		if c.ref == r {
			t := p.Tensors[r]
			out := make([]float32, t.Cols*t.Rows*t.Mats)
			if err := Dequantize(out, t.DType, c.data); err != nil {
				return nil
			}
			return out
		}
	}
	return nil
}

// WeightGroups is a view of a matrix whose rows come in mats equal groups, as a stack of mats matrices: of each group
// rows [from, from+count).
func (p *Plan) WeightGroups(w Ref, mats, from, count int64) Ref {
	t, ok := p.tensor(w)
	if !ok {
		return None
	}
	if t.RowsKind != RowsFixed || t.Mats != 1 || mats <= 0 || t.Rows%mats != 0 || from < 0 || count <= 0 || from+count > t.Rows/mats {
		p.Fail("tensor %s: rows %d to %d of each of %d groups asked, it has %d rows", p.Names[w], from, from+count, mats, t.Rows)
		return None
	}
	t.MatStride = t.Rows / mats * t.Stride
	t.Offset += from * t.Stride
	t.Rows, t.Mats = count, mats
	return p.addView(fmt.Sprintf("%s[%dx%d:%d]", p.Names[w], mats, from, from+count), t)
}

// ConstantRows registers a matrix of float32 computed when the plan is recorded, cols to a row.
func (p *Plan) ConstantRows(name string, cols int64, data []float32) Ref {
	packed := make([]byte, 0, 4*len(data))
	for _, v := range data {
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(v))
	}
	return p.ConstantStack(name, F32, cols, int64(len(data))/max(cols, 1), 1, packed)
}

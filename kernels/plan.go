package kernels

/*
#include "kernels.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// Ref names a tensor of a plan by its index. The zero value is a real tensor: absent is [None].
type Ref int32

// None is the absent tensor.
const None Ref = -1

// PageTokens is how many tokens a cache page holds.
const PageTokens = C.INFER_PAGE_TOKENS

// RowsKind says what decides how many rows a tensor has in a step.
type RowsKind uint32

// The kinds of rows.
const (
	RowsFixed   RowsKind = C.INFER_ROWS_FIXED   // a weight: rows are in its shape
	RowsBatch   RowsKind = C.INFER_ROWS_BATCH   // one row a token of the batch
	RowsWanted  RowsKind = C.INFER_ROWS_WANTED  // one row a token whose logits are wanted
	RowsExperts RowsKind = C.INFER_ROWS_EXPERTS // batch rows x experts used a token
)

const bufferActivations = C.INFER_BUFFER_ACTIVATIONS

// Tensor is a weight or an activation of a plan; it mirrors struct infer_tensor.
type Tensor struct {
	Buffer    int32
	DType     DType
	RowsKind  RowsKind
	Base      Ref   // the tensor that owns the memory; itself unless a view
	Offset    int64 // bytes from the buffer's start
	Stride    int64 // bytes from row to row
	Cols      int64 // elements in a row
	Rows      int64 // rows of a matrix, 1 for a vector, 0 for activations
	Mats      int64 // matrices (experts, heads), 1 otherwise
	MatStride int64 // bytes from matrix to matrix
}

// Op is one step of a plan; it mirrors struct infer_op, and kernels.h gives each kind's meaning.
type Op struct {
	Kind      OpKind
	Layer     int32
	Out, Out2 Ref
	In        [C.INFER_OP_INPUTS]Ref
	N         [C.INFER_OP_INTS]int32
	F         [C.INFER_OP_FLOATS]float32
	_         int32
}

// CacheLayer is one layer's part of the cache: of attention, or with VWidth 0 a recurrent op's state. It mirrors struct infer_cache_layer.
type CacheLayer struct {
	DType             DType
	Kind              uint32
	Heads, KDim, VDim int32
	VWidth            int32
	Offset, PageBytes int64 // of its part of page 0, and of that part
	PageStride        int64 // from page to page
}

// Go's structs are handed to C as they are: a difference in size is a compile error here.
var (
	_ [unsafe.Sizeof(Tensor{})]byte     = [C.sizeof_struct_infer_tensor]byte{}
	_ [unsafe.Sizeof(Op{})]byte         = [C.sizeof_struct_infer_op]byte{}
	_ [unsafe.Sizeof(CacheLayer{})]byte = [C.sizeof_struct_infer_cache_layer]byte{}
)

// PageKind is a set of cache layers that share page tables: those with the same window, or all recurrent ones.
type PageKind struct {
	Window    int   // positions a layer of this kind can see; 0: all
	Layers    int   // how many cache layers are of this kind
	PageBytes int64 // bytes of one page over all its layers
	State     bool  // recurrent: a page is a slot for one sequence's states, and its table the slot to read and the slot to write
}

// Plan is a recorded forward pass: flat data, the same for every backend. An architecture records it through the
// methods in plan_ops.go, which check shapes as they go and keep the first faults for [Plan.Finish]. Fields are read-only
// for everybody else.
type Plan struct {
	Tensors     []Tensor
	Names       []string // of tensors, for messages and the printed plan
	Ops         []Op
	Cache       []CacheLayer
	PageKinds   []PageKind
	Logits      Ref // the result, WANTED rows: logits, or for a plan that embeds pooled vectors
	Hidden      Ref // the last normed state, BATCH or WANTED rows; None where not marked
	Predictor   Predictor
	ExpertsUsed int
	Whole       bool // sequences must be in one batch from their first position to their last

	MaxRows, MaxWanted int
	ActivationBytes    int64
	CacheBytes         int64

	constants []constant
	layer     int32
	faults    []error
	pages     []int // of each page kind
	finished  bool
}

// constant is a table computed when the plan is recorded, such as rope frequencies, as its tensor's type packs it.
type constant struct {
	ref  Ref
	data []byte
}

// NewPlan starts an empty plan.
func NewPlan() *Plan {
	return &Plan{Logits: None, Hidden: None, Predictor: Predictor{Logits: None, Hidden: None}, layer: -1}
}

// Layer sets the model layer that following ops belong to, for messages and statistics; -1 is outside of the layers.
func (p *Plan) Layer(i int) { p.layer = int32(i) }

// Fail records a fault; Finish reports all of them.
func (p *Plan) Fail(format string, args ...any) {
	if len(p.faults) < 50 {
		p.faults = append(p.faults, fmt.Errorf(format, args...))
	}
}

// Err returns the faults recorded so far, joined.
func (p *Plan) Err() error { return errors.Join(p.faults...) }

// Weight registers a weight: cols is its innermost dimension, rows 1 for a vector, mats 1 unless it holds a matrix for
// each expert or head. Rows lie one after the other as in GGUF, at offset bytes from the start of the attached buffer.
func (p *Plan) Weight(name string, t DType, cols, rows, mats int64, buffer int32, offset int64) Ref {
	stride, ok := t.rowBytes(cols)
	if !ok {
		p.Fail("tensor %s: a row of %d elements is not whole blocks of %s", name, cols, t)
		return None
	}
	return p.add(name, Tensor{Buffer: buffer, DType: t, RowsKind: RowsFixed, Offset: offset, Stride: stride,
		Cols: cols, Rows: rows, Mats: mats, MatStride: stride * rows})
}

// WeightRows is a view of rows [from, from+count) of a matrix, for files that stack several matrices in one tensor.
func (p *Plan) WeightRows(w Ref, from, count int64) Ref {
	t, ok := p.tensor(w)
	if !ok {
		return None
	}
	if t.RowsKind != RowsFixed || from < 0 || count <= 0 || from+count > t.Rows {
		p.Fail("tensor %s: rows %d to %d asked, it has %d", p.Names[w], from, from+count, t.Rows)
		return None
	}
	t.Offset += from * t.Stride
	t.Rows = count
	t.Base = p.Tensors[w].Base
	return p.addView(fmt.Sprintf("%s[%d:%d]", p.Names[w], from, from+count), t)
}

// WeightSpan is a view of elements [from, from+count) of an F32 vector, such as the bias of one of several stacked matrices.
func (p *Plan) WeightSpan(v Ref, from, count int64) Ref {
	t, ok := p.tensor(v)
	if !ok {
		return None
	}
	if t.RowsKind != RowsFixed || t.DType != F32 || from < 0 || count <= 0 || from+count > t.Cols {
		p.Fail("tensor %s: elements %d to %d asked, it has %d of %s", p.Names[v], from, from+count, t.Cols, t.DType)
		return None
	}
	t.Offset += 4 * from
	t.Cols = count
	return p.addView(fmt.Sprintf("%s[%d:%d]", p.Names[v], from, from+count), t)
}

// Columns is a view of columns [from, from+count) of an activation.
func (p *Plan) Columns(x Ref, from, count int64) Ref {
	t, ok := p.tensor(x)
	if !ok {
		return None
	}
	if t.RowsKind == RowsFixed || from < 0 || count <= 0 || from+count > t.Cols {
		p.Fail("activation %s: columns %d to %d asked, it has %d", p.Names[x], from, from+count, t.Cols)
		return None
	}
	t.Offset += 4 * from
	t.Cols = count
	return p.addView(fmt.Sprintf("%s[:,%d:%d]", p.Names[x], from, from+count), t)
}

// add appends a tensor that owns its memory.
func (p *Plan) add(name string, t Tensor) Ref {
	r := Ref(len(p.Tensors))
	t.Base = r
	p.Tensors = append(p.Tensors, t)
	p.Names = append(p.Names, name)
	return r
}

func (p *Plan) addView(name string, t Tensor) Ref {
	r := Ref(len(p.Tensors))
	p.Tensors = append(p.Tensors, t)
	p.Names = append(p.Names, name)
	return r
}

// activation makes a new F32 activation.
func (p *Plan) activation(kind RowsKind, cols int64) Ref {
	return p.typedActivation(kind, cols, F32)
}

func (p *Plan) typedActivation(kind RowsKind, cols int64, t DType) Ref {
	if cols <= 0 {
		p.Fail("op %d: an activation of %d columns", len(p.Ops), cols)
		cols = 1
	}
	return p.add(fmt.Sprintf("a%d", len(p.Tensors)), Tensor{Buffer: bufferActivations, DType: t, RowsKind: kind,
		Cols: cols, Mats: 1, Stride: (4*cols + 63) / 64 * 64})
}

// tensor returns a copy of a tensor; false, with the fault recorded, where the reference is not one.
func (p *Plan) tensor(r Ref) (Tensor, bool) {
	if r < 0 || int(r) >= len(p.Tensors) {
		if len(p.faults) == 0 { // None usually follows from an earlier fault
			p.Fail("op %d (layer %d): a tensor is missing", len(p.Ops), p.layer)
		}
		return Tensor{}, false
	}
	return p.Tensors[r], true
}

// Cols returns the width of a tensor; 0 where the reference is none.
func (p *Plan) Cols(r Ref) int64 {
	if r < 0 || int(r) >= len(p.Tensors) {
		return 0
	}
	return p.Tensors[r].Cols
}

// Rows returns the rows of a weight matrix; 0 where the reference is none.
func (p *Plan) Rows(r Ref) int64 {
	if r < 0 || int(r) >= len(p.Tensors) {
		return 0
	}
	return p.Tensors[r].Rows
}

// AddCacheLayer declares an attention layer's cache and returns its index. vDim is 0 where values are read from k (MLA),
// and vWidth is then how much of k serves as the value. Layers of one window share page tables.
func (p *Plan) AddCacheLayer(heads, kDim, vDim, vWidth, window int) int {
	kind := -1
	for i, k := range p.PageKinds {
		if k.Window == window && !k.State {
			kind = i
		}
	}
	if kind < 0 {
		kind = len(p.PageKinds)
		p.PageKinds = append(p.PageKinds, PageKind{Window: window})
	}
	if heads <= 0 || kDim <= 0 || vDim < 0 || vWidth <= 0 || window < 0 {
		p.Fail("cache layer %d: %d heads, key width %d, value width %d, window %d", len(p.Cache), heads, kDim, vWidth, window)
	}
	p.PageKinds[kind].Layers++
	p.Cache = append(p.Cache, CacheLayer{Kind: uint32(kind), Heads: int32(heads), KDim: int32(kDim), VDim: int32(vDim), VWidth: int32(vWidth)})
	return len(p.Cache) - 1
}

package arch

import (
	"fmt"
	"strings"

	"github.com/infer-go/infer/engine/gguf"
	"github.com/infer-go/infer/kernels"
)

// weights finds a file's tensors by name, checks them and registers them with the plan. Faults
// go to the plan, which reports them all together.
type weights struct {
	file       *gguf.File
	plan       *kernels.Plan
	refs       map[string]kernels.Ref // registered
	touched    map[string]bool        // asked for, registered or not
	parameters int64
	experts    int // experts a layer
}

func newWeights(f *gguf.File, p *kernels.Plan, experts int) *weights {
	return &weights{file: f, plan: p, experts: experts, refs: map[string]kernels.Ref{}, touched: map[string]bool{}}
}

// layer returns the weights of one layer, whose names begin with "blk.i.".
func (w *weights) layer(i int) *layer {
	w.plan.Layer(i)
	return &layer{w, fmt.Sprintf("blk.%d.", i)}
}

// end leaves the layers.
func (w *weights) end() { w.plan.Layer(-1) }

func (w *weights) fault(tensor, found, expected string) {
	w.plan.Fail("%w", &TensorError{tensor, found, expected})
}

func (w *weights) has(name string) bool {
	_, ok := w.file.Tensor(name)
	return ok
}

// touch marks a tensor as known to the architecture without using it.
func (w *weights) touch(name string) { w.touched[name] = true }

// get finds a tensor of the given shape (innermost first; ones at the end may be left out).
func (w *weights) get(name string, shape ...int64) (*gguf.Tensor, bool) {
	w.touch(name)
	t, ok := w.file.Tensor(name)
	if !ok {
		w.fault(name, "nothing", fmt.Sprintf("shape %v", shape))
		return nil, false
	}
	if !sameShape(t.Shape, shape) {
		w.fault(name, fmt.Sprintf("shape %v", t.Shape), fmt.Sprintf("shape %v", shape))
		return nil, false
	}
	return t, true
}

func sameShape(a, b []int64) bool {
	for i := range max(len(a), len(b)) {
		x, y := int64(1), int64(1)
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return false
		}
	}
	return true
}

// matrices registers a stack of mats matrices [rows, cols] of any weight type.
func (w *weights) matrices(name string, cols, rows, mats int) kernels.Ref {
	if r, ok := w.refs[name]; ok {
		return r
	}
	t, ok := w.get(name, int64(cols), int64(rows), int64(mats))
	if !ok {
		return kernels.None
	}
	if kernels.DType(t.Type).Family() == kernels.FamilyNone {
		w.fault(name, t.Type.String(), "a type that can be multiplied")
		return kernels.None
	}
	return w.register(t, int64(cols), int64(rows), int64(mats))
}

func (w *weights) register(t *gguf.Tensor, cols, rows, mats int64) kernels.Ref {
	r := w.plan.Weight(t.Name, kernels.DType(t.Type), cols, rows, mats, int32(t.Part), t.Offset)
	w.refs[t.Name] = r
	w.parameters += cols * rows * mats
	return r
}

func (w *weights) matrix(name string, cols, rows int) kernels.Ref {
	return w.matrices(name, cols, rows, 1)
}

// vector registers a vector that ops read as F32; one of another type is converted into a constant.
func (w *weights) vector(name string, n int) kernels.Ref { return w.floats(name, n, 1) }

// floats registers rows of n float32.
func (w *weights) floats(name string, n, rows int) kernels.Ref {
	if r, ok := w.refs[name]; ok {
		return r
	}
	t, ok := w.get(name, int64(n), int64(rows))
	if !ok {
		return kernels.None
	}
	if t.Type == gguf.F32 {
		return w.register(t, int64(n), int64(rows), 1)
	}
	if rows > 1 { // constants are vectors
		w.fault(name, t.Type.String(), "F32")
		return kernels.None
	}
	if kernels.DType(t.Type).Family() != kernels.FamilyFloat && t.Type != gguf.F64 {
		w.fault(name, t.Type.String(), "F32, F16, BF16 or F64")
		return kernels.None
	}
	values := w.decode(t)
	if values == nil {
		return kernels.None
	}
	r := w.plan.Constant(name, values)
	w.refs[name] = r
	w.parameters += int64(n)
	return r
}

// values reads n numbers of a tensor, for tables that are computed when the plan is recorded; nil after a fault.
func (w *weights) values(name string, n int) []float32 {
	t, ok := w.get(name, int64(n))
	if !ok {
		return nil
	}
	return w.decode(t)
}

// decode reads a whole tensor as float32; nil after a fault.
func (w *weights) decode(t *gguf.Tensor) []float32 {
	out := make([]float32, t.Elements())
	if err := kernels.Dequantize(out, kernels.DType(t.Type), w.file.Bytes(t)); err != nil {
		w.plan.Fail("tensor %s: %w", t.Name, err)
		return nil
	}
	return out
}

// unused lists the file's tensors that the architecture did not ask for.
func (w *weights) unused() []string {
	var out []string
	for i := range w.file.Tensors {
		name := w.file.Tensors[i].Name
		if _, used := w.refs[name]; !used && !w.touched[name] && !strings.HasSuffix(name, ".input_scale") {
			out = append(out, name)
		}
	}
	return out
}

// layer is the weights of one layer.
type layer struct {
	*weights
	prefix string
}

// linear is a matrix with what a file may attach to it.
type linear struct {
	weight, bias kernels.Ref
	scale        float32 // on the product, before the bias
	cols, rows   int
}

// has reports whether the layer has this tensor, "attn_qkv.weight" for example.
func (l *layer) has(name string) bool { return l.weights.has(l.prefix + name) }

// rows returns the number of rows of a matrix of the layer, 0 where the file has none.
func (l *layer) rows(name string) int64 { return l.weights.rows(l.prefix + name) }

func (w *weights) rows(name string) int64 {
	t, ok := w.file.Tensor(name)
	if !ok {
		return 0
	}
	return t.Rows()
}

// vector registers a vector of the layer.
func (l *layer) vector(name string, n int) kernels.Ref { return l.weights.vector(l.prefix+name, n) }

// linear finds a matrix [rows, cols] by the name before its ".weight", with the bias and scale that the file may have.
func (l *layer) linear(name string, cols, rows int) linear {
	return l.weights.linear(l.prefix+name, cols, rows)
}

// biased is linear with a bias that must be there.
func (l *layer) biased(name string, cols, rows int) linear {
	if !l.has(name + ".bias") {
		l.weights.vector(l.prefix+name+".bias", rows) // reports it
	}
	return l.linear(name, cols, rows)
}

func (w *weights) linear(name string, cols, rows int) linear {
	m := linear{weight: w.matrix(name+".weight", cols, rows), bias: kernels.None, scale: 1, cols: cols, rows: rows}
	if w.has(name + ".scale") {
		m.scale = w.scalar(name + ".scale")
	}
	switch {
	case !w.has(name + ".bias"):
	case m.scale == 1:
		m.bias = w.vector(name+".bias", rows)
	default: // the plan scales product and bias together
		values := w.values(name+".bias", rows)
		for i := range values {
			values[i] /= m.scale
		}
		if values != nil {
			m.bias = w.plan.Constant(name+".bias/scale", values)
		}
	}
	return m
}

// scalar reads a factor on a whole tensor.
func (w *weights) scalar(name string) float32 {
	v := w.values(name, 1)
	if v == nil {
		return 1
	}
	if v[0] == 0 || v[0]-v[0] != 0 {
		w.fault(name, fmt.Sprint(v[0]), "a finite number other than 0")
		return 1
	}
	return v[0]
}

// norm is the parameters of a normalisation.
type norm struct{ weight, bias kernels.Ref }

// norm finds a norm's weight and the bias that it may have, by the name before ".weight".
func (w *weights) norm(name string, n int) norm {
	m := norm{w.vector(name+".weight", n), kernels.None}
	if w.has(name + ".bias") {
		m.bias = w.vector(name+".bias", n)
	}
	return m
}

// biasedNorm is norm with a bias that must be there.
func (w *weights) biasedNorm(name string, n int) norm {
	return norm{w.vector(name+".weight", n), w.vector(name+".bias", n)}
}

func (l *layer) norm(name string, n int) norm       { return l.weights.norm(l.prefix+name, n) }
func (l *layer) biasedNorm(name string, n int) norm { return l.weights.biasedNorm(l.prefix+name, n) }

// bareNorm finds a norm whose tensor some converters write without ".weight".
func (l *layer) bareNorm(name string, n int) norm {
	if l.has(name) {
		return norm{l.vector(name, n), kernels.None}
	}
	return l.norm(name, n)
}

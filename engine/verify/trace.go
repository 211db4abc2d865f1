package verify

import (
	"math"
	"slices"

	"github.com/infer-go/infer/engine"
)

// Op is an op of the native engine with the tensor of llama.cpp that is nearest to it: of the same layer and width. Names differ from
// model to model there, and some ops are one here and several there, so nearness is what matches them.
type Op struct {
	Layer      int     `json:"layer"` // -1 outside of the layers
	Name       string  `json:"name"`
	Nearest    string  `json:"nearest"` // llama.cpp's name; empty where it has nothing of that width
	RelativeL2 float64 `json:"relative_l2"`

	place  int // among the ops of the layer
	rows   int
	named  bool // Nearest is one of layerOutputs
	values []float32
}

// Layer is the output of a layer: what it leaves in the residual stream.
type Layer struct {
	Layer      int     `json:"layer"`
	Name       string  `json:"name"`    // the native op
	Nearest    string  `json:"nearest"` // llama.cpp's tensor
	RelativeL2 float64 `json:"relative_l2"`
}

// layerOutputs are llama.cpp's names of a layer's output, those first that mean nothing else: in Nemotron-H, l_out is what a feed-forward
// layer adds to the stream. An architecture without any of them has the nearest tensor of the width.
var layerOutputs = []string{"nemotron_h_block_out", "l_out"}

// trace matches the activations of the two engines.
type trace struct {
	bound  float64
	ops    []Op
	byPart map[int][]int // ops by layer
	output map[int]int   // the op that computes a layer's output
}

func newTrace(bound float64) *trace {
	return &trace{bound: bound, byPart: map[int][]int{}, output: map[int]int{}}
}

// keep stores what the native engine computed.
func (t *trace) keep(a engine.Activation) error {
	op := Op{Layer: a.Layer, Name: a.Name, RelativeL2: math.Inf(1), place: len(t.byPart[a.Layer]), rows: a.Rows, values: slices.Clone(a.Values)}
	t.byPart[a.Layer] = append(t.byPart[a.Layer], len(t.ops))
	t.output[a.Layer] = len(t.ops) // a layer's last op writes the residual stream
	t.ops = append(t.ops, op)
	return nil
}

// compare holds a tensor of llama.cpp against the ops of its layer. Heads are a dimension of their own there, so rows are
// counted by the whole.
func (t *trace) compare(a engine.Activation) error {
	for _, i := range t.byPart[a.Layer] {
		op := &t.ops[i]
		if len(op.values) != len(a.Values) {
			continue
		}
		named := slices.Index(layerOutputs, a.Name)
		if isOutput := i == t.output[a.Layer] && a.Layer >= 0; isOutput && named >= 0 { // nearness does not decide
			if before := slices.Index(layerOutputs, op.Nearest); before < 0 || named < before {
				op.Nearest, op.RelativeL2, op.named = a.Name, relative(op.values, a.Values), true
			}
			continue
		}
		if op.named {
			continue
		}
		if d := relative(op.values, a.Values); d < op.RelativeL2 || op.Nearest == "" {
			op.Nearest, op.RelativeL2 = a.Name, d
		}
	}
	return nil
}

// report lists the layers' outputs, and finds the first that differs and the op in it.
func (t *trace) report(r *Report) {
	for layer := 0; ; layer++ {
		i, ok := t.output[layer]
		if !ok {
			break
		}
		op := t.ops[i]
		if op.Nearest == "" {
			continue // computed under no name there
		}
		l := Layer{layer, op.Name, op.Nearest, op.RelativeL2}
		r.Layers = append(r.Layers, l)
		if r.FirstLayer == nil && differs(l.RelativeL2, t.bound) {
			r.FirstLayer = &l
			r.FirstOp = t.firstOp(layer)
		}
	}
	if r.FirstLayer == nil && !r.Agrees() { // the layers agree and the logits do not: what follows them
		r.FirstOp = t.firstOp(-1)
	}
}

// differs is true for what is not a number, too.
func differs(d, bound float64) bool { return !(d <= bound) }

// firstOp is the first op of a layer that llama.cpp computed nothing like. Ops that have no counterpart in a layer that
// agrees, at the same place, are fused or split there: they say nothing.
func (t *trace) firstOp(layer int) *Op {
	silent := map[int]bool{}
	for other, ops := range t.byPart {
		if other < 0 || other >= layer {
			continue
		}
		for _, i := range ops {
			if differs(t.ops[i].RelativeL2, t.bound) {
				silent[t.ops[i].place] = true
			}
		}
	}
	for _, i := range t.byPart[layer] {
		op := t.ops[i]
		if op.Nearest != "" && differs(op.RelativeL2, t.bound) && !(layer >= 0 && silent[op.place]) {
			op.values = nil
			return &op
		}
	}
	return nil
}
